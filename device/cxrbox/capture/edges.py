"""The edge next to a line: averaged along the whole side, so that noise and a dark film's faint edge do not matter."""

import cv2
import numpy as np

# Places along a side at which its edge is looked for, and how far it keeps from the corners.
PLACES = 128
FROM_CORNER = 0.03
# Steps across, each way; how far they reach together, as a share of the diagonal, is for the caller to say.
STEPS = 32
# The line that is moved is right to about so much of that reach; a clearer edge further off is another edge.
TRUST = 0.4
# Smoothing along a side, in places, and across it, in steps.
ALONG = 2.0
ACROSS = 1.5
# A place whose largest step is so many times its quiet quarter counts half.
DOUBT = 6.0
# Columns on each side of an edge that belong to it.
WINDOW = 6
# Of the camera's tones.
GAMMA = 2.2
# Least mean vote for an edge.
LEAST_EVIDENCE = 0.3


def move_to_edge(grey: np.ndarray, corners: np.ndarray, side: int, reach: float) -> tuple[np.ndarray, np.ndarray]:
    """Return two points of the edge next to a side of a quadrilateral, or the side itself where none stands out.

    Parameters
    ----------
    grey : ndarray of uint8, shape (height, width)
    corners : ndarray, shape (4, 2)
        Clockwise.
    side : int
        0 top, 1 right, 2 bottom, 3 left.
    reach : float
        How far from the side its edge may be, in pixels.

    Returns
    -------
    start, end : ndarray of float64, shape (2,)
        x and y in pixels, to fractions of one.
    """
    start, end = corners[side], corners[(side + 1) % 4]
    along = (end - start) / np.linalg.norm(end - start)
    outwards = np.array([along[1], -along[0]])
    shares = np.linspace(FROM_CORNER, 1 - FROM_CORNER, PLACES)
    offsets = np.linspace(-reach, reach, 2 * STEPS + 1)
    strip = _look_along(grey, start + np.outer(shares, end - start), outwards, offsets)
    votes = _vote(strip)
    line = _strongest_line(votes)
    if line is None:
        return start, end
    slope, level = _fit(votes, line, shares, (offsets[1:] + offsets[:-1]) / 2)
    return start + outwards * level, end + outwards * (level + slope)


def _look_along(grey, places, outwards, offsets) -> np.ndarray:
    """Return the light across a side at each place: float32 (places, offsets).

    In light and not in tones, because blur spreads light: in tones the middle of an edge moves to its dark side.
    """
    at = (places[:, np.newaxis] + offsets[:, np.newaxis] * outwards).astype(np.float32)
    seen = cv2.remap(grey, at[..., 0], at[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return cv2.GaussianBlur((seen / np.float32(255)) ** GAMMA, (0, 0), sigmaX=ACROSS, sigmaY=ALONG)


def _vote(strip: np.ndarray) -> np.ndarray:
    """Return how clearly each place sees an edge at each column, 0..1: (places, offsets - 1).

    Each place measures with its own largest step: beside a mask a film's lit part has steps a thousand times those
    of its dark corners, and with the other sign, and both tell where the side is.
    """
    steps = np.abs(np.diff(strip, axis=1))
    noise = np.quantile(steps, 0.25, axis=1, keepdims=True) + 1e-6
    return steps / (steps.max(axis=1, keepdims=True) + DOUBT * noise)


def _strongest_line(votes: np.ndarray) -> np.ndarray | None:
    """Return the column of the clearest straight edge at each place, or None: int (places,)."""
    count = votes.shape[1]
    share = np.linspace(0, 1, len(votes))[:, np.newaxis]
    first, last = (grid.ravel() for grid in np.meshgrid(np.arange(0, count, 2), np.arange(0, count, 2)))
    columns = np.rint(first + (last - first) * share).astype(np.int32)
    means = np.take_along_axis(votes, columns, axis=1).mean(axis=0)
    middle, trust = (count - 1) / 2, TRUST * STEPS
    prior = np.exp(-0.25 * (((first - middle) / trust) ** 2 + ((last - middle) / trust) ** 2))
    best = int((means * prior).argmax())
    return columns[:, best] if means[best] >= LEAST_EVIDENCE else None


def _fit(votes, line, shares, centres) -> tuple[float, float]:
    """Return slope and level of the line through the middle of the edge, weighted by how clear it is."""
    columns = np.clip(line[:, np.newaxis] + np.arange(-WINDOW, WINDOW + 1), 0, len(centres) - 1)
    near = np.take_along_axis(votes, columns, axis=1)
    weight = near.max(axis=1)
    middle = (near * centres[columns]).sum(axis=1) / (near.sum(axis=1) + 1e-9)
    keep = np.ones(len(weight), bool)
    for _ in range(3):
        slope, level = np.polyfit(shares[keep], middle[keep], 1, w=weight[keep])
        off = np.abs(middle - level - slope * shares)
        keep = off <= 3 * np.median(off[keep]) + 1e-9
    return float(slope), float(level)
