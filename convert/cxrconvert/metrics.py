"""How well scores rank films: AUC and average precision with bootstrap intervals over patients.

A resample is a weight for each film, the number of times its patient was drawn; so one pass over the sorted
scores gives a metric for all resamples at once.
"""

from collections.abc import Callable

import numpy as np
from cxrbundle.labels import FINDINGS

RESAMPLES = 1000
Metric = Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray]


def patient_weights(patients: list[str], resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
    """Return how often each film stands in each resample: float64, shape (1 + resamples, films).

    The first row is the films as they are; the others draw whole patients with replacement.
    """
    names, of_film = np.unique(patients, return_inverse=True)
    random = np.random.default_rng(seed)
    draws = random.multinomial(len(names), np.full(len(names), 1 / len(names)), size=resamples)
    return np.vstack([np.ones(len(patients)), draws[:, of_film]])


def weighted_auc(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve for each row of weights; NaN where a class is absent.

    Parameters
    ----------
    truth : ndarray of bool, shape (films,)
    score : ndarray of float, shape (films,)
    weights : ndarray of float, shape (resamples, films)
    """
    positive, negative = _by_score(truth, score, weights)
    below = np.cumsum(negative, axis=1) - negative
    pairs = positive.sum(axis=1) * negative.sum(axis=1)
    return _ratio((positive * (below + negative / 2)).sum(axis=1), pairs)


def weighted_ap(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the average precision, sum (R_n - R_n-1) P_n, as `weighted_auc` does."""
    positive, negative = (counts[:, ::-1] for counts in _by_score(truth, score, weights))
    found = np.cumsum(positive, axis=1)
    precision = _ratio(found, found + np.cumsum(negative, axis=1))
    both = negative.any(axis=1) & positive.any(axis=1)
    total = np.where(both, positive.sum(axis=1), 0)
    return _ratio((positive * np.nan_to_num(precision)).sum(axis=1), total)


def _by_score(truth: np.ndarray, score: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the weight of positives and of negatives at each distinct score, ascending."""
    order = np.argsort(score, kind="stable")
    starts = np.flatnonzero(np.diff(score[order], prepend=-np.inf) > 0)
    sorted_weights, sorted_truth = weights[:, order], truth[order]
    positive = np.add.reduceat(sorted_weights * sorted_truth, starts, axis=1)
    return positive, np.add.reduceat(sorted_weights * ~sorted_truth, starts, axis=1)


def _ratio(over: np.ndarray, under: np.ndarray) -> np.ndarray:
    """Return over / under, NaN where under is 0."""
    return np.divide(over, under, out=np.full(np.shape(over), np.nan), where=under > 0)


def per_finding(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray, metric: Metric) -> np.ndarray:
    """Return a metric of each finding and resample: shape (findings, resamples)."""
    return np.array([metric(truth, score, weights) for truth, score in zip(labels.T, scores.T, strict=True)])


def mean_defined(values: np.ndarray) -> np.ndarray:
    """Return the mean over the first axis of what is not NaN; NaN where all is."""
    defined = ~np.isnan(values)
    return _ratio(np.where(defined, values, 0).sum(axis=0), defined.sum(axis=0))


def interval(values: np.ndarray) -> list[float] | None:
    """Return the 95 % percentile interval of bootstrap values, None where there are none."""
    values = values[~np.isnan(values)]
    return [round(float(v), 4) for v in np.percentile(values, [2.5, 97.5])] if len(values) else None


def number(value: float) -> float | None:
    """Return a number for JSON: four digits, None for NaN."""
    return None if np.isnan(value) else round(float(value), 4)


def report(labels: np.ndarray, scores: np.ndarray, weights: np.ndarray) -> dict:
    """Return {finding or "mean": {"auc", "auc_95", "ap", "ap_95"}} of one reader.

    Parameters
    ----------
    labels : ndarray of bool, shape (films, findings)
    scores : ndarray of float, shape (films, findings)
    weights : ndarray of float, shape (1 + resamples, films)
        From `patient_weights`.
    """
    table: dict = {name: {} for name in (*FINDINGS, "mean")}
    for key, metric in (("auc", weighted_auc), ("ap", weighted_ap)):
        values = per_finding(labels, scores, weights, metric)
        for name, drawn in zip(table, (*values, mean_defined(values)), strict=True):
            table[name] |= {key: number(drawn[0]), f"{key}_95": interval(drawn[1:])}
    return table
