"""Learning-rate schedules: pure functions of progress."""

import math


def warm_cosine(progress: float, warm: float = 0.15, floor: float = 0.01) -> float:
    """Return the share of the top learning rate at a progress of 0..1: a cosine up, then a cosine down."""
    if progress < warm:
        return 0.1 + 0.9 * (1 - math.cos(math.pi * progress / warm)) / 2
    return floor + (1 - floor) * (1 + math.cos(math.pi * (progress - warm) / (1 - warm))) / 2
