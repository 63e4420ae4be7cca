"""From deep grey to 8 bits through tables: one entry for each value a pixel can have, one look-up for each pixel.

A film has millions of pixels and at most 65536 values, so all arithmetic is done on the values.
"""

import cv2
import numpy as np
from cxrbundle.preprocess import LEAST_CONTRAST

from cxrbox.refusals import refuse

# Percent. Markers, burnt-in letters and dead pixels lie outside; the lungs and the bones do not.
ROBUST = (0.1, 99.9)
ROWS_AT_ONCE = 64
# Fewer greys than this hide what is faint: of 199 films with 4 greys 169 were read, their logits 2.9 off in the median,
# with 16 greys .6. Of 4711 films as they come none has fewer than 116 there.
LEAST_GREYS = 32
# Pixels along the shorter side that are looked at for them.
SAMPLED = 128


def count_values(pixels: np.ndarray) -> np.ndarray:
    """Return how many pixels have each value: float32, shape (256,) or (65536,).

    Parameters
    ----------
    pixels : ndarray of uint8 or uint16, shape (height, width)
    """
    values = 256**pixels.dtype.itemsize
    # OpenCV counts without the eight bytes a pixel that numpy.bincount needs.
    return cv2.calcHist([pixels], [0], None, [values], [0, values]).ravel()


def check_greys(film: np.ndarray) -> None:
    """Refuse a film that was saved in so few greys that it would be misread; one without contrast is told apart later.

    Parameters
    ----------
    film : ndarray of uint8, shape (height, width)

    Raises
    ------
    RefusedError
        With the code few_greys.
    """
    step = max(1, min(film.shape) // SAMPLED)
    present = np.flatnonzero(count_values(np.ascontiguousarray(film[::step, ::step])))
    if present.size < LEAST_GREYS and present[-1] - present[0] >= LEAST_CONTRAST:
        raise refuse("few_greys", f"the picture has only {present.size} shades of grey")


def robust_range(values: np.ndarray, counts: np.ndarray, percent: tuple[float, float] = ROBUST) -> np.ndarray:
    """Return the two percentiles of a film from its values and how many pixels have each.

    A film whose percentiles coincide answers its extremes; one with a single value, that value twice.

    Parameters
    ----------
    values : ndarray, shape (n,)
        In any order.
    counts : ndarray, shape (n,)
    percent : tuple of two floats
    """
    present = np.flatnonzero(counts)
    order = present[np.argsort(values[present], kind="stable")]
    below = np.cumsum(counts[order], dtype=np.float64)
    at = np.searchsorted(below, np.divide(percent, 100) * below[-1])
    low, high = values[order[np.minimum(at, order.size - 1)]]
    return np.array([low, high]) if low < high else values[order[[0, -1]]]


def stretch(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Return greys, 0 to 255 in float64: linear between low and high, black everywhere if there is no range."""
    if not low < high:
        return np.zeros(values.shape)
    return np.clip((values - np.float64(low)) / (np.float64(high) - low), 0, 1) * 255


def look_up(greys: np.ndarray, pixels: np.ndarray) -> np.ndarray:
    """Return the film: uint8, shape (height, width).

    Parameters
    ----------
    greys : ndarray of float, shape (256,) or (65536,)
        The grey of each value, 0 to 255.
    pixels : ndarray of uint8 or uint16, shape (height, width)
    """
    table = np.rint(greys).astype(np.uint8)
    if pixels.dtype.itemsize == 1:
        return cv2.LUT(pixels, table)
    film = np.empty(pixels.shape, np.uint8)
    # numpy widens indices to eight bytes: a few rows at a time keep that in the cache.
    for row in range(0, len(pixels), ROWS_AT_ONCE):
        film[row : row + ROWS_AT_ONCE] = table[pixels[row : row + ROWS_AT_ONCE]]
    return film


def level_deep(pixels: np.ndarray) -> np.ndarray:
    """Return a deep picture in 8 bits, linear between its robust percentiles: uint8, shape (height, width).

    Parameters
    ----------
    pixels : ndarray of uint16, int32, uint32 or float32, shape (height, width)
    """
    if pixels.dtype.kind in "iu" and pixels.min() >= 0 and pixels.max() <= 65535:
        pixels = pixels.astype(np.uint16)
    if pixels.dtype.itemsize == 2:
        pixels = np.ascontiguousarray(pixels, np.uint16)  # in the byte order of this machine
        values, counts = np.arange(65536), count_values(pixels)
        return look_up(stretch(values, *robust_range(values, counts)), pixels)
    pixels = pixels.astype(np.float64)  # differences of extremes overflow float32
    known = pixels[np.isfinite(pixels)]
    if not known.size:
        return np.zeros(pixels.shape, np.uint8)
    low, high = np.percentile(known, ROBUST)
    # What is not a number or beyond all numbers becomes the edge it lies at.
    filled = np.nan_to_num(pixels, nan=low, posinf=high, neginf=low)
    return np.rint(stretch(filled, low, high)).astype(np.uint8)
