"""How well logits rank films: AUC and average precision with bootstrap intervals over patients."""

from collections import defaultdict

import numpy as np
from cxrbundle.labels import FINDINGS
from sklearn.metrics import average_precision_score, roc_auc_score


def per_finding(labels: np.ndarray, scores: np.ndarray, metric) -> np.ndarray:
    """Return a metric for each finding, NaN where all films or none have it; inputs (films, findings)."""
    values = np.full(labels.shape[1], np.nan)
    for finding in range(labels.shape[1]):
        truth = labels[:, finding]
        if 0 < truth.sum() < len(truth):
            values[finding] = metric(truth, scores[:, finding])
    return values


def patient_resamples(patients: list[str], resamples: int, seed: int):
    """Yield row numbers of films, whole patients drawn with replacement."""
    rows = defaultdict(list)
    for row, patient in enumerate(patients):
        rows[patient].append(row)
    groups = [np.array(group) for group in rows.values()]
    random = np.random.default_rng(seed)
    for _ in range(resamples):
        yield np.concatenate([groups[i] for i in random.integers(len(groups), size=len(groups))])


def interval(values: np.ndarray) -> list[float] | None:
    """Return the 95 % percentile interval of bootstrap values, None where there are none."""
    values = values[~np.isnan(values)]
    return [round(float(v), 4) for v in np.percentile(values, [2.5, 97.5])] if len(values) else None


def report(labels: np.ndarray, scores: dict[str, np.ndarray], patients: list[str], resamples: int = 1000) -> dict:
    """Return AUC and AP of one or more readers on the same films, with 95 % intervals over patients.

    Parameters
    ----------
    labels : ndarray, shape (films, findings)
    scores : dict of str to ndarray, shape (films, findings)
        Any monotonous score of each reader.
    patients : list of str
        Patient of each film.

    Returns
    -------
    dict
        For each reader: {finding or "mean": {"auc", "auc_95", "ap", "ap_95"}}, and "positives" for each finding.
    """
    draws = list(patient_resamples(patients, resamples, seed=0))
    result: dict = {"films": len(labels), "patients": len(set(patients))}
    result["positives"] = dict(zip(FINDINGS, labels.sum(axis=0).astype(int).tolist(), strict=True))
    for reader, score in scores.items():
        result[reader] = _reader_report(labels, score, draws)
    return result


def _reader_report(labels: np.ndarray, score: np.ndarray, draws: list[np.ndarray]) -> dict:
    table: dict = {name: {} for name in (*FINDINGS, "mean")}
    for key, metric in (("auc", roc_auc_score), ("ap", average_precision_score)):
        point = per_finding(labels, score, metric)
        drawn = np.array([per_finding(labels[rows], score[rows], metric) for rows in draws])
        for finding, name in enumerate(FINDINGS):
            value = point[finding]
            table[name][key] = None if np.isnan(value) else round(float(value), 4)
            table[name][f"{key}_95"] = interval(drawn[:, finding])
        counted = ~np.isnan(point)
        table["mean"]["findings"] = int(counted.sum())
        table["mean"][key] = round(float(point[counted].mean()), 4) if counted.any() else None
        table["mean"][f"{key}_95"] = interval(np.nanmean(drawn[:, counted], axis=1)) if counted.any() else None
    return table


def as_table(result: dict) -> str:
    """Return a report as lines for people: a finding a line, AUC and AP of each reader with their intervals."""
    readers = [name for name in ("float", "reference") if name in result]
    lines = ["finding              films" + "".join(f"  {f'{r} AUC':<22}  {f'{r} AP':<22}" for r in readers)]
    for name in (*FINDINGS, "mean"):
        cells = [_cell(result[reader][name], key) for reader in readers for key in ("auc", "ap")]
        lines.append(f"{name:<20} {result['positives'].get(name, ''):>5}" + "".join(f"  {cell:<22}" for cell in cells))
    return "\n".join(line.rstrip() for line in lines)


def _cell(figures: dict, key: str) -> str:
    bounds = figures[f"{key}_95"]
    if figures[key] is None or bounds is None:
        return "-"
    return f"{figures[key]:.3f} ({bounds[0]:.3f} to {bounds[1]:.3f})"
