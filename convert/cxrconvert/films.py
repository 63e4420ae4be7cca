"""The films of a run: which there are, in which part of the split, and as the body's input."""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from cxrbundle.errors import BlankFilmError
from cxrbundle.labels import FINDINGS
from cxrbundle.preprocess import to_input

from cxrconvert.errors import FilmsError, RunError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
COLUMNS = ("path", "name", "patient", "source", "thumbnail", "part", *FINDINGS)
# Fewer films than this say too little about the range of an activation.
LEAST_CALIBRATION = 16
# Films to compare ranges on, a quarter of the patients at most.
HELD_OUT = 64


@dataclass(frozen=True)
class Film:
    """One film of full sharpness: a row of a run's films.csv.

    Attributes
    ----------
    path : str
        Path below the folder of the films.
    name : str
        As the table of predictions names it.
    patient : str
    part : str
        "train", "validation" or "test".
    labels : tuple of int
        0 or 1 for each finding, in the order of the contract.
    """

    path: str
    name: str
    patient: str
    part: str
    labels: tuple[int, ...]


def read_films(path: Path, root: Path) -> list[Film]:
    """Read a run's films.csv, in whatever order its columns are.

    Thumbnails are left out, for nothing is measured on them, and films that the split left out.

    Raises
    ------
    RunError
        If the table is missing or lacks a column.
    FilmsError
        If a film is not below the root.
    """
    try:
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            rows, columns = list(reader), tuple(reader.fieldnames or ())
    except OSError as err:
        raise RunError(f"{path} cannot be read ({err.strerror}); name the folder of a training run") from err
    if lacking := [column for column in COLUMNS if column not in columns]:
        raise RunError(f"{path} lacks the columns {', '.join(lacking)}; name the folder of a training run")
    films = [_film(path, row) for row in rows if row["thumbnail"] == "0" and row["part"]]
    missing = [film.path for film in films if not (root / film.path).is_file()]
    if missing:
        raise FilmsError(
            f"{len(missing)} of {len(films)} films are not below {root}, the first is {missing[0]}; "
            "name their folder with --films"
        )
    return films


def _film(path: Path, row: dict[str, str]) -> Film:
    labels = tuple(row[finding] for finding in FINDINGS)
    if row["part"] not in (TRAIN, VALIDATION, TEST) or not set(labels) <= {"0", "1"}:
        raise RunError(f"{path}: the row of {row['path']} has an unknown part or a label that is not 0 or 1")
    return Film(row["path"], row["name"], row["patient"], row["part"], tuple(int(label) for label in labels))


def films_of(films: list[Film], part: str, at_most: int | None = None) -> list[Film]:
    """Return the films of one part, evenly thinned out to `at_most`."""
    own = [film for film in films if film.part == part]
    if at_most is None or len(own) <= at_most:
        return own
    return [own[i] for i in np.linspace(0, len(own) - 1, at_most).round().astype(int)]


def calibration_films(films: list[Film], count: int) -> tuple[list[Film], list[Film]]:
    """Draw training films, one of a patient at most, always the same ones.

    Returns
    -------
    list of Film
        So many to measure ranges on, or as many as there are.
    list of Film
        Others, of other patients, to compare ranges on.

    Raises
    ------
    FilmsError
        If fewer than `LEAST_CALIBRATION` can be drawn.
    """
    if count < LEAST_CALIBRATION:
        raise FilmsError(f"{count} calibration films are too few; draw {LEAST_CALIBRATION} or more")
    random = np.random.default_rng(0)
    own = films_of(films, TRAIN)
    first = {own[i].patient: own[i] for i in random.permutation(len(own))}
    drawn = list(first.values())
    held_out = min(HELD_OUT, len(drawn) // 4)
    if len(drawn) - held_out < LEAST_CALIBRATION:
        raise FilmsError(
            f"only {len(drawn)} patients have a sharp training film, of whom calibration takes {len(drawn) - held_out} "
            f"and needs {LEAST_CALIBRATION}; train on more films"
        )
    return drawn[held_out:][:count], drawn[:held_out]


def load_inputs(root: Path, films: list[Film], size: int) -> Iterator[np.ndarray]:
    """Yield the body's input of each film, uint8 of shape (1, size, size, 3).

    Raises
    ------
    FilmsError
        If a film cannot be decoded or is blank.
    """
    for film in films:
        grey = cv2.imread(str(root / film.path), cv2.IMREAD_GRAYSCALE)
        if grey is None:
            raise FilmsError(f"{root / film.path} cannot be decoded; copy it again")
        try:
            yield to_input(grey, size)
        except BlankFilmError as err:
            raise FilmsError(f"{root / film.path}: {err}") from err


def label_array(films: list[Film]) -> np.ndarray:
    """Return the labels: bool, shape (films, findings)."""
    return np.array([film.labels for film in films], bool).reshape(len(films), len(FINDINGS))
