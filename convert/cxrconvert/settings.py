"""What a conversion is told."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Settings:
    """What `cxrconvert` is told.

    Attributes
    ----------
    run, films, output : Path
        Folder of the training run, folder that its films.csv speaks of, folder of the bundle.
    name, version : str
        Of the bundle.
    calibration_films : int
        Films to measure the activations' ranges on, one of a patient. On the shipped network 32, 100 and 400 gave
        a logit error of .207, .218 and .206 (root mean square, no label used): the number hardly matters.
    measured_films : int or None
        At most so many validation and so many test films are measured; all where None.
    force : bool
        Replace a bundle that is there.
    """

    run: Path
    films: Path
    output: Path
    name: str = "cxr-demo-lite0"
    version: str = "2026.11.2"
    calibration_films: int = 400
    measured_films: int | None = None
    force: bool = False
