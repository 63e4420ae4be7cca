"""Intervals by drawing whole patients with replacement, all draws at once."""

import numpy as np

# Counts that are worked on at once: a draw a row, a film a column. More would only fill the memory.
PIECE = 4_000_000


def patient_counts(patients: list[str], resamples: int, seed: int = 0) -> np.ndarray:
    """Return how often each film stands in each draw of whole patients: uint16, shape (resamples, films)."""
    names, owner = np.unique(np.array(patients, str), return_inverse=True)
    random = np.random.default_rng(seed)
    counts = np.empty((resamples, len(patients)), np.uint16)
    for draw in counts:
        chosen = random.integers(len(names), size=len(names)) if len(names) else []
        draw[:] = np.bincount(chosen, minlength=len(names))[owner]
    return counts


def drawn_metrics(
    truth: np.ndarray, score: np.ndarray, counts: np.ndarray, films: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return AUC and average precision of every draw, NaN where a draw has no positive or no negative.

    Both equal scikit-learn's on the drawn films, ties and all: AUC is the share of pairs in the right order, a tie
    counting half, and AP = sum (R_n - R_{n-1}) P_n.

    Parameters
    ----------
    truth, score : ndarray, shape (n,)
    counts : ndarray of int, shape (draws, films)
        Of `patient_counts`.
    films : ndarray of int, shape (n,)
        Film of each score; none: they are in the order of the counts.

    Returns
    -------
    ndarray of float, shape (draws,), twice
    """
    order = np.argsort(-score, kind="stable")
    descending = score[order]
    # Films of one score are called together.
    starts = np.flatnonzero(np.r_[True, descending[1:] != descending[:-1]])
    columns = order if films is None else films[order]
    pieces = np.array_split(counts, max(1, len(counts) * len(order) // PIECE))
    metrics = [_weighted_metrics(piece[:, columns].astype(float), truth[order], starts) for piece in pieces]
    auc, precision = zip(*metrics, strict=True)
    return np.concatenate(auc), np.concatenate(precision)


def _weighted_metrics(weights: np.ndarray, truth: np.ndarray, starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    called = np.add.reduceat(weights, starts, axis=1)
    right = np.add.reduceat(weights * truth, starts, axis=1)
    wrong = called - right
    all_right, all_called = right.cumsum(axis=1), called.cumsum(axis=1)
    positives, negatives = all_right[:, -1], wrong.sum(axis=1)
    known = (positives > 0) & (negatives > 0)
    pairs = (wrong * (all_right - right / 2)).sum(axis=1)
    precise = (right * all_right / np.maximum(all_called, 1)).sum(axis=1)
    nothing = np.full(len(weights), np.nan)
    auc = np.divide(pairs, positives * negatives, out=nothing.copy(), where=known)
    return auc, np.divide(precise, positives, out=nothing, where=known)


def interval(values: np.ndarray) -> list[float] | None:
    """Return the 95 % percentile interval of bootstrap values, None where there are none."""
    values = values[~np.isnan(values)]
    return [round(float(v), 4) for v in np.percentile(values, [2.5, 97.5])] if len(values) else None


def number(value: float, digits: int = 4) -> float | None:
    """Return a figure as JSON holds it: rounded, None where it is unknown."""
    return None if np.isnan(value) else round(float(value), digits)
