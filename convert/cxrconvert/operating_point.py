"""From logits to likelihoods and thresholds, fitted on the validation films through the int8 body."""

from dataclasses import dataclass

import numpy as np
from cxrbundle.labels import FINDINGS
from cxrbundle.operating_point import Calibration, Thresholds
from cxrbundle.scores import likelihoods, sigmoid
from scipy.optimize import minimize

from cxrconvert.metrics import number

# Spread of the prior on a finding's slope, as a share of the slope of all findings together.
PRIOR_SPREAD = 0.25
# The least slope of all findings together, per standard deviation of the logits; a prior of slope 0 or less
# would turn the ranking of a finding without positives over. A finding's own slope keeps a tenth of the prior's.
LEAST_SLOPE, LEAST_SHARE = 0.05, 0.1
# `above`: this share of the validation films without the finding stays below it. It needs no positive, so it is
# as firm for a rare finding as for a common one.
SPECIFICITY = 0.90
# `uncertain`: this share of the validation films with the finding reaches it. With fewer positives than
# `LEAST_POSITIVES` that would be chance; then a share of the films without the finding stays below it instead.
SENSITIVITY, LEAST_POSITIVES, FALLBACK = 0.90, 5, 0.60
BINS = 10


@dataclass(frozen=True)
class OperatingPoint:
    """Calibrations, thresholds, and what each finding's thresholds rest on, in the order of the contract."""

    calibrations: list[Calibration]
    thresholds: list[Thresholds]
    basis: list[str]


def choose_operating_point(labels: np.ndarray, logits: np.ndarray) -> OperatingPoint:
    """Fit calibrations and choose thresholds on validation films.

    Parameters
    ----------
    labels : ndarray of bool, shape (films, findings)
    logits : ndarray of float, shape (films, findings)
    """
    calibrations = fit_calibrations(labels, logits)
    chances = likelihoods(logits, calibrations)
    chosen = [choose_thresholds(truth, chance) for truth, chance in zip(labels.T, chances.T, strict=True)]
    return OperatingPoint(calibrations, [t for t, _ in chosen], [basis for _, basis in chosen])


def fit_calibrations(labels: np.ndarray, logits: np.ndarray) -> list[Calibration]:
    """Fit a Platt scaling to each finding: likelihood = sigmoid(slope * logit + intercept).

    The targets are Platt's, (N+ + 1) / (N+ + 2) and 1 / (N- + 2), so that no film counts as certain (Platt,
    1999, section 2.2). A rare finding has too few positives to tell its slope, so the fit is the maximum a
    posteriori under a Gaussian prior: around the one slope that serves all findings best, each with an
    intercept of its own. The intercept is free. A finding without positives gets about the prior's slope.

    Parameters
    ----------
    labels : ndarray of bool, shape (films, findings)
    logits : ndarray of float, shape (films, findings)
    """
    unit = float(logits.std()) or 1.0
    scaled = np.asarray(logits, np.float64) / unit
    targets = platt_targets(labels)
    pooled = _pooled_slope(targets, scaled)
    fits = [_fit_one(target, own, pooled) for target, own in zip(targets.T, scaled.T, strict=True)]
    return [Calibration(float(slope / unit), float(intercept)) for slope, intercept in fits]


def platt_targets(labels: np.ndarray) -> np.ndarray:
    """Return Platt's smoothed targets: float64, shape (films, findings)."""
    positives = labels.sum(axis=0)
    return np.where(labels, (positives + 1) / (positives + 2), 1 / (len(labels) - positives + 2))


def _pooled_slope(targets: np.ndarray, scaled: np.ndarray) -> float:
    """Return the slope of all findings together, each with its own intercept."""

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        value, residual = _cross_entropy(targets, parameters[0] * scaled + parameters[1:])
        return value, np.array([(residual * scaled).sum(), *residual.sum(axis=0)])

    start = np.zeros(1 + targets.shape[1])
    start[0] = 1
    bounds = [(LEAST_SLOPE, None)] + [(None, None)] * targets.shape[1]
    return minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x[0]


