"""From logits to calibrated likelihoods."""

import numpy as np

from cxrbundle.operating_point import Calibration


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
