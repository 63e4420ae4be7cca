"""What the networks of the capture gate learn from: photographs of films, with the truth about each."""

import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from cxrbox.capture.corners import SIDE_REACHES
from cxrbox.capture.edges import SHARES, look_along, outwards
from cxrbox.capture.networks import FINDER_SIDE, STRIP_COLUMNS, framed_input, upright_input
from cxrbundle.phantom import draw_phantom
from cxrtrain.data.films import load_grey
from cxrtrain.data.folders import read_films
from cxrtrain.data.shipped import split_as_shipped
from cxrtrain.transforms.photograph import shoot
from shapes import MAP_SIDE, REPOSITORY

sys.path.insert(0, str(REPOSITORY / "tests" / "device"))

from photographed import FAULTS, Photograph, hang, inside, photograph

FILMS = REPOSITORY.parent / "shared" / "cxr"
SIZES = (240, 320), (320, 240), (270, 270), (200, 340), (340, 200)
# How often there is a fault at all, and then each of FAULTS.
FAULT_SHARE = 0.35
FAULT_WEIGHTS = np.array([3, 10, 4, 4, 3, 4, 5, 4]) / 37
NEGATIVE_SHARE = 0.12
# How many of the photographs are by the training room, the sides of those in pixels, and how many are the finer ones.
SHOT_SHARE = 0.35
SHOT_SIDES = 512, 896
FINE_SHARE = 0.3
# How many of the films are phantoms, as the box shows them without a camera.
PHANTOM_SHARE = 0.04
# How far the corners that strips are looked at from may be off, in reaches: standard deviations. Some have one side at
# another edge.
OFF = 0.03, 0.08, 0.2
WRONG_EDGE_SHARE = 0.3


def load_films(part: str) -> list[np.ndarray]:
    """Return the sharp films of one part, uint8 (height, width)."""
    films = read_films(FILMS)
    return [
        load_grey(FILMS / film.path)
        for film, own in zip(films, split_as_shipped(films), strict=True)
        if own == part and not film.thumbnail
    ]


def photograph_set(films: list[np.ndarray], count: int, seed: int, keep: Path) -> Path:
    """Photograph films and store what the finder and the sides learn from as arrays in KEEP, which is returned.

    seen.npy, uint8 (n, 256, 256, 3), and places.npy, uint8 (n, 64, 64, 2): what the finder sees, and where film and
    glare are; glare_known.npy, bool (n,). tones.npy, uint8 (m, 256, 96), shown.npy, its bits, and columns.npy, float32
    (m, 4, 2): strips along sides that are nearly right, and where the edge is at the first and last place of each.
    """
    if keep.exists():
        return keep
    random, finder, strips = np.random.default_rng(seed), [], []
    torch.manual_seed(seed)
    for _ in range(count):
        film = _any_film(films, random)
        shot = _shoot(film, random) if random.random() < SHOT_SHARE else _photograph(film, random)
        finder.append(_of_finder(shot))
        if not shot.faults:
            strips += _of_sides(shot, random)
    seen, places, known = zip(*finder, strict=True)
    tones, shown, columns = zip(*strips, strict=True)
    part = keep.with_suffix(".part")
    part.mkdir(parents=True, exist_ok=True)
    stored = {"seen": seen, "places": places, "glare_known": known, "tones": tones, "shown": shown, "columns": columns}
    for name, values in stored.items():
        np.save(part / name, np.stack(values))
    return part.rename(keep)


def _photograph(film: np.ndarray, random: np.random.Generator) -> Photograph:
    """Return a photograph of a film that hangs anyhow, with or without a fault."""
    fault = str(random.choice(FAULTS, p=FAULT_WEIGHTS)) if random.random() < FAULT_SHARE else None
    hanging = int(random.integers(4)), bool(random.integers(2)), random.random() < NEGATIVE_SHARE
    fine = 3 if fault is None and random.random() < FINE_SHARE else 2
    size = tuple(fine * side for side in SIZES[random.integers(len(SIZES))])
    return photograph(film, random, size, None, fault, hanging)


