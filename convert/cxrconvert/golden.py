"""Golden films: what this body and head say of drawn phantoms, for the box to compare itself with."""

import numpy as np
from cxrbundle.head import Head
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import to_input

from cxrconvert.bodies import Body

SEEDS = range(6)


def read_golden(body: Body, head: Head, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Return what is said of the golden films.

    Returns
    -------
    logits : ndarray of float32, shape (films, findings)
    maps : ndarray of float16, shape (films, findings, height, width)
    """
    outputs = [head(body(to_input(draw_phantom(seed), size))) for seed in SEEDS]
    logits, maps = zip(*((output.logits, output.maps) for output in outputs), strict=True)
    return np.array(logits, np.float32), np.array(maps, np.float16)
