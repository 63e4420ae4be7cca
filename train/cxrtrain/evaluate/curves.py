"""ROC and precision-recall curves: of a finding, of all answers together (micro), and their mean (macro)."""

import numpy as np
from cxrbundle.scores import sigmoid
from sklearn.metrics import auc, average_precision_score, precision_recall_curve, roc_curve

Curve = tuple[np.ndarray, np.ndarray]


def has_both(truth: np.ndarray) -> bool:
    """Return whether some have the finding and some have not, without which no curve can be drawn."""
    return 0 < truth.sum() < truth.size


def roc(truth: np.ndarray, score: np.ndarray) -> Curve:
    """Return false and true positive rate, of answers of any shape."""
    return roc_curve(truth.ravel(), score.ravel())[:2]


def macro_roc(labels: np.ndarray, scores: np.ndarray) -> Curve | None:
    """Return the mean of the findings' true positive rates, interpolated at every false positive rate (paper, 1.3).

    Parameters
    ----------
    labels, scores : ndarray, shape (films, findings)
        A finding that all films or none have is left out; None where all are.
    """
    pairs = zip(labels.T, scores.T, strict=True)
    curves = [roc(truth, score) for truth, score in pairs if has_both(truth)]
    if not curves:
        return None
    rates = np.unique(np.concatenate([false for false, _ in curves]))
    mean = np.mean([np.interp(rates, false, true) for false, true in curves], axis=0)
    return np.r_[0, rates], np.r_[0, mean]


def precision_recall(truth: np.ndarray, score: np.ndarray) -> Curve:
    """Return recall, falling, and precision, of answers of any shape."""
    precision, recall, _ = precision_recall_curve(truth.ravel(), score.ravel())
    return recall, precision


def area(curve: Curve) -> float:
    """Return the area under a curve by trapezoids."""
    return float(auc(*curve))


def rounded_average_precision(truth: np.ndarray, logits: np.ndarray) -> float:
    """Return the AP of decisions at 0.5: what the paper's Table 2 gives, no average precision.

    The probabilities are rounded to 0 or 1 before they are ranked, so one point of the curve is left.
    """
    return float(average_precision_score(truth.ravel(), np.round(sigmoid(logits)).ravel()))
