"""Several runs on the films that all of them test: seeds, folds and recipes, their ensembles, the reference."""

from dataclasses import dataclass
from pathlib import Path
from string import ascii_uppercase
from typing import Any

import numpy as np

from cxrtrain.errors import RunError
from cxrtrain.evaluate.bootstrap import interval, patient_counts
from cxrtrain.evaluate.metrics import mean_of_counted, rank
from cxrtrain.evaluate.reference import reference_scores
from cxrtrain.report.run_folder import FinishedRun, Predictions, read_run
from cxrtrain.report.shared import shared_predictions

RESAMPLES = 1000
# Runs that differ in nothing else are of one group.
DRAWS = ("run.seed", "data.fold")
REFERENCE_NAME = "reference"


@dataclass(frozen=True)
class Reading:
    """The mean AUC of one reader of the films.

    Attributes
    ----------
    auc : float
        Mean over the findings that some films have and some have not.
    drawn : ndarray of float, shape (resamples,)
        The same of each bootstrap draw of patients; draws are paired between readers.
    """

    auc: float
    drawn: np.ndarray

    def minus(self, other: "Reading") -> "Reading":
        """Return by how much this one reads better, draw by draw."""
        return Reading(self.auc - other.auc, self.drawn - other.drawn)

    def facts(self, name: str = "auc") -> dict[str, Any]:
        """Return the AUC and its 95 % interval."""
        return {name: round(self.auc, 4), f"{name}_95": interval(self.drawn)}


def mean_reading(readings: list[Reading]) -> Reading:
    """Return the mean of several readers' AUC."""
    drawn = np.mean([reading.drawn for reading in readings], axis=0)
    return Reading(float(np.mean([reading.auc for reading in readings])), drawn)


def read_mean_auc(labels: np.ndarray, scores: np.ndarray, counts: np.ndarray) -> Reading:
    """Return the mean AUC of scores, shape (films, findings), and that of each bootstrap draw.

    Parameters
    ----------
    labels : ndarray of int, shape (films, findings)
    counts : ndarray of int, shape (draws, films)
        Of `patient_counts`.
    """
    ranking = rank(labels, scores, counts)
    return Reading(float(mean_of_counted(ranking.auc)), mean_of_counted(ranking.drawn_auc))


def compare_runs(folders: list[Path], films: Path | None = None, resamples: int = RESAMPLES) -> dict:
    """Return the figures of runs, of groups of runs, and of the differences between groups.

    Parameters
    ----------
    folders : list of Path
        Of finished runs; those whose recipes differ in seed and fold only are one group.
    films : Path or None
        Folder of the films, for the reference DenseNet-121's predictions below it. Only films that it was not
        trained on are counted then, so that all figures are of the same films.

    Raises
    ------
    RunError
        If a folder holds no finished run, the runs share no films, or the reference does not know them.
    """
    runs = [read_run(folder) for folder in folders]
    shared = shared_predictions(runs)
    known = None
    if films:
        shared, known = _seen_by_reference(films, shared)
    labels, patients = shared[0].labels, shared[0].patients
    counts = patient_counts(patients, resamples)
    own = [read_mean_auc(labels, predictions.logits, counts) for predictions in shared]
    if np.isnan(own[0].auc):
        raise RunError(f"the {len(labels)} films that all runs test have no finding that some have and some have not")
    groups = group_runs(runs)
    single, together = _read_groups(groups, own, shared, counts)
    result = {
        "films": len(labels),
        "patients": len(set(patients)),
        "findings": list(shared[0].findings),
        "runs": [_run_facts(runs[row], name, own[row]) for name, rows in groups.items() for row in rows],
        "groups": [
            {"group": name, "differs_in": _settings_that_differ(runs[rows[0]], runs[0])}
            | _group_facts(rows, own, together[name])
            for name, rows in groups.items()
        ],
        "reference": None,
    }
    if known is not None:
        reading = read_mean_auc(labels, known, counts)
        result["reference"] = reading.facts()
        single[REFERENCE_NAME] = together[REFERENCE_NAME] = reading
    return result | {"differences": _differences(single, together)}


def group_runs(runs: list[FinishedRun]) -> dict[str, list[int]]:
    """Return the places of the runs of each group: A, B and so on, in the order of their first runs."""
    recipes = [_flat(run) for run in runs]
    distinct = [recipe for place, recipe in enumerate(recipes) if recipe not in recipes[:place]]
    if len(distinct) > len(ascii_uppercase):
        raise RunError(f"{len(distinct)} recipes are too many to compare; name runs of at most {len(ascii_uppercase)}")
    return {
        name: [place for place, own in enumerate(recipes) if own == recipe]
        for name, recipe in zip(ascii_uppercase, distinct, strict=False)
    }


def _flat(run: FinishedRun) -> dict[str, Any]:
    """Return the settings of a run by their names, apart from those that are a draw."""
    tables = run.recipe.model_dump(mode="json")
    settings = {f"{section}.{key}": value for section, table in tables.items() for key, value in table.items()}
    return {name: value for name, value in settings.items() if name not in DRAWS}


def _read_groups(
    groups: dict[str, list[int]], own: list[Reading], shared: list[Predictions], counts: np.ndarray
) -> tuple[dict[str, Reading], dict[str, Reading]]:
    """Return for each group the mean of its runs' AUC, and the AUC of its ensemble: the mean of their logits."""
    single = {name: mean_reading([own[row] for row in rows]) for name, rows in groups.items()}
    together = {
        name: read_mean_auc(shared[0].labels, np.mean([shared[row].logits for row in rows], axis=0), counts)
        for name, rows in groups.items()
    }
    return single, together


def _run_facts(run: FinishedRun, group: str, reading: Reading) -> dict:
    seed, fold = run.recipe.run.seed, run.recipe.data.fold
    return {"run": str(run.folder), "group": group, "seed": seed, "fold": fold} | reading.facts()


def _group_facts(rows: list[int], own: list[Reading], together: Reading) -> dict:
    """Return mean and spread over the runs of a group, and what their ensemble reads."""
    values = [own[row].auc for row in rows]
    spread = round(float(np.std(values, ddof=1)), 4) if len(values) > 1 else None
    facts = {"runs": len(values), "auc_mean": round(float(np.mean(values)), 4), "auc_sd": spread}
    return facts | together.facts("ensemble_auc")


def _settings_that_differ(run: FinishedRun, first: FinishedRun) -> dict[str, Any]:
    """Return the settings of a group that are not as in the first one."""
    base = _flat(first)
    return {name: value for name, value in _flat(run).items() if value != base[name]}


def _differences(single: dict[str, Reading], together: dict[str, Reading]) -> list[dict]:
    """Return what each group reads better than each later one, run against run and ensemble against ensemble."""
    names = list(single)
    pairs = [(one, other) for place, one in enumerate(names) for other in names[place + 1 :]]
    return [
        {"of": one, "against": other}
        | single[one].minus(single[other]).facts()
        | together[one].minus(together[other]).facts("ensemble_auc")
        for one, other in pairs
    ]


def _seen_by_reference(films: Path, shared: list[Predictions]) -> tuple[list[Predictions], np.ndarray]:
    """Return the predictions of the films that the reference can be measured on, and its probabilities of them."""
    images = [film.image for film in shared[0].films]
    rows, scores = reference_scores(films, images, shared[0].findings)
    if not len(rows):
        raise RunError(
            f"the reference was trained on, or does not know, each of the {len(images)} films that all runs test; "
            "leave --films out, or compare runs of the split 'reference'"
        )
    known = [images[row] for row in rows]
    return [predictions.of(known, predictions.findings) for predictions in shared], scores
