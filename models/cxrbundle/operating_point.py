"""The operating point of a finding: how its likelihood is calibrated, and on which side of its thresholds it lies.

Needs no numpy: the page speaks of thresholds, and takes no memory for what it does not calculate.
"""

from dataclasses import dataclass

BELOW, UNCERTAIN, ABOVE = "below", "uncertain", "above"


@dataclass(frozen=True)
class Calibration:
    """Platt scaling of one finding: likelihood = sigmoid(slope * logit + intercept) (Platt, 1999)."""

    slope: float
    intercept: float


@dataclass(frozen=True)
class Thresholds:
    """The operating point of one finding, as calibrated likelihoods.

    `above` is the threshold shown to the user. A film between `uncertain` and `above` is neither in nor out.
    """

    uncertain: float
    above: float


def state(likelihood: float, thresholds: Thresholds) -> str:
    """Return on which side of its thresholds a likelihood lies: "below", "uncertain" or "above"."""
    if likelihood >= thresholds.above:
        return ABOVE
    return UNCERTAIN if likelihood >= thresholds.uncertain else BELOW
