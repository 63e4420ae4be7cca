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


def tint_spread(rgb: np.ndarray) -> float:
    """Return how far the tints (red - green, blue - green) of a picture lie apart, in grey steps."""
    small = cv2.resize(rgb, (SIDE, SIDE), interpolation=cv2.INTER_AREA).astype(np.int16)
    tints = (small[..., ::2] - small[..., 1:2]).reshape(-1, 2)
    return float(np.abs(tints - np.median(tints, axis=0)).sum(axis=1).mean())
