"""How well a run reads the films of each sex, age, view position and source."""

from collections.abc import Callable

import numpy as np

from cxrtrain.data.films import Film, source_names
from cxrtrain.evaluate.bootstrap import interval, number, patient_counts
from cxrtrain.evaluate.metrics import mean_of_counted, rank
from cxrtrain.evaluate.predictions import Predictions

# A finding of fewer films with it, or without it, says nothing of a group.
LEAST = 5
# Upper bounds, in years.
AGE_BANDS = ((17, "0-17"), (39, "18-39"), (64, "40-64"))
OLDEST = "65+"


def age_band(age: int | None) -> str | None:
    """Return the band of an age in years, None of none."""
    return None if age is None else next((band for top, band in AGE_BANDS if age <= top), OLDEST)


DIVISIONS: dict[str, Callable[[list[Film]], list[str | None]]] = {
    "sex": lambda films: [film.sex or None for film in films],
    "age": lambda films: [age_band(film.age) for film in films],
    "view": lambda films: [film.view or None for film in films],
    # The small ones together.
    "source": source_names,
}


def subgroup_tables(own: Predictions, resamples: int) -> list[dict]:
    """Return the figures of every group of every division.

    Each is {"by", "group", "films", "patients", "auc", "auc_95", "findings_counted", "auc_of_all_films",
    "findings"}. "group" is None of films of which it is unknown. "auc" is the mean over the findings of which the
    group has at least 5 films with and 5 without; "auc_of_all_films" is the mean of the same findings over all
    films, to compare with, since groups differ in what can be counted.
    """
    everyone = rank(own.labels, own.logits, np.empty((0, len(own.films)))).auc
    tables = []
    for division, name_groups in DIVISIONS.items():
        groups = np.array(name_groups(own.films), object)
        # Sorted, the unknown last.
        for group in sorted(set(groups), key=lambda name: (name is None, name)):
            part = own.take(np.flatnonzero(groups == group))
            tables.append({"by": division, "group": group} | _group_table(part, everyone, resamples))
    return tables


def _group_table(part: Predictions, everyone: np.ndarray, resamples: int) -> dict:
    positives = part.labels.sum(axis=0)
    counted = (positives >= LEAST) & (len(part.films) - positives >= LEAST)
    ranking = rank(part.labels, part.logits, patient_counts(part.patients, resamples))
    findings = {
        name: {
            "positives": int(positives[i]),
            "auc": number(ranking.auc[i]) if counted[i] else None,
            "auc_95": interval(ranking.drawn_auc[:, i]) if counted[i] else None,
        }
        for i, name in enumerate(part.findings)
    }
    return {
        "films": len(part.films),
        "patients": len(set(part.patients)),
        "auc": number(mean_of_counted(ranking.auc[counted])),
        "auc_95": interval(mean_of_counted(ranking.drawn_auc[:, counted])),
        "findings_counted": int(counted.sum()),
        "auc_of_all_films": number(mean_of_counted(everyone[counted])),
        "findings": findings,
    }
