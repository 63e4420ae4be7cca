"""What a wrong answer costs, and how much each film may teach about each finding.

Equations (1.1) to (1.3) are those of Elkins, Freitas and Sanz, J Med Artif Intell 2020;3:8.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
import torch.nn.functional as nnf

from cxrtrain.data.tasks import Task
from cxrtrain.recipe import LossSettings

# (logits, targets, weights or None) -> scalar; see build_loss.
Loss = Callable[[torch.Tensor, torch.Tensor, torch.Tensor | None], torch.Tensor]
# Chances below it cost nothing where the finding is absent (Ridnik et al., ICCV 2021, section 2.3).
MARGIN = 0.05
# Small against any chance, large against rounding: keeps powers and quotients finite.
TINY = 1e-8
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


def build_loss(settings: LossSettings, task: Task, labels: np.ndarray) -> Loss:
    """Return the loss of a recipe.

    Parameters
    ----------
    labels : ndarray, shape (films, findings)
        0 or 1, of the films that are trained on: the class weights come from them.

    Returns
    -------
    callable
        (logits (n, outputs), targets (n, findings) of 0 or 1, weights (n, findings) or None) -> scalar. The
        weights say how much a film teaches about a finding (`source_free_weights`).
    """
    if settings.kind == "cross-entropy":
        return partial(cross_entropy, classes=_two_classes(settings.positive_weights, labels[:, 0]))
    point_losses = {
        "bce": partial(nnf.binary_cross_entropy_with_logits, reduction="none"),
        "focal": partial(focal, focus=settings.focus),
        "asymmetric": partial(asymmetric, focus=settings.focus),
    }
    positive = torch.from_numpy(positive_weights(settings.positive_weights, labels))
    return partial(binary_loss, point_loss=point_losses[settings.kind], positive=positive)


def class_weights(counts: np.ndarray) -> np.ndarray:
    """Return n / (K n_c), eq. (1.1), for the films of each of K classes; 1 for a class that has none.

    Parameters
    ----------
    counts : ndarray of int, shape (K, ...)
        Films of each class.

    Returns
    -------
    ndarray of float, shape (K, ...)
    """
    mean = counts.sum(axis=0, keepdims=True) / len(counts)
    return np.divide(mean, counts, out=np.ones(counts.shape), where=counts > 0)


def positive_weights(kind: str, labels: np.ndarray) -> np.ndarray:
    """Return what a film with a finding weighs against one without it: the p_c of eq. (1.3).

    There is no cap: the largest of ChestX-ray14's films with a finding is 227 (Hernia), and gradients are clipped.

    Parameters
    ----------
    kind : {"none", "balanced", "paper"}
        Balanced is the ratio of the weights of eq. (1.1) for two classes, so all films with a finding weigh as
        much as all without it; 1 where either has no film.
    labels : ndarray, shape (films, findings)

    Returns
    -------
    ndarray of float32, shape (findings,)
    """
    if kind == "none":
        return np.ones(labels.shape[1], np.float32)
    if kind == "paper":
        return cooccurrence_weights(labels)
    present = labels.sum(axis=0)
    absent = len(labels) - present
    without, with_finding = class_weights(np.stack([absent, present]))
    return np.where((present > 0) & (absent > 0), with_finding / without, 1).astype(np.float32)


def cooccurrence_weights(labels: np.ndarray) -> np.ndarray:
    """Return positive weights from the co-occurrence matrix, all near 1, as the paper's are.

    The paper says that its weights come from this matrix (its Fig. 3) and prints no formula, so this one is
    ours: w_c = 1 + 1/K - r_c, where r_c is the share of row c in the sum of the K x K matrix. The mean is 1, a
    finding that is rare and stands alone weighs a little more, and a single finding weighs 1. On
    ChestX-ray14 they go from 0.85 (Infiltration) to 1.07 (Hernia), where the balance would take 1.6 to 227.

    Returns
    -------
    ndarray of float32, shape (findings,)
        Between 1/K and 1 + 1/K.
    """
    labels = labels.astype(np.float64)
    rows = (labels.T @ labels).sum(axis=1)
    average = 1 / len(rows)
    shares = rows / rows.sum() if rows.any() else np.full(len(rows), average)
    return (1 + average - shares).astype(np.float32)


def _two_classes(kind: str, labels: np.ndarray) -> torch.Tensor:
    """Return the weights of "without" and "with"; for cross-entropy the paper's own are those of eq. (1.1)."""
    counts = np.array([(labels == 0).sum(), (labels == 1).sum()])
    weights = np.ones(2) if kind == "none" else class_weights(counts)
    return torch.from_numpy(weights.astype(np.float32))


def cross_entropy(
    logits: torch.Tensor, targets: torch.Tensor, weights: torch.Tensor | None, classes: torch.Tensor
) -> torch.Tensor:
    """Return the weighted cross-entropy of one finding against all others, eq. (1.2).

    It is divided by the sum of the weights in the batch, as torch and so the paper's fastai do.

    Parameters
    ----------
    logits : Tensor, shape (n, 2)
        "Without" and "with".
    targets, weights : Tensor, shape (n, 1)
    classes : Tensor, shape (2,)
        Weights of the two classes.
    """
    present = targets[:, 0].long()
    loss = nnf.cross_entropy(logits, present, reduction="none")
    film_weights = classes.to(logits.device)[present]
    return _weighted_mean(loss, film_weights if weights is None else film_weights * weights[:, 0])


def binary_loss(
    logits: torch.Tensor,
    targets: torch.Tensor,
    weights: torch.Tensor | None,
    point_loss: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
    positive: torch.Tensor,
) -> torch.Tensor:
    """Return the mean of a loss per film and finding; with binary cross-entropy it is eq. (1.3).

    Parameters
    ----------
    logits, targets, weights : Tensor, shape (n, findings)
    point_loss : callable
        (logits, targets) -> loss, all of shape (n, findings).
    positive : Tensor, shape (findings,)
        Weight of a film with the finding; one without it weighs 1.
    """
    loss = point_loss(logits, targets) * torch.where(targets > 0.5, positive.to(logits.device), 1.0)
    return loss.mean() if weights is None else _weighted_mean(loss, weights)


def focal(logits: torch.Tensor, targets: torch.Tensor, focus: float) -> torch.Tensor:
    """Return -(1 - p_t)^focus log p_t, the focal loss (Lin et al., ICCV 2017, eq. 4); all of shape (n, findings).

    p_t is the chance that the network gives to the truth.
    """
    towards_truth = torch.where(targets > 0.5, logits, -logits)
    # As an exponential the power has a finite gradient also where 1 - p_t is 0 in float32.
    return -torch.exp(focus * nnf.logsigmoid(-towards_truth)) * nnf.logsigmoid(towards_truth)


def asymmetric(logits: torch.Tensor, targets: torch.Tensor, focus: float) -> torch.Tensor:
    """Return the asymmetric loss (Ridnik et al., ICCV 2021, eq. 7); all of shape (n, findings).

    -log p where the finding is present, -q^focus log(1 - q) with q = max(p - MARGIN, 0) where it is absent: films
    that are easily told to be without it count less, and those below the margin nothing.
    """
    shifted = (torch.sigmoid(logits) - MARGIN).clamp(min=TINY)
    absent = -(shifted**focus) * torch.log1p(-shifted)
    return torch.where(targets > 0.5, -nnf.logsigmoid(logits), absent)


def _weighted_mean(loss: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the weighted mean; 0 where nothing weighs anything."""
    return (loss * weights).sum() / weights.sum().clamp(min=TINY)
