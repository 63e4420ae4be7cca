"""What there is to count: labels, pairs of them, the parts of a split and what leaks between them."""

import numpy as np
from cxrbundle.labels import FINDINGS

from cxrtrain.data.films import TEST, TRAIN, VALIDATION, Film

# The paper's one-vs-all experiment.
ONE = "Pneumothorax"


def _label_rows(films: list[Film]) -> np.ndarray:
    """Return the labels to count: int64, shape (films, findings)."""
    return np.array([film.labels for film in films], np.int64).reshape(-1, len(FINDINGS))


def _per_finding(films: list[Film]) -> dict[str, int]:
    return dict(zip(FINDINGS, _label_rows(films).sum(axis=0).tolist(), strict=True))


def count_labels(films: list[Film]) -> dict:
    """Return how many images and patients there are, and how many images have each finding."""
    counts = _per_finding(films)
    found = sum(any(film.labels) for film in films)
    return {
        "images": len(films),
        "patients": len({film.patient for film in films}),
        "images_with_a_finding": found,
        "images_without_age": sum(film.age is None for film in films),
        "findings": counts,
        # Of the images with a finding, as in the paper.
        "one_vs_all": {"finding": ONE, "images_with": counts[ONE], "images_without": found - counts[ONE]},
    }


def cooccurrence(films: list[Film]) -> np.ndarray:
    """Return how many films have both findings: int64, shape (findings, findings); each one's films on the diagonal."""
    labels = _label_rows(films)
    return labels.T @ labels


def split_facts(films: list[Film], parts: list[str]) -> dict:
    """Return the size of each part, its images with each finding, and what leaks into it from training."""
    members = {
        name: [film for film, part in zip(films, parts, strict=True) if part == name]
        for name in (TRAIN, VALIDATION, TEST)
    }
    trained = {film.patient for film in members[TRAIN]}
    return {
        "parts": {part: _part_facts(own) for part, own in members.items() if own},
        "leakage": {part: leakage(own, trained) for part, own in members.items() if own and part != TRAIN},
    }


def _part_facts(films: list[Film]) -> dict:
    return {
        "images": len(films),
        "patients": len({film.patient for film in films}),
        "findings": _per_finding(films),
    }


def leakage(films: list[Film], trained: set[str]) -> dict:
    """Return how many images, and patients, are of a patient who is trained on too."""
    patients = {film.patient for film in films}
    images = sum(film.patient in trained for film in films)
    leaked = len(patients & trained)
    return {
        "images": images,
        "share_of_images": round(images / len(films), 4),
        "patients": leaked,
        "share_of_patients": round(leaked / len(patients), 4),
    }