def _shoot(film: np.ndarray, random: np.random.Generator) -> Photograph:
    """Return a photograph by the training room; where its glare is is not told."""
    side = SHOT_SIDES[int(random.random() < FINE_SHARE)]
    shot = shoot(torch.from_numpy(cv2.resize(film, (side, side)))[None, None].float() / 255, side)
    rgb = (shot.photos[0].permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    corners, unknown = shot.corners[0].numpy(), np.full((side, side), np.nan, np.float32)
    return Photograph(
        np.ascontiguousarray(rgb[..., ::-1]), corners, inside(corners, (side, side)), unknown, scene="shoot"
    )


def _of_finder(shot: Photograph) -> tuple[np.ndarray, np.ndarray, bool]:
    """Return what the finder sees of a photograph, where film and glare are, and whether the glare is known."""
    seen = cv2.resize(shot.photo, (FINDER_SIDE, FINDER_SIDE), interpolation=cv2.INTER_AREA)
    glare = (shot.glare > 0.4).astype(np.float32)
    places = [cv2.resize(each, (MAP_SIDE, MAP_SIDE), interpolation=cv2.INTER_AREA) for each in (shot.film, glare)]
    return seen, (np.stack(places, axis=2) * 255).astype(np.uint8), not np.isnan(shot.glare).any()


def _of_sides(shot: Photograph, random: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Return strips along sides that are nearly right, what of them the photograph shows, and where the edges are."""
    grey, diagonal = cv2.cvtColor(shot.photo, cv2.COLOR_BGR2GRAY), np.linalg.norm(shot.corners[2] - shot.corners[0])
    looks = []
    for reach in SIDE_REACHES:
        corners = miss(shot.corners, reach, random)
        tones, shown = look_along(grey, corners, reach * diagonal)
        tones = (tones.reshape(-1, STRIP_COLUMNS) * 255).round().astype(np.uint8)
        shown = np.packbits(shown.reshape(-1, STRIP_COLUMNS) > 0.5, axis=1)
        looks.append((tones, shown, columns_of(shot.corners, corners, reach * diagonal).astype(np.float32)))
    return looks


def miss(truth: np.ndarray, reach: float, random: np.random.Generator) -> np.ndarray:
    """Return corners as the finder may see them: a little off, and a side at times taken for the next edge."""
    diagonal = np.linalg.norm(truth[2] - truth[0])
    off = random.choice(OFF) * reach * random.standard_normal((4, 2))
    if random.random() < WRONG_EDGE_SHARE:
        side = random.integers(4)
        off[[side, (side + 1) % 4]] += outwards(truth)[side] * random.uniform(-0.7, 0.7) * reach
    return truth + off.clip(-0.9 * reach, 0.9 * reach) * diagonal


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


def bare_set(films, count, random) -> np.ndarray:
    """Return films as they are stored anywhere, not photographed, as the network sees them: float32 (n, 1, 64, 64).

    Some are phantoms, as among the photographs. Cropped, lying anyhow, in other tones, with a frame of one tone, with
    letters: none of that makes a photograph.
    """
    return np.stack([framed_input(_stored(_any_film(films, random), random)) for _ in range(count)])


def _any_film(films: list[np.ndarray], random: np.random.Generator) -> np.ndarray:
    """Return one of the films or a phantom."""
    if random.random() < PHANTOM_SHARE:
        return draw_phantom(int(random.integers(1 << 31)))
    return films[random.integers(len(films))]


def _stored(film: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a film as somebody may have stored it."""
    film = cv2.resize(film, (320, 320 * film.shape[0] // film.shape[1]), interpolation=cv2.INTER_AREA)
    height, width = film.shape
    if random.random() < 0.3:
        top, left, bottom, right = (random.uniform(0, 0.1, 4) * [height, width, height, width]).astype(int)
        film = film[top : height - bottom, left : width - right]
    if random.random() < 0.4:
        film = hang(film, int(random.integers(4)), bool(random.integers(2)), random.random() < 0.3)
    tones = (film / 255) ** random.uniform(0.5, 2) * random.uniform(0.6, 1.1) + random.uniform(-0.05, 0.15)
    if random.random() < 0.3:
        tones = tones + random.uniform(0, 0.04) * random.standard_normal(film.shape)
    film = (tones.clip(0, 1) * 255).astype(np.uint8)
    if random.random() < 0.5:
        film = _in_a_frame(film, random)
    if random.random() < 0.3:
        for _ in range(random.integers(1, 6)):
            where = tuple(int(v) for v in random.uniform(0, 0.95, 2) * film.shape[::-1])
            size = random.uniform(0.3, 1.5)
            cv2.putText(film, "L PORTABLE 7.5.R"[random.integers(15) :], where, cv2.FONT_HERSHEY_SIMPLEX, size, 255, 2)
    return film


def _in_a_frame(film: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a film with a frame of one tone on all sides or on two that face each other, as scanners make it."""
    height, width = film.shape
    share = random.uniform(0, 0.25, 4) * np.array([height, height, width, width])
    kind = random.integers(3)
    if kind < 2:
        share[[0, 1] if kind else [2, 3]] = 0
        share[:] = share.max() * (share > 0)
    tone = float(random.choice([0, 255, random.uniform(0, 255)], p=[0.6, 0.3, 0.1]))
    return cv2.copyMakeBorder(film, *share.astype(int).tolist(), cv2.BORDER_CONSTANT, value=tone)
