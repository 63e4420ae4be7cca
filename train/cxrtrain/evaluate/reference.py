"""The reference DenseNet-121 beside a run, on the films that neither of them was trained on."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from cxrbundle.labels import FINDINGS

from cxrtrain.data.films import TEST
from cxrtrain.data.folders import read_films
from cxrtrain.data.reference import REFERENCE, read_reference
from cxrtrain.errors import FilmsError
from cxrtrain.evaluate.bootstrap import interval, number, patient_counts
from cxrtrain.evaluate.metrics import Ranking, mean_of_counted, rank, ranking_table
from cxrtrain.evaluate.predictions import Predictions

NAME = "DenseNet-121"


def reference_scores(root: Path, images: list[str], findings: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the images that the reference can be measured on, and its probabilities there.

    These are the images of CheXNet's test split: it was trained on the others.

    Parameters
    ----------
    root : Path
        Folder of the films, with manifest.csv and the reference's predictions.

    Returns
    -------
    rows : ndarray of int, shape (m,)
    scores : ndarray of float, shape (m, findings)

    Raises
    ------
    FilmsError
        If the folder has no predictions of the reference, or its manifest cannot be read.
    """
    known = read_reference(root / REFERENCE)
    if not known:
        raise FilmsError(f"{root} has no {REFERENCE}; name another folder, or leave --films away")
    unseen = {film.image for film in read_films(root, allow_missing=True) if film.reference == TEST}
    rows = [row for row, image in enumerate(images) if image in known and image in unseen]
    columns = [FINDINGS.index(finding) for finding in findings]
    scores = np.array([known[images[row]] for row in rows]).reshape(-1, len(FINDINGS))
    return np.array(rows, int), scores[:, columns]


def compare(own: Predictions, scores: np.ndarray, resamples: int) -> dict:
    """Return the figures of the run and of the reference on the same films, and by how much the run's are higher.

    Parameters
    ----------
    own : Predictions
    scores : ndarray of float, shape (films, findings)
        Of the reference.
    """
    counts = patient_counts(own.patients, resamples)
    run, reference = rank(own.labels, own.logits, counts), rank(own.labels, scores, counts)
    tables = ranking_table(run, own.findings), ranking_table(reference, own.findings)
    findings = {
        name: {
            "positives": int(own.labels[:, i].sum()),
            "run": tables[0][name],
            "reference": tables[1][name],
            **_difference(run, reference, [i]),
        }
        for i, name in enumerate(own.findings)
    }
    mean = {"run": tables[0]["mean"], "reference": tables[1]["mean"]}
    return {
        "name": NAME,
        "films": len(own.films),
        "patients": len(set(own.patients)),
        "findings": findings,
        "mean": mean | _difference(run, reference, list(range(len(own.findings)))),
    }


def _difference(run: Ranking, reference: Ranking, columns: list[int]) -> dict:
    """Return the mean difference over some findings, with its interval over the same draws of patients."""
    table = {}
    for key in ("auc", "ap"):
        point, drawn = (
            getattr(run, name)[..., columns] - getattr(reference, name)[..., columns] for name in (key, f"drawn_{key}")
        )
        table[f"{key}_difference"] = number(mean_of_counted(point))
        table[f"{key}_difference_95"] = interval(mean_of_counted(drawn))
    return table
