"""Telling a radiograph from a colour photograph of something else."""

import cv2
import numpy as np

from cxrbox.refusals import refuse

SIDE = 64  # pixels of the thumbnail
# Mean distance of a pixel's tint from the picture's own median tint, in grey steps. Taking the median away lets
# a film on a blue base (12 to 23, drawn) and a phone photo of a light box (7 and 10, measured on two) pass;
# photographs of flowers, boards and streets measure 64, 60, 29 and 27. At 35 no film is lost, and what
# slips through is left to the reader's own check of its features.
MAX_TINT_SPREAD = 35
# Mean tint of a picture, in grey steps, from which on a camera took it: films saved with three equal channels have 0,
# and JPEG adds less than 1; photographs of a light box have 12 and more.
LEAST_TINT = 3


def check_colour(rgb: np.ndarray) -> None:
    """Refuse a picture with colours that no radiograph has.

    Parameters
    ----------
    rgb : ndarray of uint8, shape (height, width, 3)

    Raises
    ------
    RefusedError
        With the code colour_picture.
    """
    if tint_spread(rgb) > MAX_TINT_SPREAD:
        raise refuse("colour_picture", "this is a colour photograph, not an X-ray film")


def is_tinted(rgb: np.ndarray) -> bool:
    """Tell whether a picture has colours at all, so that a camera took it or a scanner a film on a blue base."""
    return float(np.abs(_tints(rgb)).sum(axis=1).mean()) > LEAST_TINT


def tint_spread(rgb: np.ndarray) -> float:
    """Return how far the tints (red - green, blue - green) of a picture lie apart, in grey steps."""
    tints = _tints(rgb)
    return float(np.abs(tints - np.median(tints, axis=0)).sum(axis=1).mean())


def _tints(rgb: np.ndarray) -> np.ndarray:
    """Return red - green and blue - green of a thumbnail: int16, shape (pixels, 2)."""
    small = cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.int16)
    return (small[..., ::2] - small[..., 1:2]).reshape(-1, 2)
