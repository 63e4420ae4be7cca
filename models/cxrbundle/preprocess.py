"""The deterministic path from a grey film to the body's input.

Training evaluates with it and the box runs it, so a change here is a new kind of bundle: raise
`cxrbundle.manifest.PREPROCESSING`, and bundles of the old kind are refused.
"""

import cv2
import numpy as np

from cxrbundle.errors import BlankFilmError

# Share of pixels below black and above white after the levels are stretched. It takes the gain and the
# offset of the digitiser out of the picture, and side markers or borders cannot set the scale.
BLACK, WHITE = 0.005, 0.995
# Fewer grey steps than this between the two is no film.
LEAST_CONTRAST = 8


def resize_film(grey: np.ndarray, size: int) -> np.ndarray:
    """Return a film as a square picture.

    The sides are scaled on their own, as the NIH did when it made 1024 x 1024 of every film of
    ChestX-ray14; a letter box would show the network a border it never saw.

    Parameters
    ----------
    grey : ndarray of uint8, shape (height, width)
        The film, bone bright (MONOCHROME2).
    size : int
        Side of the square, in pixels.

    Returns
    -------
    ndarray of uint8, shape (size, size)
    """
    shrinks = min(grey.shape) >= size
    return cv2.resize(grey, (size, size), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)


def stretch_levels(grey: np.ndarray) -> np.ndarray:
    """Return the film with its levels stretched to 0..255, the darkest and brightest half percent clipped.

    Parameters
    ----------
    grey : ndarray of uint8, shape (height, width)

    Raises
    ------
    BlankFilmError
        If the film has no contrast to stretch.
    """
    counts = np.bincount(grey.ravel(), minlength=256)
    share = np.cumsum(counts) / grey.size
    black, white = (int(level) for level in np.searchsorted(share, [BLACK, WHITE]))
    if white - black < LEAST_CONTRAST:
        raise BlankFilmError(
            f"the film is blank: its grey levels run from {black} to {white} of 255; expose or scan it again"
        )
    table = np.clip((np.arange(256.0) - black) * (255.0 / (white - black)), 0, 255).round().astype(np.uint8)
    return cv2.LUT(grey, table)


def to_input(grey: np.ndarray, size: int) -> np.ndarray:
    """Return the body's input for one film.

    Parameters
    ----------
    grey : ndarray of uint8, shape (height, width)
        The film, bone bright (MONOCHROME2).
    size : int
        Side of the body's input, in pixels.

    Returns
    -------
    ndarray of uint8, shape (1, size, size, 3)
        Raw pixels, the grey channel three times; the body's own quantisation does the scaling.

    Raises
    ------
    BlankFilmError
        If the film has no contrast.
    """
    square = stretch_levels(resize_film(grey, size))
    return cv2.cvtColor(square, cv2.COLOR_GRAY2RGB)[np.newaxis]
