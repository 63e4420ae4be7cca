"""The edges next to the sides of a quadrilateral: which edge is the film's, and where it is to a fraction of a pixel.

A strip along each side is looked at as a whole, so that noise, a dark film's faint edge, the rim of the light box and
the collimator's shadow do not mislead: first by a small network that knows films, then by averaging along the edge.
"""

import cv2
import numpy as np

from cxrbox.capture.networks import EDGE_COLUMNS, STRIP_COLUMNS, STRIP_PLACES, see_sides

# Strips keep so far from the corners, as a share of the side.
FROM_CORNER = 0.03
SHARES = np.linspace(FROM_CORNER, 1 - FROM_CORNER, STRIP_PLACES)
# Each place and column of a strip is the mean of so many looks along the side and across it: that takes the noise away
# and leaves the edge, which runs along the side.
LOOKS = 4, 2
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
# The least spread of the tones around a film, of white, that is taken for more than noise.
LEAST_CONTRAST = 0.02
# A place whose largest step is so many times its quiet quarter counts half.
DOUBT = 6.0
# Columns on each side of an edge that belong to it.
WINDOW = 8


def look_along(grey: np.ndarray, corners: np.ndarray, reach: float) -> tuple[np.ndarray, np.ndarray]:
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
    tones : ndarray of float32, shape (4, 64, 96)
        0..1: top, right, bottom and left side, each from its first corner clockwise to the next. Beyond the photograph
        its outermost tones go on.
    shown : ndarray of float32, shape (4, 64, 96)
        Share of each that the photograph shows.
    """
    starts, ends = corners[:, np.newaxis], np.roll(corners, -1, axis=0)[:, np.newaxis]
    places = starts + _spread(SHARES, LOOKS[0])[:, np.newaxis] * (ends - starts)
    offsets = _spread(np.linspace(-reach, reach, STRIP_COLUMNS), LOOKS[1])[:, np.newaxis]
    at = places[:, :, np.newaxis] + offsets * outwards(corners)[:, np.newaxis, np.newaxis]
    x, y = np.ascontiguousarray(at.reshape(-1, STRIP_COLUMNS * LOOKS[1], 2).astype(np.float32).transpose(2, 0, 1))
    tones = cv2.remap(grey, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    shown = (x > -0.5) & (x < grey.shape[1] - 0.5) & (y > -0.5) & (y < grey.shape[0] - 0.5)
    size = STRIP_COLUMNS, 4 * STRIP_PLACES
    tones, shown = (
        cv2.resize(seen.astype(np.float32), size, interpolation=cv2.INTER_AREA).reshape(4, STRIP_PLACES, STRIP_COLUMNS)
        for seen in (tones, shown)
    )
    return tones / 255, shown


def _spread(values: np.ndarray, count: int) -> np.ndarray:
    """Return COUNT values evenly around each of evenly spaced values."""
    step = values[1] - values[0]
    return (values[:, np.newaxis] + (np.arange(count) + 0.5 - count / 2) / count * step).ravel()


def outwards(corners: np.ndarray) -> np.ndarray:
    """Return the direction out of the film across each side: (4, 2)."""
    along = np.roll(corners, -1, axis=0) - corners
    along = along / np.linalg.norm(along, axis=1, keepdims=True)
    # Corners go clockwise as a picture shows them, so that the film is to the right of the way.
    return np.stack([along[:, 1], -along[:, 0]], axis=1)


def strips_input(tones: np.ndarray, shown: np.ndarray) -> np.ndarray:
    """Return strips as `sides.onnx` sees them, one after the other round the film: float32 (1, 4, 256, 96).

    Tones, votes for an edge, contrast and what the photograph shows.
    """
    votes = np.pad([vote(strip) for strip in tones], ((0, 0), (0, 0), (0, 1)))
    contrast = np.stack([_contrast(strip) for strip in tones])
    levels = (tones - tones.mean()) / max(float(tones.std()), LEAST_CONTRAST)
    channels = np.stack([levels, votes, contrast, shown])
    return channels.reshape(1, len(channels), 4 * STRIP_PLACES, STRIP_COLUMNS).astype(np.float32)


def _contrast(strip: np.ndarray) -> np.ndarray:
    """Return a strip in shares of the spread of what is around each place, so that the faint shows: (64, 96)."""
    smooth = cv2.GaussianBlur(strip, (0, 0), sigmaX=1.0, sigmaY=AROUND[1] / 2)
    away = smooth - cv2.GaussianBlur(smooth, (0, 0), sigmaX=AROUND[0], sigmaY=AROUND[1])
    spread = np.sqrt(cv2.GaussianBlur(away * away, (0, 0), sigmaX=AROUND[0], sigmaY=AROUND[1]))
    return away / (spread + LEAST_SPREAD)


def move_to_film(grey: np.ndarray, corners: np.ndarray, reach: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return two points of the film's edge next to each side, as the network tells it; parameters of `look_along`."""
    shares = see_sides(strips_input(*look_along(grey, corners, reach)))
    columns = (EDGE_COLUMNS / (STRIP_COLUMNS - 1) * 2 - 1) * reach
    return [_place(corners, side, *_line_through(shares[side] @ columns)) for side in range(4)]


def move_to_edge(grey: np.ndarray, corners: np.ndarray, reach: float) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return two points of the clearest edge next to each side, or of the side where none is clear."""
    return [
        _place(corners, side, *_fit_clearest(vote(strip), reach))
        for side, strip in enumerate(look_along(grey, corners, reach)[0])
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
    light = cv2.GaussianBlur(cv2.pow(strip, GAMMA), (0, 0), sigmaX=ACROSS, sigmaY=ALONG)
    steps = np.abs(np.diff(light, axis=1))
    quarter = steps.shape[1] // 4
    noise = np.partition(steps, quarter, axis=1)[:, quarter, np.newaxis] + 1e-6
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
