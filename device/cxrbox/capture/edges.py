"""The edges next to the sides of a quadrilateral: which edge is the film's, and where it is to a fraction of a pixel.

A strip along each side is looked at as a whole, so that noise, a dark film's faint edge, the rim of the light box and
the collimator's shadow do not mislead: first by a small network that knows films, then by averaging along the edge.
"""

import cv2
import numpy as np

from cxrbox.capture.networks import STRIP_COLUMNS, STRIP_PLACES, see_sides

# Strips keep so far from the corners, as a share of the side.
FROM_CORNER = 0.03
SHARES = np.linspace(FROM_CORNER, 1 - FROM_CORNER, STRIP_PLACES)
# Of the camera's tones.
GAMMA = 2.2
# A line that is moved to an edge is right to about so much of its reach; a clearer edge further off is another edge.
TRUST = 0.4
# Least mean vote for an edge.
LEAST_EVIDENCE = 0.3
# Smoothing along a side, in places, and across it, in columns.
ALONG = 1.0
ACROSS = 1.5
# What is around a place, across and along, and the least spread that tells contrast from noise, of white.
AROUND = 8.0, 4.0
LEAST_SPREAD = 0.004
# A place whose largest step is so many times its quiet quarter counts half.
DOUBT = 6.0
# Columns on each side of an edge that belong to it.
WINDOW = 8


