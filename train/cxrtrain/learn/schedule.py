"""Learning-rate and momentum schedules: pure functions of the progress of a phase, 0..1."""

import math

# One-cycle as fastai had it when the paper was written (Smith, 2018): the rate starts at 1/25 of its top and ends
# at 1/25/10^4 of it, and momentum goes the other way.
ONE_CYCLE_START = 1 / 25
ONE_CYCLE_END = ONE_CYCLE_START / 1e4
MOMENTUM_HIGH, MOMENTUM_LOW = 0.95, 0.85


def cosine(start: float, end: float, progress: float) -> float:
    """Return the value between start and end at a progress of 0..1, on half a cosine."""
    return end + (start - end) * (1 + math.cos(math.pi * progress)) / 2


def warm_cosine(progress: float, warm: float = 0.15, floor: float = 0.01) -> float:
    """Return the share of the top learning rate: a cosine up from a tenth, then a cosine down to the floor."""
    if progress < warm:
        return cosine(0.1, 1, progress / warm)
    return cosine(1, floor, (progress - warm) / (1 - warm))


def one_cycle_rate(progress: float, warm: float = 0.3) -> float:
    """Return the share of the top learning rate in the one-cycle policy (paper, Fig. 5 left)."""
    if progress < warm:
        return cosine(ONE_CYCLE_START, 1, progress / warm)
    return cosine(1, ONE_CYCLE_END, (progress - warm) / (1 - warm))


def one_cycle_momentum(progress: float, warm: float = 0.3) -> float:
    """Return the momentum in the one-cycle policy: low where the rate is high (paper, Fig. 5 right)."""
    if progress < warm:
        return cosine(MOMENTUM_HIGH, MOMENTUM_LOW, progress / warm)
    return cosine(MOMENTUM_LOW, MOMENTUM_HIGH, (progress - warm) / (1 - warm))


def range_test_rate(step: int, steps: int, lowest: float, highest: float) -> float:
    """Return the learning rate at a step of the range test: lr0 (lrmax / lr0)^(i / n) (paper, eq. 1.4)."""
    return lowest * (highest / lowest) ** (step / steps)
