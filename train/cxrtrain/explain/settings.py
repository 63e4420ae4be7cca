"""What `cxrtrain explain` can be asked for."""

from dataclasses import dataclass
from pathlib import Path

from cxrtrain.data.films import VALIDATION

CLASS_MAP, GRAD_CAM, HIRES_CAM, GUIDED_GRAD_CAM = "class-map", "grad-cam", "hirescam", "guided-grad-cam"
METHODS = (CLASS_MAP, GRAD_CAM, HIRES_CAM, GUIDED_GRAD_CAM)
FOLDER = "explanation"


@dataclass(frozen=True)
class ExplainSettings:
    """All settings of `cxrtrain explain`.

    Attributes
    ----------
    run : Path
        Folder of a finished run.
    films : Path
        Folder of the films; the paths of the run's films.csv are below it.
    findings : tuple of str
        Findings to explain; empty: all of the task.
    images : tuple of str
        Names of the films to draw; empty: of each finding the film with it that scores highest.
    methods : tuple of str
        Of METHODS; empty: all that the network's head allows.
    part : str
        "validation" or "test".
    limit : int
        Films with a finding, the best-scored ones, over which its share of heat at the border is averaged.
    boxes : Path or None
        NIH's BBox_List_2017.csv, to measure localisation; None: it is not measured.
    boxed_films : Path or None
        Folder with a manifest.csv of more films below `films` to measure it on.
    output : Path or None
        None: "explanation" in the run.
    """

    run: Path
    films: Path
    findings: tuple[str, ...] = ()
    images: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    part: str = VALIDATION
    limit: int = 16
    boxes: Path | None = None
    boxed_films: Path | None = None
    output: Path | None = None