def look_along(grey: np.ndarray, corners: np.ndarray, reach: float) -> np.ndarray:
    """Return what is seen along each side and across it, from inside to outside.

    Parameters
    ----------
    grey : ndarray of uint8, shape (height, width)
    corners : ndarray, shape (4, 2)
        Clockwise from the top left; x, y in pixels.
    reach : float
        How far each way, in pixels.

    Returns
    -------
    ndarray of float32, shape (4, 64, 96)
        Tones, 0..1: top, right, bottom and left side.
    """
    starts, ends = corners[:, np.newaxis], np.roll(corners, -1, axis=0)[:, np.newaxis]
    places = starts + SHARES[:, np.newaxis] * (ends - starts)
    offsets = np.linspace(-reach, reach, STRIP_COLUMNS)[:, np.newaxis]
    at = places[:, :, np.newaxis] + offsets * outwards(corners)[:, np.newaxis, np.newaxis]
    x, y = at.reshape(4 * STRIP_PLACES, STRIP_COLUMNS, 2).astype(np.float32).transpose(2, 0, 1)
    seen = cv2.remap(
        grey, np.ascontiguousarray(x), np.ascontiguousarray(y), cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return seen.reshape(4, STRIP_PLACES, STRIP_COLUMNS).astype(np.float32) / 255


def outwards(corners: np.ndarray) -> np.ndarray:
    """Return the direction out of the film across each side: (4, 2)."""
    along = np.roll(corners, -1, axis=0) - corners
    along = along / np.linalg.norm(along, axis=1, keepdims=True)
    # Corners go clockwise as a picture shows them, so that the film is to the right of the way.
    return np.stack([along[:, 1], -along[:, 0]], axis=1)


def strips_input(strips: np.ndarray) -> np.ndarray:
    """Return strips as `sides.onnx` sees them, tones, votes for an edge and contrast: float32 (n, 3, 64, 96)."""
    mean, spread = (of(strips, axis=(1, 2), keepdims=True) for of in (np.mean, np.std))
    votes = np.stack([vote(strip) for strip in strips])
    votes = np.pad(votes, ((0, 0), (0, 0), (0, 1)))
    contrast = np.stack([_contrast(strip) for strip in strips])
    return np.stack([(strips - mean) / np.maximum(spread, 0.02), votes, contrast], axis=1).astype(np.float32)


def _contrast(strip: np.ndarray) -> np.ndarray:
    """Return a strip in shares of the spread of what is around each place, so that the faint shows: (64, 96)."""
    smooth = cv2.GaussianBlur(strip, (0, 0), sigmaX=1.0, sigmaY=AROUND[1] / 2)
    away = smooth - cv2.GaussianBlur(smooth, (0, 0), sigmaX=AROUND[0], sigmaY=AROUND[1])
    spread = np.sqrt(cv2.GaussianBlur(away * away, (0, 0), sigmaX=AROUND[0], sigmaY=AROUND[1]))
    return away / (spread + LEAST_SPREAD)


def move_to_film(grey: np.ndarray, corners: np.ndarray, reach: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return two points of the film's edge next to each side, as the network tells it; parameters of `look_along`."""
    shares = see_sides(strips_input(look_along(grey, corners, reach)))
    columns = (np.arange(STRIP_COLUMNS) / (STRIP_COLUMNS - 1) * 2 - 1) * reach
    return [_place(corners, side, *_line_through(shares[side] @ columns)) for side in range(4)]


def move_to_edge(grey: np.ndarray, corners: np.ndarray, reach: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return two points of the clearest edge next to each side, or of the side where none is clear."""
    return [
        _place(corners, side, *_fit_clearest(vote(strip), reach))
        for side, strip in enumerate(look_along(grey, corners, reach))
    ]


def _line_through(ends: np.ndarray) -> tuple[float, float]:
    """Return slope and level, by the share of the side, of a line given at the first and last place of a strip."""
    slope = (ends[1] - ends[0]) / (1 - 2 * FROM_CORNER)
    return float(slope), float(ends[0] - slope * FROM_CORNER)


def _place(corners: np.ndarray, side: int, slope: float, level: float) -> tuple[np.ndarray, np.ndarray]:
    """Return two points of a line given by its slope and level across a side."""
    start, end, out = corners[side], corners[(side + 1) % 4], outwards(corners)[side]
    return start + out * level, end + out * (level + slope)


def vote(strip: np.ndarray) -> np.ndarray:
    """Return how clearly each place of a strip of tones sees an edge at each column, 0..1: (64, 95).

    Each place measures with its own largest step: beside a mask a film's lit part has steps a thousand times those of
    its dark corners, and with the other sign, and both tell where the side is. Steps are taken in light and not in
    tones, because blur spreads light: in tones the middle of an edge moves to its dark side.
    """
    light = cv2.GaussianBlur(strip**GAMMA, (0, 0), sigmaX=ACROSS, sigmaY=ALONG)
    steps = np.abs(np.diff(light, axis=1))
    noise = np.quantile(steps, 0.25, axis=1, keepdims=True) + 1e-6
    return steps / (steps.max(axis=1, keepdims=True) + DOUBT * noise)


def _fit_clearest(votes: np.ndarray, reach: float) -> tuple[float, float]:
    """Return slope and level of the clearest straight edge; 0, 0 where none is clear."""
    line = _clearest_line(votes)
    if line is None:
        return 0.0, 0.0
    centres = np.linspace(-reach, reach, STRIP_COLUMNS)
    return _fit(votes, line, (centres[1:] + centres[:-1]) / 2)


def _clearest_line(votes: np.ndarray) -> np.ndarray | None:
    """Return the column of the clearest straight edge at each place, or None: int (64,)."""
    count = votes.shape[1]
    share = np.linspace(0, 1, len(votes))[:, np.newaxis]
    first, last = (grid.ravel() for grid in np.meshgrid(np.arange(0, count, 3), np.arange(0, count, 3)))
    columns = np.rint(first + (last - first) * share).astype(np.int32)
    means = np.take_along_axis(votes, columns, axis=1).mean(axis=0)
    middle, trust = (count - 1) / 2, TRUST * count / 2
    prior = np.exp(-0.25 * (((first - middle) / trust) ** 2 + ((last - middle) / trust) ** 2))
    best = int((means * prior).argmax())
    return columns[:, best] if means[best] >= LEAST_EVIDENCE else None


def _fit(votes: np.ndarray, line: np.ndarray, centres: np.ndarray) -> tuple[float, float]:
    """Return slope and level of the line through the middle of the edge, weighted by how clear it is."""
    columns = np.clip(line[:, np.newaxis] + np.arange(-WINDOW, WINDOW + 1), 0, len(centres) - 1)
    near = np.take_along_axis(votes, columns, axis=1)
    weight = near.max(axis=1)
    middle = (near * centres[columns]).sum(axis=1) / (near.sum(axis=1) + 1e-9)
    keep = np.ones(len(weight), bool)
    for _ in range(3):
        slope, level = np.polyfit(SHARES[keep], middle[keep], 1, w=weight[keep])
        off = np.abs(middle - level - slope * SHARES)
        keep = off <= 3 * np.median(off[keep]) + 1e-9
    return float(slope), float(level)
