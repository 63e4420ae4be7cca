"""Where to call a finding: thresholds on the logit, chosen on validation films and measured on others."""

import numpy as np
from sklearn.metrics import precision_recall_curve, roc_curve

from cxrtrain.evaluate.curves import has_both

# WHO's figure for triage.
SENSITIVITY = 0.90
# At 0.5 of the network's own probability, as in the paper.
HALF = 0.0
RULES = ("half", "youden", "best_f1", "sensitivity_90")


def choose_thresholds(truth: np.ndarray, logits: np.ndarray) -> dict[str, float | None]:
    """Return the least logit at which a film is called, by each of `RULES`.

    "half" is logit 0; the others are None where all films or none have the finding.

    Parameters
    ----------
    truth, logits : ndarray, shape (films,)
        Of the validation films.
    """
    if not has_both(truth):
        return {rule: HALF if rule == "half" else None for rule in RULES}
    false, true, at = (values[1:] for values in roc_curve(truth, logits, drop_intermediate=False))
    precision, recall, levels = precision_recall_curve(truth, logits)
    # The F1 without its factor 2; every level calls a film, so precision is known.
    f1 = precision * recall / np.maximum(precision + recall, np.finfo(float).tiny)
    return {
        "half": HALF,
        "youden": float(at[np.argmax(true - false)]),
        "best_f1": float(levels[np.argmax(f1[:-1])]),
        "sensitivity_90": float(at[np.argmax(true >= SENSITIVITY)]),
    }


def call(logits: np.ndarray, thresholds: float | list[float]) -> np.ndarray:
    """Return which films are called: int of 0 and 1, of the shape of the logits; one threshold, or one a finding."""
    return (logits >= np.array(thresholds)).astype(int)
