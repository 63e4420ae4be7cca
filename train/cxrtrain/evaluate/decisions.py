"""How right yes-or-no decisions are: accuracy, precision, recall and F1, plain and sample-weighted (paper, 1.3)."""

import numpy as np
from sklearn.metrics import accuracy_score, precision_recall_fscore_support
from sklearn.utils.class_weight import compute_sample_weight

from cxrtrain.evaluate.bootstrap import number

KINDS = ("precision", "recall", "f1")
AVERAGES = ("binary", "micro", "macro", "weighted", "samples")


def sample_weights(truth: np.ndarray) -> np.ndarray:
    """Return the weight n / (K n_c) of each film by its class (paper, eq. 1.1).

    With one finding the classes are "with" and "without", K = 2. With several they are the findings and "none of
    them"; a film of several findings gets the mean of their weights.

    Parameters
    ----------
    truth : ndarray of 0 and 1, shape (films,) or (films, findings)
    """
    if truth.ndim == 1:
        return compute_sample_weight("balanced", truth)
    classes = np.column_stack([truth, truth.sum(axis=1) == 0]).astype(float)
    counts = classes.sum(axis=0)
    weights = len(truth) / (classes.shape[1] * np.maximum(counts, 1))
    return classes @ weights / np.maximum(classes.sum(axis=1), 1)


def decision_table(truth: np.ndarray, called: np.ndarray) -> dict:
    """Return {"plain" or "sample_weighted": `average_decisions`}."""
    return {
        "plain": average_decisions(truth, called),
        "sample_weighted": average_decisions(truth, called, sample_weights(truth)),
    }


def average_decisions(truth: np.ndarray, called: np.ndarray, weights: np.ndarray | None = None) -> dict:
    """Return accuracy, and precision, recall and F1 by each of `AVERAGES`.

    As scikit-learn averages them; a ratio without a denominator counts as 0. One finding is taken as two classes,
    as in the paper, so that its "samples" and "micro" are the accuracy. Several findings have no "binary" (None);
    their accuracy is the share of right answers, "exact_match" the share of films with no wrong answer.

    Parameters
    ----------
    truth, called : ndarray of 0 and 1, shape (films,) or (films, findings)
    weights : ndarray of float, shape (films,), or None
    """
    single = truth.ndim == 1
    columns = np.column_stack([1 - truth, truth]) if single else truth
    answers = np.column_stack([1 - called, called]) if single else called
    right = (columns == answers).mean(axis=1)
    table: dict = {
        "accuracy": number(np.average(right, weights=weights)),
        "exact_match": number(accuracy_score(columns, answers, sample_weight=weights)),
    }
    figures = {name: _average(columns, answers, name, weights) for name in AVERAGES[1:]}
    figures["binary"] = _average(truth, called, "binary", weights) if single else (None,) * len(KINDS)
    return table | {kind: {name: figures[name][i] for name in AVERAGES} for i, kind in enumerate(KINDS)}


def _average(truth: np.ndarray, called: np.ndarray, average: str, weights: np.ndarray | None) -> tuple:
    figures = precision_recall_fscore_support(truth, called, average=average, sample_weight=weights, zero_division=0)
    return tuple(number(figure) for figure in figures[: len(KINDS)])


def count_decisions(truth: np.ndarray, called: np.ndarray) -> dict:
    """Return counts, sensitivity, specificity, precision, F1 and accuracy of one finding; None of nothing.

    Parameters
    ----------
    truth, called : ndarray of 0 and 1, shape (films,)
    """
    truth, called = truth.astype(bool), called.astype(bool)
    counts = {
        "true_positives": int((truth & called).sum()),
        "false_negatives": int((truth & ~called).sum()),
        "true_negatives": int((~truth & ~called).sum()),
        "false_positives": int((~truth & called).sum()),
    }
    tp, fn, tn, fp = counts.values()
    ratios = {
        "sensitivity": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "precision": (tp, tp + fp),
        "f1": (2 * tp, 2 * tp + fn + fp),
        "accuracy": (tp + tn, len(truth)),
    }
    return counts | {name: number(over / under) if under else None for name, (over, under) in ratios.items()}
