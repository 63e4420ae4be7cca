"""One run of `cxrtrain fit`: films in, a folder out that convert/ can take over."""

import csv
import logging
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from cxrbundle.labels import FINDINGS
from cxrbundle.preprocess import PREPROCESSING, to_input
from cxrbundle.provenance import code_version

from cxrtrain.errors import FilmsError
from cxrtrain.networks.export import export_run
from cxrtrain.data.films import (
    OTHER_SOURCES,
    TEST,
    TRAIN,
    VALIDATION,
    Film,
    label_array,
    load_grey,
    load_stored,
    read_films,
    source_names,
    split_by_patient,
)
from cxrtrain.learn.fit import Recipe, TrainingSet, fit
from cxrtrain.learn.losses import source_free_weights
from cxrtrain.evaluate.metrics import as_table, report
from cxrtrain.networks.network import INPUT_SCALE, INPUT_ZERO, NAME, EdgeNetwork, predict

log = logging.getLogger(__name__)
REFERENCE = Path("meta/reference_densenet121_predictions.csv")


def run_fit(recipe: Recipe, root: Path, output: Path, limit: int | None = None) -> None:
    """Train, measure on held-out patients, and write the run's folder.

    Raises
    ------
    FilmsError
        If the films cannot be used or the output folder is not empty.
    """
    if output.exists() and any(output.iterdir()):
        raise FilmsError(f"{output} is not empty; name a new folder with -o")
    films = read_films(root)[:limit]
    parts = split_by_patient(films, recipe.seed)
    log.info("films: %s, patients: %d", dict(Counter(parts)), len({film.patient for film in films}))
    started = time.monotonic()
    network = fit(recipe, _training_set(recipe, root, films, parts))
    minutes = (time.monotonic() - started) / 60
    output.mkdir(parents=True, exist_ok=True)
    facts = {
        "network": NAME,
        "labels": list(FINDINGS),
        "preprocessing": PREPROCESSING,
        "input": {"size": recipe.size, "channels": 3, "scale": INPUT_SCALE, "zero_point": INPUT_ZERO},
        "head_kind": "pool-linear",
        "recipe": asdict(recipe),
        "data": _data_facts(films, parts),
        "code": code_version(),
        "minutes": round(minutes, 1),
        "metrics": _measure(network, recipe, root, films, parts),
    }
    _write_films(output / "films.csv", films, parts)
    export_run(network, facts, recipe.size, output)
    print(as_table(facts["metrics"]))


def _training_set(recipe: Recipe, root: Path, films: list[Film], parts: list[str]) -> TrainingSet:
    rows = [i for i, part in enumerate(parts) if part == TRAIN]
    chosen = [films[i] for i in rows]
    sources = source_names(films)
    labels = label_array(chosen)
    even = np.ones_like(labels)
    weights = source_free_weights(labels, [sources[i] for i in rows]) if recipe.source_free else even
    return TrainingSet(
        pixels=torch.from_numpy(load_stored(root, chosen)),
        labels=torch.from_numpy(labels),
        weights=torch.from_numpy(weights),
        sharp=np.array([not film.thumbnail for film in chosen]),
    )


def _data_facts(films: list[Film], parts: list[str]) -> dict:
    """Return how many films and patients stand in each part, and how often each finding."""
    facts = {}
    for part in (TRAIN, VALIDATION, TEST):
        own = [film for film, p in zip(films, parts, strict=True) if p == part]
        facts[part] = {
            "films": len(own),
            "thumbnails": sum(film.thumbnail for film in own),
            "patients": len({film.patient for film in own}),
            "positives": dict(zip(FINDINGS, label_array(own).sum(axis=0).astype(int).tolist(), strict=True)),
        }
    return facts


def _measure(network: EdgeNetwork, recipe: Recipe, root: Path, films: list[Film], parts: list[str]) -> dict:
    """Return the network's and the reference's figures on the test films of full sharpness.

    Recipes are compared by "validation"; the test films are looked at once, for the card.
    """
    test, validation = (
        [film for film, own in zip(films, parts, strict=True) if own == part and not film.thumbnail]
        for part in (TEST, VALIDATION)
    )
    reference = read_reference(root / REFERENCE)
    scores = {"float": _logits(network, recipe, root, test)}
    if all(film.name in reference for film in test):
        scores["reference"] = np.array([reference[film.name] for film in test])
    result = _report(test, scores)
    result["within_source"] = _within_source(test, scores)
    result["validation"] = _report(validation, {"float": _logits(network, recipe, root, validation)}, resamples=200)
    return result


def _logits(network: EdgeNetwork, recipe: Recipe, root: Path, films: list[Film]) -> np.ndarray:
    inputs = [to_input(load_grey(root / film.path), recipe.size)[..., 0] for film in films]
    return predict(network, np.concatenate(inputs))


def _report(films: list[Film], scores: dict[str, np.ndarray], resamples: int = 1000) -> dict:
    return report(label_array(films), scores, [film.patient for film in films], resamples)


def _within_source(test: list[Film], scores: dict[str, np.ndarray]) -> dict:
    """Return the figures on the test films of each large source alone, where no source can be recognised."""
    sources = np.array(source_names(test))
    tables = {}
    for name in sorted(set(sources) - {OTHER_SOURCES}):
        rows = np.flatnonzero(sources == name)
        tables[str(name)] = _report(
            [test[i] for i in rows], {reader: score[rows] for reader, score in scores.items()}, resamples=200
        )
    return tables


def read_reference(path: Path) -> dict[str, list[float]]:
    """Return the reference DenseNet-121's probabilities by film name; empty where the file is absent."""
    if not path.is_file():
        return {}
    with path.open(newline="") as file:
        return {
            row["Image Index"]: [float(row[f"prob_{finding}"]) for finding in FINDINGS] for row in csv.DictReader(file)
        }


def _write_films(path: Path, films: list[Film], parts: list[str]) -> None:
    """Write which film stood in which part, for conversion to draw from."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "name", "patient", "source", "thumbnail", "part", *FINDINGS])
        for film, part in zip(films, parts, strict=True):
            row = [film.path, film.name, film.patient, film.source, int(film.thumbnail), part]
            writer.writerow([*row, *film.labels])
