"""What the networks of the capture gate learn from: photographs of films, with the truth about each."""

import csv
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from cxrbox.capture.corners import SIDE_REACHES, find_roughly
from cxrbox.capture.edges import SHARES, look_along, outwards
from cxrbox.capture.networks import FINDER_SIDE, STRIP_COLUMNS, upright_input
from cxrtrain.transforms.photograph import shoot
from shapes import MAP_SIDE, REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tests" / "device"))

from photographed import FAULTS, hang, photograph

FILMS = REPOSITORY.parent / "shared" / "cxr"
SIZES = (240, 320), (320, 240), (270, 270), (200, 340), (340, 200)
# How often there is a fault at all, and then each of FAULTS.
FAULT_SHARE = 0.35
FAULT_WEIGHTS = np.array([3, 10, 4, 4, 3, 4, 5, 4]) / 37
NEGATIVE_SHARE = 0.12
# How many of the strips come from photographs by the training room, and the side of those in pixels.
SHOT_SHARE = 0.35
SHOT_SIDE = 512
# How far the corners that strips are looked at from may be off, in diagonals: standard deviations.
OFF = 0.004, 0.012, 0.03


def load_films(part: str) -> list[np.ndarray]:
    """Return the films of one part, uint8 (height, width)."""
    with (REPOSITORY / "runs" / "edge-3" / "films.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["part"] == part and row["thumbnail"] == "0"]
    return [cv2.imread(str(FILMS / row["path"]), cv2.IMREAD_GRAYSCALE) for row in rows]


def photograph_set(films: list[np.ndarray], count: int, seed: int, keep: Path) -> dict[str, np.ndarray]:
    """Return what the finder sees and the truth about it: x uint8 (n, 128, 128, 3), y uint8 (n, 64, 64, 2)."""
    if keep.exists():
        return dict(np.load(keep))
    random = np.random.default_rng(seed)
    x = np.zeros((count, FINDER_SIDE, FINDER_SIDE, 3), np.uint8)
    y = np.zeros((count, MAP_SIDE, MAP_SIDE, 2), np.uint8)
    for place in range(count):
        film = films[random.integers(len(films))]
        fault = str(random.choice(FAULTS, p=FAULT_WEIGHTS)) if random.random() < FAULT_SHARE else None
        hanging = int(random.integers(4)), bool(random.integers(2)), random.random() < NEGATIVE_SHARE
        shot = photograph(film, random, SIZES[random.integers(len(SIZES))], None, fault, hanging)
        x[place] = cv2.resize(shot.photo, (FINDER_SIDE, FINDER_SIDE), interpolation=cv2.INTER_AREA)
        glare = (shot.glare > 0.4).astype(np.float32)
        truth = [
            cv2.resize(places, (MAP_SIDE, MAP_SIDE), interpolation=cv2.INTER_AREA) for places in (shot.film, glare)
        ]
        y[place] = np.stack(truth, axis=2) * 255
    np.savez(keep, x=x, y=y)
    return {"x": x, "y": y}


def photograph_strips(films: list[np.ndarray], count: int, seed: int, keep: Path) -> dict[str, np.ndarray]:
    """Return strips along sides that are nearly right, uint8 (n, 64, 96), and where the edge is in them, (n, 2).

    In columns at the first and the last place of the strip.
    """
    if keep.exists():
        return dict(np.load(keep))
    random, x, y = np.random.default_rng(seed), [], []
    torch.manual_seed(seed)
    for _ in range(count):
        film = films[random.integers(len(films))]
        photo, truth = _shoot(film) if random.random() < SHOT_SHARE else _photograph(film, random)
        grey, diagonal = cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY), np.linalg.norm(truth[2] - truth[0])
        for corners, reach in _looks(photo, truth, diagonal, random):
            x.append((look_along(grey, corners, reach) * 255).round().astype(np.uint8))
            y.append(columns_of(truth, corners, reach))
    result = {"x": np.concatenate(x), "y": np.concatenate(y).astype(np.float32)}
    np.savez(keep, **result)
    return result


