"""Localisation against the boxes that radiologists drew on ChestX-ray14 (Wang et al., CVPR 2017, section 4.2)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from cxrbundle.labels import FINDINGS
from scipy.stats import binomtest

from cxrtrain.data.tables import read_rows
from cxrtrain.errors import FilmsError
from cxrtrain.explain.maps import enlarge, positive_part

# The list's columns, as its header splits at the commas, and its one name that the labels write otherwise.
IMAGE, LABEL, CORNERS = "Image Index", "Finding Label", ("Bbox [x", "y", "w", "h]")
RENAMED = {"Infiltrate": "Infiltration"}
BOXED_SIDE = 1024  # pixels of the films that the boxes were drawn on
LEVELS = (60, 180)  # of a heat map of 0..255
OVERLAPS = (0.1, 0.25, 0.5)
POINTING, IOU, IOBB = "pointing", "iou", "iobb"
# What is asked of each heat map: (measure, least overlap).
QUESTIONS = ((POINTING, 0.0), *((measure, least) for measure in (IOU, IOBB) for least in OVERLAPS))
CENTRE_SPREAD = 0.25  # deviation of the centre map, as a share of the film's side
RANDOM_SEEDS = 20


@dataclass(frozen=True)
class Case:
    """A finding on a film, and where it is.

    Attributes
    ----------
    boxes : ndarray of float, shape (boxes, 4)
        Left, top, right and bottom as shares of the film's sides: films are resized to squares.
    """

    image: str
    finding: str
    boxes: np.ndarray


def read_boxes(path: Path) -> list[Case]:
    """Read NIH's BBox_List_2017.csv, one case for each film and finding.

    Raises
    ------
    FilmsError
        If it is no such list, or a box is no box of a film of 1024 x 1024 pixels.
    """
    found: dict[tuple[str, str], list[tuple[float, ...]]] = {}
    for row in read_rows(path, (IMAGE, LABEL, *CORNERS)):
        finding = RENAMED.get(row[LABEL], row[LABEL])
        try:
            left, top, width, height = (float(row[column]) / BOXED_SIDE for column in CORNERS)
        except ValueError as err:
            raise FilmsError(f"{path}: a box of {row[IMAGE]} is not four numbers ({err}); copy the list again") from err
        box = (left, top, left + width, top + height)
        if finding not in FINDINGS or min(left, top) < 0 or min(width, height) <= 0 or max(box) > 1:
            raise FilmsError(f"{path}: {row[IMAGE]} has no box of a known finding within the film; copy the list again")
        found.setdefault((row[IMAGE], finding), []).append(box)
    return [Case(image, finding, np.array(boxes)) for (image, finding), boxes in found.items()]


def judge(heat: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """Return whether a heat map is right by each of QUESTIONS: ndarray of bool.

    Parameters
    ----------
    heat : ndarray of float, shape (side, side)
        What is above 0 speaks for the finding; the greatest of it becomes 255.
    boxes : ndarray of float, shape (boxes, 4)
        As those of a case; one that is hit is enough.
    """
    right = [points_inside(heat, boxes)]
    detected = find_regions(positive_part(heat))
    for overlaps in overlap_with(detected, boxes):
        right += [bool((overlaps > least).any()) for least in OVERLAPS]
    return np.array(right)


def find_regions(heat: np.ndarray) -> np.ndarray:
    """Return a box round each region of a heat map of 0..1 above each of LEVELS: shape (regions, 4), as a case's."""
    regions = []
    for level in LEVELS:
        _, _, facts, _ = cv2.connectedComponentsWithStats((heat * 255 > level).astype(np.uint8))
        regions.append(facts[1:, :4])  # the first is the background
    left, top, width, height = np.concatenate(regions).T / heat.shape[0]
    return np.stack([left, top, left + width, top + height], axis=1)


