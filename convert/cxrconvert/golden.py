"""Golden films: what this body and head say of drawn phantoms, for the box to compare itself with."""

import numpy as np
from cxrbundle.head import Head
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import to_input

from cxrconvert.bodies import Body

SEEDS = range(6)


def golden_logits(body: Body, head: Head, size: int) -> np.ndarray:
    """Return the logits of the golden films: float32, shape (films, findings)."""
    return np.array([head(body(to_input(draw_phantom(seed), size))).logits for seed in SEEDS], np.float32)
