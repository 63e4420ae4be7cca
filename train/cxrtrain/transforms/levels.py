"""The contract's stretch of levels (cxrbundle.preprocess) for a batch on any device."""

import math

from cxrbundle.preprocess import BLACK, LEAST_CONTRAST, WHITE
from torch import Tensor


def stretch_levels(films: Tensor) -> Tensor:
    """Return films with their levels stretched to 0..255, the darkest and brightest half percent clipped.

    A film without contrast, which the contract refuses, stays nearly so.

    Parameters
    ----------
    films : Tensor of float, shape (n, height, width)
        0..255.

    Returns
    -------
    Tensor of float, shape (n, height, width)
        Not rounded.
    """
    black, white = (_level(films, share) for share in (BLACK, WHITE))
    return ((films - black) * (255 / (white - black).clamp(min=LEAST_CONTRAST))).clamp(0, 255)


def _level(films: Tensor, share: float) -> Tensor:
    """Return the smallest grey that this share of a film does not exceed: shape (n, 1, 1)."""
    pixels = films.flatten(1)
    return pixels.kthvalue(math.ceil(share * pixels.shape[1]), dim=1).values.view(-1, 1, 1)
