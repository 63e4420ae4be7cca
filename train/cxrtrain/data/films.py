"""A film: what is known of it, and its pixels."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from cxrbundle.labels import FINDINGS

from cxrtrain.errors import FilmsError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
# NIH's own split, before anything is set aside for validation.
TRAIN_VAL = "train_val"
# Sources of fewer films say too little of their own to be told apart.
LEAST_OF_A_SOURCE = 30
OTHER_SOURCES = "other"
# The smallest input of a recipe; a film of fewer pixels a side is a torn or wrong file.
LEAST_SIDE = 32


@dataclass(frozen=True, slots=True)
class Film:
    """One film and its labels.

    Attributes
    ----------
    image : str
        File name in ChestX-ray14.
    age : int or None
        In whole years; None where none is stated that a person can have.
    view : str
        View position: "PA" or "AP".
    labels : tuple of int
        0 or 1 for each finding, in the order of the contract.
    path : str
        Path below the folder of the films; blank for a mere row of the metadata.
    source : str
        Collection that the file came through.
    thumbnail : bool
        Whether the film came as a 64 px thumbnail: good for a first phase of training only.
    official : str
        Part in NIH's split: "train_val", "test", or blank.
    reference : str
        Part in CheXNet's split, on whose "train" the reference DenseNet-121 was trained: "train", "val", "test", or
        blank.
    """

    image: str
    patient: str
    age: int | None
    sex: str
    view: str
    labels: tuple[int, ...]
    path: str = ""
    source: str = ""
    thumbnail: bool = False
    official: str = ""
    reference: str = ""


def label_array(films: list[Film]) -> np.ndarray:
    """Return the labels: float32, shape (films, findings)."""
    return np.array([film.labels for film in films], np.float32).reshape(-1, len(FINDINGS))


def source_names(films: list[Film]) -> list[str]:
    """Return the source of each film, the small ones under one name."""
    counts = Counter(film.source for film in films)
    return [film.source if counts[film.source] >= LEAST_OF_A_SOURCE else OTHER_SOURCES for film in films]


def load_grey(path: Path) -> np.ndarray:
    """Return a film as ndarray of uint8, shape (height, width).

    Raises
    ------
    FilmsError
        If it cannot be decoded, or is no film by its size.
    """
    grey = read_grey(path)
    if fault := fault_of(grey):
        raise FilmsError(f"{path} {fault}; copy it again")
    return grey


def read_grey(path: Path) -> np.ndarray | None:
    """Return the pixels of a file, uint8 of shape (height, width); None where it cannot be decoded."""
    try:
        return cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    except cv2.error:
        # A header may ask for more pixels than OpenCV grants.
        return None


def fault_of(grey: np.ndarray | None) -> str:
    """Return why these pixels are no film, blank if they may be one."""
    if grey is None:
        return "cannot be decoded"
    height, width = grey.shape
    return f"has {width} x {height} pixels, too few for a film" if min(height, width) < LEAST_SIDE else ""
