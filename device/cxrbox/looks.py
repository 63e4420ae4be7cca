"""A film out of a photograph is looked at in several ways: what a camera adds by chance moves their mean less."""

from collections.abc import Callable

import cv2
import numpy as np

# Pixels of the network's input, of 224 a side: standard deviation of the blur that softens, and of the one whose
# difference sharpens by half of it.
SOFT, SHARP, SHARPENED = 0.8, 1.0, 0.5
# Nearer, farther, and turned a little each way (factor, degrees): the places of the class maps stay within half of one.
MOVES = (1.05, 0), (0.95, 0), (1, 6), (1, -6)


def mean_features(body: Callable[[np.ndarray], np.ndarray], pixels: np.ndarray, features: np.ndarray) -> np.ndarray:
    """Return the mean of the feature maps of a film as it is and of its other looks.

    Parameters
    ----------
    body : callable
        Takes the input, returns the feature map.
    pixels : ndarray of uint8, shape (1, side, side, 3)
    features : ndarray of float32, shape (height, width, channels)
        What the body made of the film as it is.

    Returns
    -------
    ndarray of float32, shape (height, width, channels)
    """
    seen = [features, *(body(look[np.newaxis]) for look in other_looks(pixels[0]))]
    return np.mean(seen, axis=0, dtype=np.float32)


def other_looks(film: np.ndarray) -> list[np.ndarray]:
    """Return a film softer, sharper, nearer, farther, turned left and right: each uint8, shape (side, side, 3)."""
    soft, softer = (cv2.GaussianBlur(film, (0, 0), sigma) for sigma in (SOFT, SHARP))
    sharp = cv2.addWeighted(film, 1 + SHARPENED, softer, -SHARPENED, 0)
    return [soft, sharp, *(_move(film, *move) for move in MOVES)]


def _move(film: np.ndarray, factor: float, degrees: float) -> np.ndarray:
    """Return a film magnified and turned to the left about its middle; what comes in at the border repeats it."""
    middle = (film.shape[1] - 1) / 2, (film.shape[0] - 1) / 2
    move = cv2.getRotationMatrix2D(middle, degrees, factor)
    return cv2.warpAffine(film, move, film.shape[1::-1], borderMode=cv2.BORDER_REPLICATE)
