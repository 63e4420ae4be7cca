"""From logits to what is shown: likelihoods, and on which side of its thresholds each finding lies."""

from dataclasses import dataclass

import numpy as np

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


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Return 1 / (1 + exp(-x)) without overflow, elementwise."""
    return np.where(x >= 0, 1.0, np.exp(-np.abs(x))) / (1.0 + np.exp(-np.abs(x)))


def likelihoods(logits: np.ndarray, calibrations: list[Calibration]) -> np.ndarray:
    """Return calibrated likelihoods.

    Parameters
    ----------
    logits : ndarray of float, shape (..., findings)
    calibrations : list of Calibration
        One for each finding.

    Returns
    -------
    ndarray of float64, shape (..., findings)
    """
    slope = np.array([c.slope for c in calibrations])
    intercept = np.array([c.intercept for c in calibrations])
    return sigmoid(slope * np.asarray(logits, np.float64) + intercept)


def state(likelihood: float, thresholds: Thresholds) -> str:
    """Return on which side of its thresholds a likelihood lies: "below", "uncertain" or "above"."""
    if likelihood >= thresholds.above:
        return ABOVE
    return UNCERTAIN if likelihood >= thresholds.uncertain else BELOW
