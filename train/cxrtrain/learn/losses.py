"""What a wrong answer costs, and how much each film may teach about each finding."""

import numpy as np
import torch
import torch.nn.functional as nnf

# No film may weigh more than this many ordinary ones.
HEAVIEST = 5.0


def source_free_weights(labels: np.ndarray, sources: list[str]) -> np.ndarray:
    """Return weights under which a finding is independent of the source of the film.

    w = P(y) P(s) / P(y, s) for each finding (reweighing: Kamiran and Calders, 2012). A source in which a
    finding is always present or always absent gets no weight for that finding: such films could only teach
    what the source looks like.

    Parameters
    ----------
    labels : ndarray of float, shape (films, findings)
        0 or 1.
    sources : list of str
        Source of each film.

    Returns
    -------
    ndarray of float32, shape (films, findings)
        Mean about 1 over the films that count, at most `HEAVIEST`.
    """
    names = np.array(sources)
    weights = np.zeros(labels.shape, np.float32)
    for finding in range(labels.shape[1]):
        present = labels[:, finding] == 1
        groups = [names == name for name in np.unique(names)]
        groups = [group for group in groups if 0 < present[group].sum() < group.sum()]
        if not groups:
            continue
        counted = np.any(groups, axis=0)
        for group in groups:
            for side in (present, ~present):
                cell = group & side
                expected = (side & counted).sum() * group.sum() / counted.sum()
                weights[cell, finding] = min(expected / cell.sum(), HEAVIEST)
    return weights


def weighted_bce(logits: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted mean of the binary cross-entropy; all of shape (films, findings)."""
    loss = nnf.binary_cross_entropy_with_logits(logits, labels, reduction="none")
    return (loss * weights).sum() / weights.sum().clamp(min=1)
