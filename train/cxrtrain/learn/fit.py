"""`cxrtrain fit`: from prepared films and a recipe to the folder of a run."""

import csv
import json
import logging
from collections import Counter
from pathlib import Path

from cxrbundle.labels import FINDINGS
from cxrbundle.manifest import PREPROCESSING
from cxrbundle.provenance import code_version

from cxrtrain.data.films import TEST, TRAIN, VALIDATION, label_array
from cxrtrain.errors import RunError
from cxrtrain.evaluate.metrics import as_table
from cxrtrain.learn.checkpoint import FOLDER, Progress
from cxrtrain.learn.lesson import Lesson, prepare_lesson
from cxrtrain.learn.measure import PREDICTIONS, Answers, ask, measure, write_predictions
from cxrtrain.learn.training import train
from cxrtrain.learn.world import join_world
from cxrtrain.networks.export import export_run
from cxrtrain.networks.network import INPUT_SCALE, INPUT_ZERO, NETWORK, RECIPE, Network, save_network
from cxrtrain.recipe import Recipe, write_recipe

log = logging.getLogger(__name__)
FILMS, RUN = "films.csv", "run.json"
FILM_COLUMNS = ("path", "name", "patient", "source", "thumbnail", "part", "age", "sex", "view", *FINDINGS)


def run_fit(recipe: Recipe, films: Path, output: Path, resume: bool = False, limit: int | None = None) -> None:
    """Train, measure on held-out patients, and write the run's folder; run.json, the last file, says it is whole.

    Raises
    ------
    FilmsError
        If the films cannot be used.
    RunError
        If the folder holds another run, or none to go on with.
    DivergedError
        If the loss is NaN or infinite.
    """
    _check_folder(output, resume)
    with join_world() as world:
        lesson = prepare_lesson(recipe, films, world, limit)
        if world.is_first:
            log.info("films: %s", dict(Counter(lesson.parts)))
            output.mkdir(parents=True, exist_ok=True)
            write_recipe(recipe, output / RECIPE)
            _write_films(output / FILMS, lesson)
        network, progress = train(lesson, output, resume)
        parts = [part for part in (VALIDATION, TEST) if lesson.films(part)]
        answers = ask(network, {part: lesson.held_out(part, recipe.input_size) for part in parts}, lesson.task)
        if world.is_first:
            _hand_over(lesson, network, progress, answers, output)


def _check_folder(output: Path, resume: bool) -> None:
    if (output / RUN).exists():
        raise RunError(f"{output} holds a finished run; name a new folder with -o")
    if (output / FOLDER).exists() and not resume:
        raise RunError(f"{output} holds a run that was cut off; go on with --resume, or name a new folder with -o")


def _hand_over(lesson: Lesson, network: Network, progress: Progress, answers: Answers, output: Path) -> None:
    """Write what evaluation, explanation, the report and convert/ read, and print the figures."""
    recipe = lesson.recipe
    write_predictions(output / PREDICTIONS, answers)
    save_network(network, output / NETWORK)
    export_run(network, recipe.input_size, output)
    metrics = measure(lesson.prepared.root, answers)
    facts = {
        "network": recipe.network.name,
        "labels": list(lesson.task.findings),
        "preprocessing": PREPROCESSING,
        "input": {"size": recipe.input_size, "channels": 3, "scale": INPUT_SCALE, "zero_point": INPUT_ZERO},
        "head_kind": network.head.kind,
        "recipe": recipe.model_dump(mode="json"),
        "data": _data_facts(lesson),
        "code": code_version(),
        "minutes": round(progress.seconds / 60, 1),
        "epochs": progress.history,
        "metrics": metrics,
    }
    new = output / f"{RUN}.new"
    new.write_text(json.dumps(facts, indent=2, allow_nan=False) + "\n")
    new.replace(output / RUN)
    print(as_table(metrics))


def _data_facts(lesson: Lesson) -> dict:
    """Return how many films and patients stand in each part, and how often each finding."""
    facts = {}
    for part in (TRAIN, VALIDATION, TEST):
        own = [film for film, p in zip(lesson.prepared.films, lesson.parts, strict=True) if p == part]
        facts[part] = {
            "films": len(own),
            "thumbnails": sum(film.thumbnail for film in own),
            "patients": len({film.patient for film in own}),
            "positives": dict(zip(FINDINGS, label_array(own).sum(axis=0).astype(int).tolist(), strict=True)),
        }
    return facts


def _write_films(path: Path, lesson: Lesson) -> None:
    """Write which film stood in which part, for evaluation and conversion to draw from."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(FILM_COLUMNS)
        for film, part in zip(lesson.prepared.films, lesson.parts, strict=True):
            row = [film.path, film.image, film.patient, film.source, int(film.thumbnail), part]
            writer.writerow([*row, film.age, film.sex, film.view, *film.labels])
