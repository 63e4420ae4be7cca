"""From logits to likelihoods: Platt scaling, fitted on validation films, and how well it holds on others."""

import numpy as np
from cxrbundle.operating_point import Calibration
from cxrbundle.scores import sigmoid
from scipy.optimize import minimize
from sklearn.metrics import brier_score_loss

# Spread of the prior on a finding's slope, as a share of the slope of all findings together.
PRIOR_SPREAD = 0.25
# A slope of 0 or less would turn the ranking over. Per standard deviation of the logits.
LEAST_SLOPE = 0.05
BINS = 10


def fit_calibrations(labels: np.ndarray, logits: np.ndarray) -> list[Calibration]:
    """Fit sigmoid(slope * logit + intercept) to each finding.

    The targets are Platt's smoothed ones (Platt, 1999, section 2.2). A rare finding has too few positives to tell
    its slope: the fit is the maximum a posteriori under a Gaussian prior around the one slope that serves all
    findings best, each with a free intercept. It is the rule by which convert/ calibrates the int8 network.

    Parameters
    ----------
    labels : ndarray of 0 and 1, shape (films, findings)
    logits : ndarray of float, shape (films, findings)
    """
    unit = float(logits.std()) or 1.0
    scaled = np.asarray(logits, float) / unit
    positives = labels.sum(axis=0)
    targets = np.where(labels, (positives + 1) / (positives + 2), 1 / (len(labels) - positives + 2))
    pooled = _fit(targets, scaled)[0]
    fits = [_fit(targets[:, [i]], scaled[:, [i]], pooled, PRIOR_SPREAD * pooled) for i in range(labels.shape[1])]
    return [Calibration(float(slope / unit), float(intercept)) for slope, intercept in fits]


def _fit(targets: np.ndarray, scaled: np.ndarray, prior: float = 1.0, spread: float = np.inf) -> np.ndarray:
    """Return the slope that serves all columns, and the intercept of each."""

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        slope, scores = parameters[0], parameters[0] * scaled + parameters[1:]
        residual, pull = sigmoid(scores) - targets, (slope - prior) / spread
        value = (np.logaddexp(0, scores) - targets * scores).sum() + pull**2 / 2
        return float(value), np.r_[(residual * scaled).sum() + pull / spread, residual.sum(axis=0)]

    start = np.r_[prior, np.zeros(targets.shape[1])]
    bounds = [(LEAST_SLOPE, None)] + [(None, None)] * targets.shape[1]
    return minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x


def reliability(truth: np.ndarray, chance: np.ndarray, bins: int = BINS) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean likelihood, frequency and films of bins of equally many films.

    Bins of equal width would put nearly all films of a rare finding into one (Nixon et al., 2019).

    Parameters
    ----------
    truth, chance : ndarray, shape (films,)

    Returns
    -------
    ndarray, shape (bins,), three times
    """
    order = np.argsort(chance, kind="stable")
    groups = [rows for rows in np.array_split(order, bins) if len(rows)]
    means = [(chance[rows].mean(), truth[rows].mean(), len(rows)) for rows in groups]
    return tuple(np.array(column) for column in zip(*means, strict=True))


def calibration_error(truth: np.ndarray, chance: np.ndarray) -> float:
    """Return the expected calibration error: the mean distance of likelihood and frequency over the films."""
    likelihood, frequency, films = reliability(truth, chance)
    return float(np.average(abs(likelihood - frequency), weights=films))


def brier(truth: np.ndarray, chance: np.ndarray) -> float:
    """Return the mean square of likelihood less truth."""
    return float(brier_score_loss(truth, chance, pos_label=1))
