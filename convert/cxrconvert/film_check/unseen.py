"""Kinds of pictures that are never fitted on: they show what the check says of what nobody thought of."""

from itertools import pairwise

import cv2
import numpy as np

SIZE = 256


def mosaic(grey: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the film in 6 x 6 to 14 x 14 flat tiles."""
    count = int(random.integers(6, 15))
    small = cv2.resize(grey, (count, count), interpolation=cv2.INTER_AREA)
    return cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_NEAREST)


def contact_sheet(grey: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a sheet with the film four to nine times."""
    count = int(random.integers(2, 4))
    return np.tile(cv2.resize(grey, (SIZE // count, SIZE // count), interpolation=cv2.INTER_AREA), (count, count))


def whirled(grey: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the film whirled about its middle by a half to one turn."""
    film = cv2.resize(grey, (SIZE, SIZE), interpolation=cv2.INTER_AREA)
    across, down = np.meshgrid(*2 * [np.linspace(-1, 1, SIZE)])
    angle = random.choice([-1, 1]) * random.uniform(np.pi, 2 * np.pi) * np.exp(-(across**2 + down**2) / 0.4)
    x, y = np.cos(angle) * across - np.sin(angle) * down, np.sin(angle) * across + np.cos(angle) * down
    places = [((value + 1) * (SIZE - 1) / 2).astype(np.float32) for value in (x, y)]
    return cv2.remap(film, *places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)


def covered(grey: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the film with a sheet of paper over the better part of both lungs."""
    film, (height, width) = grey.copy(), grey.shape
    left, top = int(width * random.uniform(0.05, 0.15)), int(height * random.uniform(0.05, 0.2))
    right, bottom = int(width * random.uniform(0.85, 0.95)), int(height * random.uniform(0.7, 0.9))
    cv2.rectangle(film, (left, top), (right, bottom), int(random.integers(0, 256)), -1)
    return film


def outlines(grey: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the film's outlines, light on dark or dark on light."""
    edges = cv2.Canny(grey, 20, 60)
    thick = cv2.dilate(edges, np.ones((2, 2), np.uint8))
    return 255 - thick if random.random() < 0.5 else thick


def squeezed(grey: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the film squeezed into a strip of an empty sheet."""
    sheet = np.full((SIZE, SIZE), int(random.choice([0, 255])), np.uint8)
    thin = int(SIZE * random.uniform(0.25, 0.4))
    start = int(random.integers(0, SIZE - thin))
    upright = random.random() < 0.5
    strip = cv2.resize(grey, (thin, SIZE) if upright else (SIZE, thin), interpolation=cv2.INTER_AREA)
    (sheet[:, start : start + thin] if upright else sheet[start : start + thin])[:] = strip
    return sheet


def checks(random: np.random.Generator) -> np.ndarray:
    """Return stripes or a board of squares."""
    across, down = np.meshgrid(*2 * [np.arange(SIZE)])
    step, angle = random.uniform(6, 60), random.uniform(0, np.pi)
    one = np.sin(np.pi / step * (np.cos(angle) * across + np.sin(angle) * down))
    other = np.sin(np.pi / step * (np.cos(angle) * down - np.sin(angle) * across))
    board = one * other if random.random() < 0.5 else one
    return np.where(board > 0, 220, 30).astype(np.uint8)


def hand(random: np.random.Generator) -> np.ndarray:
    """Return a drawn radiograph of a hand."""
    film = np.full((SIZE, SIZE), 20, np.uint8)
    wrist = np.array([128.0, 250.0]) + random.uniform(-10, 10, 2)
    fingers = [(angle + random.uniform(-4, 4), reach * random.uniform(0.9, 1.1)) for angle, reach in FINGERS]
    for thickness, grey in ((40, 90), (11, 200)):
        for angle, reach in fingers:
            _finger(film, wrist, angle, reach, thickness, grey)
        for side in (-15, 15):  # the forearm
            start = wrist + np.array([side, 0])
            cv2.line(film, _point(start), _point(start + np.array([0, 30])), grey, thickness + 6)
    return _developed(film, random)


# Degrees from upright and length in pixels, thumb to little finger.
FINGERS = ((-48, 130), (-20, 205), (-3, 220), (13, 208), (29, 175))


def _finger(film: np.ndarray, wrist: np.ndarray, angle: float, reach: float, thickness: int, grey: int) -> None:
    """Draw one finger as flesh, or as its bones with gaps for the joints."""
    way = np.array([np.sin(np.deg2rad(angle)), -np.cos(np.deg2rad(angle))])
    joints = (0.1, 1.0) if thickness > 20 else (0.15, 0.5, 0.74, 0.9, 1.0)
    for start, end in pairwise(joints):
        gap = 0 if thickness > 20 else 0.02
        line = _point(wrist + way * reach * (start + gap)), _point(wrist + way * reach * (end - gap))
        cv2.line(film, *line, grey, thickness, cv2.LINE_AA)


def long_bone(random: np.random.Generator) -> np.ndarray:
    """Return a drawn radiograph of a thigh or an upper arm."""
    film = np.full((SIZE, SIZE), 15, np.uint8)
    lean = int(random.integers(-40, 41))
    top, bottom = (128 - lean, -20), (128 + lean, SIZE + 20)
    for thickness, grey in ((int(random.integers(90, 150)), 90), (34, 215), (12, 150)):
        cv2.line(film, top, bottom, grey, thickness)
    if random.random() < 0.5:
        for side in (-18, 18):
            cv2.ellipse(film, (128 + lean // 2 + side, 200), (26, 30), 0, 0, 360, 190, -1)
    return _developed(film, random)


def skull(random: np.random.Generator) -> np.ndarray:
    """Return a drawn radiograph of a head from the front."""
    film = np.full((SIZE, SIZE), 15, np.uint8)
    x, y = 128 + int(random.integers(-10, 11)), 115 + int(random.integers(-10, 11))
    cv2.ellipse(film, (x, y), (85, 100), 0, 0, 360, 225, -1)
    cv2.ellipse(film, (x, y - 4), (75, 90), 0, 0, 360, 150, -1)
    cv2.ellipse(film, (x, y + 90), (50, 45), 0, 0, 360, 190, -1)
    for side in (-34, 34):
        cv2.ellipse(film, (x + side, y + 25), (24, 20), 0, 0, 360, 95, -1)
        cv2.ellipse(film, (x + side, y + 25), (24, 20), 0, 0, 360, 215, 3)
    cv2.ellipse(film, (x, y + 55), (12, 22), 0, 0, 360, 90, -1)
    for tooth in range(-4, 5):
        cv2.rectangle(film, (x + tooth * 9 - 3, y + 92), (x + tooth * 9 + 3, y + 108), 245, -1)
    cv2.rectangle(film, (x - 25, y + 130), (x + 25, SIZE), 160, -1)
    return _developed(film, random)


def _point(place: np.ndarray) -> tuple[int, int]:
    return round(float(place[0])), round(float(place[1]))


def _developed(film: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a drawing softened and with grain, so that it is not told by its clean edges."""
    soft = cv2.GaussianBlur(film, (0, 0), random.uniform(1, 3)).astype(np.float32)
    light = np.linspace(*random.uniform(0.8, 1.1, 2), SIZE, dtype=np.float32)
    return np.clip(soft * light + random.normal(0, random.uniform(1, 6), film.shape), 0, 255).astype(np.uint8)
