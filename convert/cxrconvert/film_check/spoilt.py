"""Films as they come, which must be read, and films spoilt so that they must not be.

Every function takes a film, bone bright, uint8 of shape (height, width), and returns another.
"""

import cv2
import numpy as np

# Good films lie askew by so many degrees, fill the picture by e to the power of so much more or less, each side
# on its own, are off its middle by a share of it, and stand before black, grey or white.
TILT, ZOOM, SHIFT, BORDERS = 6.0, 0.15, 0.05, (0, 0, 128, 255)
# They are developed lighter or darker, by a gamma of 1/2 to 2; every third goes through the local contrast of
# some digitiser, every third through a steep film curve.
GAMMA, SOME = 2.0, 1 / 3
# Photographed ones are lit unevenly, by so much over half the picture, and mirror a lamp.
UNEVEN, GLARE = 0.35, 0.4
# They are softened or sharpened, in shares of the longer side, and have grain, in grey levels.
SOFT, SHARP, GRAIN = 0.01, 0.03, 8.0


def as_it_comes(grey: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a good film with the faults of scanning and photographing that are no reason to refuse it."""
    film = _frame(grey, random)
    if random.random() < SOME:
        pieces = int(random.integers(2, 9))
        film = cv2.createCLAHE(random.uniform(1, 3), (pieces, pieces)).apply(film)
    tones = _develop(film.astype(np.float32) / 255, random)
    if random.random() < SOME:
        tones = _photograph(tones, random)
    noise = random.normal(0, random.uniform(0, GRAIN), tones.shape)
    return np.clip(255 * _focus(tones, random) + noise, 0, 255).astype(np.uint8)


def _frame(grey: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the film as somebody laid it down and cut it out."""
    zoom = np.exp(random.uniform(-ZOOM, ZOOM, 2))
    return _move(grey, random.uniform(-TILT, TILT), zoom, random.uniform(-SHIFT, SHIFT, 2), random)


def _develop(tones: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the film's tones, 0 to 1, on another curve."""
    tones = tones ** np.float32(GAMMA ** random.uniform(-1, 1))
    if random.random() < SOME:
        steep, middle = random.uniform(3, 8), random.uniform(0.35, 0.65)
        tones = 1 / (1 + np.exp(-steep * (tones - middle)))
    return tones.astype(np.float32)


def _photograph(tones: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the film under light from one side, perhaps with a lamp mirrored in it."""
    height, width = tones.shape
    across, down = np.meshgrid(np.linspace(-1, 1, width), np.linspace(-1, 1, height))
    way, fall = random.uniform(0, 2 * np.pi), random.uniform(0, UNEVEN)
    lit = tones * (1 + fall * (np.cos(way) * across + np.sin(way) * down))
    if random.random() < 0.5:
        x, y, radius = *random.uniform(-1, 1, 2), random.uniform(0.03, 0.3)
        lit += random.uniform(0, GLARE) * np.exp(-((across - x) ** 2 + (down - y) ** 2) / (2 * radius**2))
    return np.clip(lit, 0, 1).astype(np.float32)


def _focus(tones: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the film a little soft, or sharpened as digitisers do."""
    if random.random() < SOME:
        return tones + random.uniform(0.3, 1.5) * (tones - _soften(tones, random.uniform(SOFT / 2, SHARP)))
    return _soften(tones, random.uniform(0, SOFT))


def turned(grey: np.ndarray, quarters: int) -> np.ndarray:
    """Return the film turned by quarters to the left."""
    return np.ascontiguousarray(np.rot90(grey, quarters))


def mirrored(grey: np.ndarray) -> np.ndarray:
    """Return the film as seen from behind."""
    return cv2.flip(grey, 1)


def negative(grey: np.ndarray) -> np.ndarray:
    """Return the film with bone dark."""
    return 255 - grey


def tilted(grey: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the film turned by 20 to 70 degrees to either side."""
    degrees = random.uniform(20, 70) * random.choice([-1, 1])
    return _move(grey, degrees, np.full(2, random.uniform(0.7, 1.1)), np.zeros(2), random)


def part(grey: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a part of the film, such as a shoulder or the abdomen: a fifth to a half of each side."""
    tall, wide = (int(side * share) for side, share in zip(grey.shape, random.uniform(0.2, 0.5, 2), strict=True))
    top, left = (int(random.integers(0, room)) for room in np.subtract(grey.shape, (tall, wide)))
    return np.ascontiguousarray(grey[top : top + tall, left : left + wide])


def one_lung(grey: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the left or the right half of the film, a little more or less."""
    middle = int(grey.shape[1] * random.uniform(0.4, 0.6))
    return np.ascontiguousarray(grey[:, :middle] if random.random() < 0.5 else grey[:, middle:])


def blurred(grey: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the film so blurred that no rib is left."""
    return _soften(grey, random.uniform(0.03, 0.1))


def scrambled(grey: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return the film cut into 2 x 2 to 6 x 6 pieces, none of them where it was."""
    count = int(random.integers(2, 7))
    side = 240 // count
    whole = cv2.resize(grey, (count * side, count * side), interpolation=cv2.INTER_AREA)
    pieces = whole.reshape(count, side, count, side).transpose(0, 2, 1, 3).reshape(-1, side, side)
    order = random.permutation(len(pieces))
    mixed = np.empty_like(pieces)
    mixed[order] = pieces[np.roll(order, 1)]
    return mixed.reshape(count, count, side, side).transpose(0, 2, 1, 3).reshape(whole.shape)


def _soften(film: np.ndarray, share: float) -> np.ndarray:
    """Return a film blurred with a sigma of a share of its longer side."""
    sigma = share * max(film.shape)
    return cv2.GaussianBlur(film, (0, 0), sigma) if sigma > 0.1 else film


def _move(
    grey: np.ndarray, degrees: float, zoom: np.ndarray, shift: np.ndarray, random: np.random.Generator
) -> np.ndarray:
    """Return the film zoomed, turned about its middle, and shifted by shares of its sides."""
    size = np.array(grey.shape[::-1], float)
    turn = cv2.getRotationMatrix2D((0, 0), degrees, 1)[:, :2] * zoom
    offset = size / 2 - turn @ (size / 2) + shift * size
    matrix = np.column_stack([turn, offset])
    border = int(random.choice(BORDERS))
    return cv2.warpAffine(grey, matrix, grey.shape[::-1], flags=cv2.INTER_LINEAR, borderValue=border)
