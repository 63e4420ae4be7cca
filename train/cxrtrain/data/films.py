"""The films to train on: their manifest, a split by patient, and their pixels."""

import csv
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from cxrbundle.labels import FINDINGS
from cxrbundle.preprocess import resize_film, stretch_levels

from cxrtrain.errors import FilmsError

# Every film is first brought to one size below that of all sources, so that none can be told by its sharpness.
STORED_SIZE = 256
TRAIN, VALIDATION, TEST = "train", "validation", "test"
# Sources of fewer films say too little of their own to be told apart.
LEAST_OF_A_SOURCE = 30
OTHER_SOURCES = "other"


@dataclass(frozen=True)
class Film:
    """One row of the manifest.

    Attributes
    ----------
    path : str
        Path below the folder of the films.
    name : str
        File name in ChestX-ray14.
    labels : tuple of int
        0 or 1 for each finding, in the order of the contract.
    thumbnail : bool
        Whether the film came as a 64 px thumbnail: good for a first phase of training only.
    held_out_by_reference : bool
        Whether the reference DenseNet-121 never saw this patient.
    """

    path: str
    name: str
    patient: str
    source: str
    labels: tuple[int, ...]
    thumbnail: bool
    held_out_by_reference: bool


def read_films(root: Path) -> list[Film]:
    """Read the NIH films of ROOT/manifest.csv.

    Raises
    ------
    FilmsError
        If the manifest is missing, lacks a column, or names films that are not there.
    """
    path = root / "manifest.csv"
    try:
        with path.open(newline="") as file:
            rows = [row for row in csv.DictReader(file) if row["dataset"] == "nih14"]
        films = [_film(row) for row in rows]
    except OSError as err:
        raise FilmsError(f"{path} cannot be read ({err.strerror}); name the folder with --films") from err
    except (KeyError, ValueError) as err:
        raise FilmsError(f"{path}: column or value {err} is not as expected; see README.md beside it") from err
    missing = [film.path for film in films if not (root / film.path).is_file()]
    if missing or not films:
        raise FilmsError(f"{len(missing)} of {len(films)} films of {path} are missing: {missing[:5]}")
    return films


def _film(row: dict[str, str]) -> Film:
    return Film(
        path=row["path"],
        name=row["original_file_name"],
        patient=row["patient_id"],
        source=row["source_repo"],
        labels=tuple(int(row[finding]) for finding in FINDINGS),
        thumbnail="64x64" in row["quality"],
        held_out_by_reference=row["split_chexnet"] == "test",
    )


def split_by_patient(films: list[Film], seed: int) -> list[str]:
    """Return "train", "validation" or "test" for each film; no patient stands in two parts.

    Test: half of the patients that the reference network never saw, so that both can be measured on the
    same rows. Validation: an eighth of all others. Both are stratified by the patient's rarest finding.
    """
    counts = Counter(finding for film in films for finding, on in enumerate(film.labels) if on)
    rarest: dict[str, tuple[int, int]] = {}
    for film in films:
        own = min(((counts[i], i) for i, on in enumerate(film.labels) if on), default=(len(films), -1))
        rarest[film.patient] = min(own, rarest.get(film.patient, own))
    unseen = {film.patient for film in films if film.held_out_by_reference}
    test = _every_nth({p: s for p, s in rarest.items() if p in unseen}, 2, seed)
    validation = _every_nth({p: s for p, s in rarest.items() if p not in test}, 8, seed)
    part = dict.fromkeys(rarest, TRAIN) | dict.fromkeys(validation, VALIDATION) | dict.fromkeys(test, TEST)
    return [part[film.patient] for film in films]


def _every_nth(stratum: dict[str, tuple[int, int]], n: int, seed: int) -> set[str]:
    """Return every n-th patient, shuffled within each stratum."""
    order = sorted(stratum)
    np.random.default_rng(seed).shuffle(order)
    order.sort(key=stratum.__getitem__)
    return set(order[n - 1 :: n])


def source_names(films: list[Film]) -> list[str]:
    """Return the source of each film, the small ones under one name."""
    counts = Counter(film.source for film in films)
    return [film.source if counts[film.source] >= LEAST_OF_A_SOURCE else OTHER_SOURCES for film in films]


def load_grey(path: Path) -> np.ndarray:
    """Return a film as ndarray of uint8, shape (height, width)."""
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if grey is None:
        raise FilmsError(f"{path} cannot be decoded; copy it again or take it out of the manifest")
    return grey


def load_stored(root: Path, films: list[Film]) -> np.ndarray:
    """Return the pixels to train on: uint8, shape (films, STORED_SIZE, STORED_SIZE), levels stretched."""
    pixels = np.empty((len(films), STORED_SIZE, STORED_SIZE), np.uint8)
    for row, film in zip(pixels, films, strict=True):
        row[:] = stretch_levels(resize_film(load_grey(root / film.path), STORED_SIZE))
    return pixels


def label_array(films: list[Film]) -> np.ndarray:
    """Return the labels: float32, shape (films, findings)."""
    return np.array([film.labels for film in films], np.float32)