def _photograph(film: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return a good photograph of a film that hangs anyhow, and its corners."""
    hanging = int(random.integers(4)), bool(random.integers(2)), random.random() < NEGATIVE_SHARE
    size = tuple(2 * side for side in SIZES[random.integers(len(SIZES))])
    shot = photograph(film, random, size, hanging=hanging)
    return shot.photo, shot.corners


def _shoot(film: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a photograph by the training room, and the film's corners."""
    shot = shoot(torch.from_numpy(film)[None, None].float() / 255, SHOT_SIDE)
    rgb = (shot.photos[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    return np.ascontiguousarray(rgb[..., ::-1]), shot.corners[0].numpy()


def _looks(photo: np.ndarray, truth: np.ndarray, diagonal: float, random: np.random.Generator) -> list:
    """Return the quadrilaterals from which the edges are looked at and how far: what the finder sees, and worse."""
    rough = find_roughly(photo)
    looks = [] if rough is None else [(rough.points, SIDE_REACHES[0] * diagonal)]
    for reach in SIDE_REACHES:
        off = random.choice(OFF) * random.standard_normal((4, 2))
        looks.append((truth + np.clip(off, -reach, reach) * diagonal, reach * diagonal))
    return looks


def columns_of(truth: np.ndarray, corners: np.ndarray, reach: float) -> np.ndarray:
    """Return the columns of the strips along CORNERS at which the true sides cross their first and last places."""
    columns = np.zeros((4, 2))
    for side, out in enumerate(outwards(corners)):
        start, end = corners[side], corners[(side + 1) % 4]
        a, b = truth[side], truth[(side + 1) % 4]
        normal = np.array([b[1] - a[1], a[0] - b[0]])
        for last in range(2):
            place = start + SHARES[-last] * (end - start)
            columns[side, last] = (a - place) @ normal / (out @ normal)
    return (columns / reach + 1) / 2 * (STRIP_COLUMNS - 1)


def spoil(film: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a film as it comes out of a photograph: not quite straight, unevenly lit, in other tones."""
    height, width = film.shape
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32) * (width, height)
    seen = square + random.normal(0, 0.015, (4, 2)).astype(np.float32) * (width, height)
    where = cv2.getPerspectiveTransform(seen.astype(np.float32), (square * 96 / (width, height)).astype(np.float32))
    grey = cv2.warpPerspective(film, where, (96, 96), borderMode=cv2.BORDER_REPLICATE).astype(np.float32) / 255
    y, x = np.meshgrid(*[np.linspace(-1, 1, 96)] * 2, indexing="ij")
    light = 1 + random.normal(0, 0.15) * x + random.normal(0, 0.15) * y
    grey = grey ** random.uniform(0.6, 1.6) * light + random.uniform(0, 0.3)
    if random.random() < 0.3:
        middle, radius = random.uniform(-1, 1, 2), random.uniform(0.1, 0.35)
        grey += random.uniform(0, 0.7) * np.exp(-((x - middle[0]) ** 2 + (y - middle[1]) ** 2) / 2 / radius**2)
    grey = cv2.GaussianBlur(grey.clip(0, random.uniform(0.75, 1.3)), (0, 0), random.uniform(0.2, 1.5))
    grey = grey + random.normal(0, random.uniform(0, 0.04), grey.shape)
    return (grey.clip(0, 1) * 255).astype(np.uint8)


def cut(film: np.ndarray, random: np.random.Generator) -> tuple[np.ndarray, float]:
    """Return a film that lost some of a side, and whether lungs were cut: 1, 0 or NaN where one cannot tell."""
    height, width = film.shape
    side, gone = random.integers(4), random.uniform(0, 0.06) if random.random() < 0.6 else random.uniform(0, 0.45)
    y, x = int(height * gone), int(width * gone)
    rest = film[y * (side == 0) : height - y * (side == 2), x * (side == 1) : width - x * (side == 3)]
    enough = 0.25 if side != 2 else 0.38
    return rest, 1.0 if gone > enough else 0.0 if gone < 0.07 else np.nan


def upright_set(films, count, random) -> tuple[np.ndarray, np.ndarray]:
    """Return what the network sees, float32 (n, 1, 64, 64), and the truth: hanging, negative, cut (n, 3)."""
    x, y = np.zeros((count, 1, 64, 64), np.float32), np.zeros((count, 3), np.float32)
    for place in range(count):
        rest, lost = cut(films[random.integers(len(films))], random)
        turns, mirrored, negative = random.integers(4), random.integers(2), random.integers(2)
        hung = hang(spoil(rest, random), turns, mirrored, negative)
        x[place], y[place] = upright_input(hung), (turns + 4 * mirrored, negative, lost)
    return x, y
