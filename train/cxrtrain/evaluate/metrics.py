"""How well logits rank films: AUC and average precision with bootstrap intervals over patients."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from cxrbundle.labels import FINDINGS
from sklearn.metrics import average_precision_score, roc_auc_score

from cxrtrain.evaluate.bootstrap import drawn_metrics, interval, number, patient_counts

# The mean AUC of nothing: a network that was not tested has told nothing apart.
CHANCE = 0.5


@dataclass(frozen=True)
class Ranking:
    """How well one reader ranks films.

    Attributes
    ----------
    auc, ap : ndarray of float, shape (findings,)
        NaN where all films or none have the finding.
    drawn_auc, drawn_ap : ndarray of float, shape (draws, findings)
        The same of each bootstrap draw.
    """

    auc: np.ndarray
    ap: np.ndarray
    drawn_auc: np.ndarray
    drawn_ap: np.ndarray


def per_finding(labels: np.ndarray, scores: np.ndarray, metric: Callable) -> np.ndarray:
    """Return a metric for each finding, NaN where all films or none have it; inputs (films, findings)."""
    values = np.full(labels.shape[1], np.nan)
    for finding in range(labels.shape[1]):
        truth = labels[:, finding]
        if 0 < truth.sum() < len(truth):
            values[finding] = metric(truth, scores[:, finding])
    return values


def mean_auc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Return the mean AUC of the findings that some films have and some have not; 0.5 where there is none."""
    values = per_finding(labels, scores, roc_auc_score)
    counted = ~np.isnan(values)
    return float(values[counted].mean()) if counted.any() else CHANCE


def rank(labels: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> Ranking:
    """Return how well the scores rank the films.

    Parameters
    ----------
    labels, scores : ndarray, shape (films, findings)
    counts : ndarray of int, shape (draws, films)
        Of `patient_counts`.
    """
    auc, ap = (per_finding(labels, scores, metric) for metric in (roc_auc_score, average_precision_score))
    drawn = np.full((2, len(counts), labels.shape[1]), np.nan)
    for finding in np.flatnonzero(~np.isnan(auc)):
        drawn[:, :, finding] = drawn_metrics(labels[:, finding], scores[:, finding], counts)
    return Ranking(auc, ap, *drawn)


def mean_of_counted(values: np.ndarray) -> np.ndarray:
    """Return the mean over the last axis without the NaNs, NaN where there is nothing else."""
    counted = ~np.isnan(values)
    return np.where(counted, values, 0).sum(axis=-1) / np.where(counted.any(axis=-1), counted.sum(axis=-1), np.nan)


def ranking_table(ranking: Ranking, findings: Sequence[str]) -> dict:
    """Return {finding or "mean": {"auc", "auc_95", "ap", "ap_95"}}; "mean" has the count of "findings" too."""
    table: dict = {name: {} for name in (*findings, "mean")}
    for key, point, drawn in (("auc", ranking.auc, ranking.drawn_auc), ("ap", ranking.ap, ranking.drawn_ap)):
        for finding, name in enumerate(findings):
            table[name] |= {key: number(point[finding]), f"{key}_95": interval(drawn[:, finding])}
        table["mean"]["findings"] = int((~np.isnan(point)).sum())
        table["mean"] |= {key: number(mean_of_counted(point)), f"{key}_95": interval(mean_of_counted(drawn))}
    return table


def report(
    labels: np.ndarray,
    scores: dict[str, np.ndarray],
    patients: list[str],
    resamples: int = 1000,
    findings: Sequence[str] = FINDINGS,
) -> dict:
    """Return AUC and AP of one or more readers on the same films, with 95 % intervals over patients.

    Parameters
    ----------
    labels : ndarray, shape (films, findings)
    scores : dict of str to ndarray, shape (films, findings)
        Any monotonous score of each reader.
    patients : list of str
        Patient of each film.
    findings : sequence of str
        Names of the columns.

    Returns
    -------
    dict
        For each reader: {finding or "mean": {"auc", "auc_95", "ap", "ap_95"}}, and "positives" for each finding.
    """
    counts = patient_counts(patients, resamples)
    result: dict = {"films": len(labels), "patients": len(set(patients))}
    result["positives"] = dict(zip(findings, labels.sum(axis=0).astype(int).tolist(), strict=True))
    for reader, score in scores.items():
        result[reader] = ranking_table(rank(labels, score, counts), findings)
    return result


def as_table(result: dict, readers: Sequence[str] = ("float", "reference")) -> str:
    """Return a report as lines for people: a finding a line, AUC and AP of each reader with their intervals."""
    readers = [name for name in readers if name in result]
    lines = ["finding              films" + "".join(f"  {f'{r} AUC':<22}  {f'{r} AP':<22}" for r in readers)]
    for name in (*result["positives"], "mean"):
        cells = [_cell(result[reader][name], key) for reader in readers for key in ("auc", "ap")]
        lines.append(f"{name:<20} {result['positives'].get(name, ''):>5}" + "".join(f"  {cell:<22}" for cell in cells))
    return "\n".join(line.rstrip() for line in lines)


def _cell(figures: dict, key: str) -> str:
    if figures[key] is None:
        return "-"
    bounds = figures[f"{key}_95"]
    return f"{figures[key]:.3f}" + (f" ({bounds[0]:.3f} to {bounds[1]:.3f})" if bounds else "")