def overlap_with(detected: np.ndarray, boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return IoU, and IoBB (intersection / detected area), of each detected box and each box.

    Parameters
    ----------
    detected, boxes : ndarray of float, shape (n, 4) and (m, 4)

    Returns
    -------
    tuple of two ndarrays of float, shape (n, m)
    """
    start = np.maximum(detected[:, None, :2], boxes[None, :, :2])
    end = np.minimum(detected[:, None, 2:], boxes[None, :, 2:])
    shared = (end - start).clip(min=0).prod(axis=2)
    area = (detected[:, 2:] - detected[:, :2]).prod(axis=1)[:, None]
    return shared / (area + (boxes[:, 2:] - boxes[:, :2]).prod(axis=1) - shared), shared / area


def points_inside(heat: np.ndarray, boxes: np.ndarray) -> bool:
    """Return whether the maximum lies inside a box, also one below 0; a map that is 0 everywhere has none."""
    if not heat.any():
        return False
    row, column = np.unravel_index(heat.argmax(), heat.shape)
    point = (np.array([column, row]) + 0.5) / heat.shape[0]
    return bool(((boxes[:, :2] <= point) & (point <= boxes[:, 2:])).all(axis=1).any())


def random_heat(chance: np.random.Generator, cells: int, side: int) -> np.ndarray:
    """Return a map of uniform noise, as coarse as a network's and enlarged as one: 0..1, shape (side, side).

    It is cut out of a larger one at a random place: no pixel is on the centre of a cell more often than others,
    and the edge, where enlarging repeats the outer cells, is no likelier to hold the maximum.
    """
    cell = side // cells
    noise = torch.from_numpy(chance.random((1, cells + 2, cells + 2), np.float32))
    large = enlarge(noise, side + 2 * cell)[0].numpy()
    top, left = chance.integers(cell // 2, cell // 2 + cell, 2)
    heat = large[top : top + side, left : left + side]
    return (heat - heat.min()) / (heat.max() - heat.min())


def centre_heat(side: int) -> np.ndarray:
    """Return a map that always points at the centre: 0..1, shape (side, side)."""
    place = (np.arange(side) + 0.5) / side - 0.5
    hill = np.exp(-((place / CENTRE_SPREAD) ** 2) / 2)
    heat = np.outer(hill, hill)
    return heat / heat.max()


def judge_chance(cases: list[Case], cells: int, side: int) -> dict[str, np.ndarray]:
    """Return how random maps and the centre map do: shares of right answers, shape (cases, questions)."""
    centre = centre_heat(side)
    draws = [
        [judge(random_heat(chance, cells, side), case.boxes) for case in cases]
        for chance in map(np.random.default_rng, range(RANDOM_SEEDS))
    ]
    return {"random": np.mean(draws, axis=0), "centre": np.array([judge(centre, case.boxes) for case in cases])}


def localisation_table(cases: list[Case], right: np.ndarray) -> dict:
    """Return the table of one reader: a row for each finding with cases, and one "overall".

    Parameters
    ----------
    right : ndarray of bool or float, shape (cases, questions)
        From `judge`, or its mean over random maps.
    """
    return {name: _table_row(right[rows]) for name, rows in _groups(cases)}


def _groups(cases: list[Case]) -> Iterator[tuple[str, list[int]]]:
    yield "overall", list(range(len(cases)))
    for finding in FINDINGS:
        if rows := [row for row, case in enumerate(cases) if case.finding == finding]:
            yield finding, rows


def _table_row(right: np.ndarray) -> dict:
    row: dict = {"cases": len(right), IOU: {}, IOBB: {}}
    for (measure, least), answers in zip(QUESTIONS, right.T, strict=True):
        figures = _proportion(answers)
        if measure == POINTING:
            row[POINTING] = figures
        else:
            row[measure][str(least)] = figures
    return row


def _proportion(answers: Iterable) -> dict:
    """Return the share of right answers with Wilson's interval; a mean over random maps has no count and none."""
    answers = np.asarray(answers)
    share = round(float(answers.mean()), 4)
    if answers.dtype != bool:
        return {"right": None, "share": share, "interval_95": None}
    right = int(answers.sum())
    low, high = binomtest(right, len(answers)).proportion_ci(0.95, "wilson")
    return {"right": right, "share": share, "interval_95": [round(float(low), 4), round(float(high), 4)]}
