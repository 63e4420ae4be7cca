"""All figures of a run on the films of one part, as evaluation.json holds them."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cxrbundle.operating_point import Calibration
from cxrbundle.scores import likelihoods, sigmoid
from sklearn.metrics import average_precision_score, roc_auc_score

from cxrtrain.data.films import VALIDATION
from cxrtrain.errors import RunError
from cxrtrain.evaluate.bootstrap import drawn_metrics, interval, number, patient_counts
from cxrtrain.evaluate.calibration import brier, calibration_error, fit_calibrations
from cxrtrain.evaluate.curves import area, has_both, macro_roc, rounded_average_precision
from cxrtrain.evaluate.decisions import count_decisions, decision_table
from cxrtrain.evaluate.metrics import rank, ranking_table
from cxrtrain.evaluate.predictions import Predictions, read_predictions
from cxrtrain.evaluate.reference import compare, reference_scores
from cxrtrain.evaluate.subgroups import subgroup_tables
from cxrtrain.evaluate.thresholds import RULES, call, choose_thresholds


@dataclass(frozen=True)
class Fit:
    """What was drawn from the validation films, for each finding.

    Attributes
    ----------
    films : dict
        Count of "films" and "patients".
    positives : list of int
        Validation films with the finding: what the rest stands on.
    calibrations : list of Calibration
    thresholds : list of dict
        Least logit at which a film is called, by rule; None where it cannot be told.
    """

    films: dict
    positives: list[int]
    calibrations: list[Calibration]
    thresholds: list[dict[str, float | None]]

    @classmethod
    def to(cls, validation: Predictions) -> "Fit":
        """Fit calibrations and choose thresholds."""
        labels, logits = validation.labels, validation.logits
        return cls(
            films={"films": len(labels), "patients": len(set(validation.patients))},
            positives=labels.sum(axis=0).tolist(),
            calibrations=fit_calibrations(labels, logits),
            thresholds=[choose_thresholds(*columns) for columns in zip(labels.T, logits.T, strict=True)],
        )


@dataclass(frozen=True)
class Evaluation:
    """A run's figures, and what they are drawn from.

    Attributes
    ----------
    figures : dict
        What evaluation.json holds.
    own : Predictions
        Of the measured part.
    likelihoods : ndarray of float, shape (films, findings)
        Calibrated.
    reference : tuple or None
        Rows of the films that the reference was measured on, and its probabilities there.
    """

    figures: dict
    own: Predictions
    likelihoods: np.ndarray
    reference: tuple[np.ndarray, np.ndarray] | None


def evaluate_run(run: Path, part: str, films: Path | None, resamples: int) -> Evaluation:
    """Calibrate and choose thresholds on the validation films, and measure on the films of PART.

    Parameters
    ----------
    run : Path
        Folder of a run; its network is not needed.
    part : str
        "test" or "validation".
    films : Path or None
        Folder of the films, to set the reference beside the run.
    resamples : int
        Bootstrap draws of patients; 0: no intervals.

    Raises
    ------
    RunError
        If the run has no predictions of that part or of validation films.
    FilmsError
        If the reference cannot be read.
    """
    parts = read_predictions(run)
    for needed, advice in (
        (VALIDATION, "thresholds are drawn on them: give the split some"),
        (part, "try another --part"),
    ):
        if not parts[needed].films:
            raise RunError(f"{run} has no predictions of {needed} films; {advice}")
    fit, own = Fit.to(parts[VALIDATION]), parts[part]
    chances = likelihoods(own.logits, fit.calibrations)
    reference, beside = None, None
    if films:
        reference = reference_scores(films, [film.image for film in own.films], own.findings)
        beside = compare(own.take(reference[0]), reference[1], resamples) if len(reference[0]) else None
    figures = _head(part, own, resamples) | {"validation": fit.films}
    figures |= _ranking(own, resamples)
    for i, finding in enumerate(own.findings):
        figures["findings"][finding] |= _decisions(own, fit, i) | {"calibration": _calibration(own, fit, i, chances)}
    figures["mean"] |= _mean_calibration(figures["findings"])
    figures |= {
        "averages": _averages(own, fit),
        "subgroups": subgroup_tables(own, resamples),
        "reference": beside,
    }
    return Evaluation(figures, own, chances, reference if beside else None)


def _head(part: str, own: Predictions, resamples: int) -> dict:
    return {"part": part, "films": len(own.films), "patients": len(set(own.patients)), "resamples": resamples}


def _ranking(own: Predictions, resamples: int) -> dict:
    """Return "findings", "mean", "micro" and "macro": AUC, AP and the AP of rounded probabilities."""
    labels, logits, counts = own.labels, own.logits, patient_counts(own.patients, resamples)
    table = ranking_table(rank(labels, logits, counts), own.findings)
    mean = table.pop("mean")
    for i, finding in enumerate(own.findings):
        rounded = rounded_average_precision(labels[:, i], logits[:, i]) if has_both(labels[:, i]) else None
        table[finding] = {"positives": int(labels[:, i].sum())} | table[finding] | {"ap_of_rounded": _or_none(rounded)}
    known = [row["ap_of_rounded"] for row in table.values() if row["ap_of_rounded"] is not None]
    mean["ap_of_rounded"] = _or_none(np.mean(known) if known else None)
    macro = macro_roc(labels, logits)
    return {
        "findings": table,
        "mean": mean,
        "micro": _micro(labels, logits, counts),
        "macro": {"auc": _or_none(area(macro) if macro else None)},
    }


def _micro(labels: np.ndarray, logits: np.ndarray, counts: np.ndarray) -> dict:
    """Return the figures of all answers together, as if they were of one finding."""
    if not has_both(labels):
        return dict.fromkeys(("auc", "auc_95", "ap", "ap_95", "ap_of_rounded"))
    films = np.repeat(np.arange(len(labels)), labels.shape[1])
    truth, score = labels.ravel(), logits.ravel()
    drawn_auc, drawn_ap = drawn_metrics(truth, score, counts, films)
    return {
        "auc": number(roc_auc_score(truth, score)),
        "auc_95": interval(drawn_auc),
        "ap": number(average_precision_score(truth, score)),
        "ap_95": interval(drawn_ap),
        "ap_of_rounded": number(rounded_average_precision(truth, score)),
    }


def _decisions(own: Predictions, fit: Fit, i: int) -> dict:
    """Return "thresholds" and "one_vs_all" of a finding: what each rule chose, and what it is worth."""
    truth, logits = own.labels[:, i], own.logits[:, i]
    thresholds: dict = {}
    one_vs_all: dict = {}
    for rule, logit in fit.thresholds[i].items():
        thresholds[rule], one_vs_all[rule] = None, None
        if logit is not None:
            called = call(logits, logit)
            calibration = fit.calibrations[i]
            thresholds[rule] = {
                "logit": number(logit, 6),
                "likelihood": number(likelihoods(np.array([logit]), [calibration])[0], 6),
                "positives_on_validation": fit.positives[i],
            } | count_decisions(truth, called)
            one_vs_all[rule] = decision_table(truth, called)
    return {"thresholds": thresholds, "one_vs_all": one_vs_all}


def _calibration(own: Predictions, fit: Fit, i: int, chances: np.ndarray) -> dict:
    """Return a finding's calibration, and its errors before and after on the measured films."""
    truth = own.labels[:, i]
    table = {
        "positives_on_validation": fit.positives[i],
        "slope": number(fit.calibrations[i].slope, 6),
        "intercept": number(fit.calibrations[i].intercept, 6),
    }
    for state, chance in (("before", sigmoid(own.logits[:, i])), ("after", chances[:, i])):
        table[f"ece_{state}"] = number(calibration_error(truth, chance), 5)
        table[f"brier_{state}"] = number(brier(truth, chance), 5)
    return table


def _mean_calibration(findings: dict[str, dict]) -> dict:
    keys = ("ece_before", "ece_after", "brier_before", "brier_after")
    return {key: number(np.mean([row["calibration"][key] for row in findings.values()]), 5) for key in keys}


def _averages(own: Predictions, fit: Fit) -> dict:
    """Return what the decisions of each rule are worth over all findings that it has a threshold for."""
    tables: dict = {}
    for rule in RULES:
        columns = [i for i, at in enumerate(fit.thresholds) if at[rule] is not None]
        tables[rule] = None
        if columns:
            called = call(own.logits[:, columns], [fit.thresholds[i][rule] for i in columns])
            truth = own.labels[:, columns]
            # One finding has two classes, as in the paper.
            pair = (truth[:, 0], called[:, 0]) if len(columns) == 1 else (truth, called)
            tables[rule] = {"findings": len(columns)} | decision_table(*pair)
    return tables


def _or_none(value: float | None) -> float | None:
    return None if value is None else number(value)
