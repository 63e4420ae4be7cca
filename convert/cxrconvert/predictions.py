"""What training itself said of the films that it held out: predictions.csv, to compare the exported body with."""

import csv
from pathlib import Path

import numpy as np
from cxrbundle.labels import FINDINGS

from cxrconvert.errors import RunError
from cxrconvert.films import Film

PREDICTIONS = "predictions.csv"


def read_predictions(path: Path, films: list[Film]) -> np.ndarray:
    """Return the logits that PyTorch gave for films: float32, shape (films, findings).

    Raises
    ------
    RunError
        If the table is missing, or lacks a finding or a film.
    """
    try:
        with path.open(newline="") as file:
            rows = list(csv.DictReader(file))
    except OSError as err:
        raise RunError(f"{path} cannot be read ({err.strerror}); name the folder of a finished training run") from err
    if not rows or not {"name", "part", *FINDINGS} <= set(rows[0]):
        raise RunError(f"{path} must have the columns name, part and the 14 findings; train again")
    logits = {(row["name"], row["part"]): [row[finding] for finding in FINDINGS] for row in rows}
    missing = [film.name for film in films if (film.name, film.part) not in logits]
    if missing:
        raise RunError(f"{path} lacks {len(missing)} of {len(films)} films; take it and films.csv from one run")
    try:
        return np.array([logits[film.name, film.part] for film in films], np.float32)
    except ValueError as err:
        raise RunError(f"{path} holds a logit that is no number ({err}); train again") from err
