"""What a conversion is told."""

from dataclasses import dataclass, field
from pathlib import Path

from cxrconvert.edgetpu.compiler_settings import CompilerSettings


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
    allow_failed_gates : bool
        Make the bundle even where conversion changed the network by more than the gates allow; card and manifest
        then say which.
    compiler : CompilerSettings
        Where the workstation has edgetpu_compiler.
    key : Path or None
        Private key that signs the bundle.
    work : Path or None
        Folder of the stages; "conversion" in the run's where None.
    until, again : str or None
        The last stage to run, and one to run even if it is up to date.
    force : bool
        Replace a bundle that is there.
    """

    run: Path
    films: Path
    output: Path
    name: str
    version: str
    calibration_films: int = 400
    measured_films: int | None = None
    allow_failed_gates: bool = False
    compiler: CompilerSettings = field(default_factory=CompilerSettings)
    key: Path | None = None
    work: Path | None = None
    until: str | None = None
    again: str | None = None
    force: bool = False

    @property
    def work_folder(self) -> Path:
        """The folder of the stages."""
        return self.work or self.run / "conversion"