def _fit_one(target: np.ndarray, scaled: np.ndarray, pooled: float) -> np.ndarray:
    """Return slope and intercept of one finding under the prior; inputs of shape (films,)."""
    spread = PRIOR_SPREAD * pooled

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        slope, intercept = parameters
        value, residual = _cross_entropy(target, slope * scaled + intercept)
        value += ((slope - pooled) / spread) ** 2 / 2
        return value, np.array([residual @ scaled + (slope - pooled) / spread**2, residual.sum()])

    bounds = [(LEAST_SHARE * pooled, None), (None, None)]
    return minimize(loss, [pooled, 0.0], jac=True, method="L-BFGS-B", bounds=bounds).x


def _cross_entropy(targets: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray]:
    """Return the summed cross-entropy and its gradient with respect to the scores."""
    return float((np.logaddexp(0, scores) - targets * scores).sum()), sigmoid(scores) - targets


def choose_thresholds(truth: np.ndarray, chance: np.ndarray) -> tuple[Thresholds, str]:
    """Return the thresholds of one finding and what the lower one rests on.

    A film above the upper one stands out from nine in ten films without the finding; one below the lower one
    is as low as the lowest tenth of those with it. What lies between is called uncertain.

    Parameters
    ----------
    truth : ndarray of bool, shape (films,)
    chance : ndarray of float, shape (films,)
        Calibrated likelihoods.
    """
    positives = int(truth.sum())
    without = chance if truth.all() else chance[~truth]
    above = float(np.quantile(without, SPECIFICITY))
    counted = f"{positives} positive{'' if positives == 1 else 's'}"
    if positives < LEAST_POSITIVES:
        uncertain, basis = float(np.quantile(without, FALLBACK)), f"fallback, {counted}"
    else:
        uncertain, basis = float(np.quantile(chance[truth], 1 - SENSITIVITY)), f"validation, {counted}"
    return Thresholds(_digits(min(uncertain, above)), _digits(above)), basis


def _digits(value: float) -> float:
    """Return a likelihood with six digits, rounded down so that the film it was read from stays on its side."""
    return float(np.floor(value * 1e6) / 1e6)


def expected_calibration_error(truth: np.ndarray, chance: np.ndarray) -> float:
    """Return the mean distance of likelihood and frequency over ten bins of equally many films.

    Bins of equal width would put nearly all films of a rare finding into one (Nixon et al., 2019).
    """
    order = np.argsort(chance, kind="stable")
    bins = [rows for rows in np.array_split(order, BINS) if len(rows)]
    return float(sum(abs(chance[rows].mean() - truth[rows].mean()) * len(rows) for rows in bins) / len(truth))


def measure_operating_point(point: OperatingPoint, labels: np.ndarray, logits: np.ndarray) -> dict:
    """Return what the operating point is worth on other films: calibration error, sensitivity, specificity.

    Parameters
    ----------
    labels : ndarray of bool, shape (films, findings)
    logits : ndarray of float, shape (films, findings)
    """
    chances = likelihoods(logits, point.calibrations)
    table = {}
    for finding, truth, chance, at in zip(FINDINGS, labels.T, chances.T, point.thresholds, strict=True):
        called = chance >= at.above
        table[finding] = {
            "sensitivity": number(called[truth].mean()) if truth.any() else None,
            "specificity": number((~called[~truth]).mean()) if not truth.all() else None,
            "uncertain": number(((chance >= at.uncertain) & ~called).mean()),
            "calibration_error": number(expected_calibration_error(truth, chance)),
        }
    errors = [row["calibration_error"] for row in table.values()]
    ill = labels.any(axis=1)
    films = {"with_finding": _verdicts(point, chances[ill]), "without_finding": _verdicts(point, chances[~ill])}
    return {"calibration_error_mean": number(np.mean(errors)), "films": films, "findings": table}


def _verdicts(point: OperatingPoint, chances: np.ndarray) -> dict[str, float | None]:
    """Return the shares of films with something above, else something uncertain, else nothing; None of no films."""
    if not len(chances):
        return dict.fromkeys(("above", "uncertain", "nothing"))
    above = (chances >= [at.above for at in point.thresholds]).any(axis=1)
    uncertain = (chances >= [at.uncertain for at in point.thresholds]).any(axis=1) & ~above
    shares = {"above": above, "uncertain": uncertain, "nothing": ~above & ~uncertain}
    return {name: number(share.mean()) for name, share in shares.items()}
