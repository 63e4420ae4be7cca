"""All that a training needs besides the network: films, targets, loss and changes, from a recipe."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from cxrtrain.data.films import TEST, TRAIN, VALIDATION, Film, label_array, source_names
from cxrtrain.data.prepared import Prepared, open_prepared
from cxrtrain.data.splits import split
from cxrtrain.data.tables import name_culprits, read_rows
from cxrtrain.data.tasks import Task
from cxrtrain.errors import FilmsError
from cxrtrain.learn.batches import FilmStore
from cxrtrain.learn.epoch import TrainingFilms
from cxrtrain.learn.losses import build_loss, source_free_weights
from cxrtrain.learn.measure import HeldOut, sharp_rows
from cxrtrain.learn.world import World
from cxrtrain.recipe import PhaseSettings, Recipe


@dataclass(frozen=True)
class Lesson:
    """What a recipe makes of prepared films.

    Attributes
    ----------
    parts : list of str
        Part of each prepared film.
    rows : ndarray of int
        Rows of the prepared films that are trained on.
    targets, weights : Tensor of float32, shape (rows, findings of the task)
        Weights are None where every film teaches as much as any other.
    loss_of : callable
        (logits, targets, weights) -> loss.
    """

    recipe: Recipe
    prepared: Prepared
    parts: list[str]
    rows: np.ndarray
    task: Task
    store: FilmStore
    targets: torch.Tensor
    weights: torch.Tensor | None
    loss_of: Callable
    world: World

    def films_of(self, phase: PhaseSettings) -> TrainingFilms:
        """Return the films to train on in a phase."""
        sharp = np.array([not self.prepared.films[row].thumbnail for row in self.rows])
        own = np.arange(len(self.rows)) if phase.thumbnails else np.flatnonzero(sharp)
        images = [self.prepared.films[row].image for row in self.rows]
        return TrainingFilms(self.store, images, own, self.targets, self.weights)

    def films(self, part: str) -> list[Film]:
        """Return the sharp films of a part."""
        return [self.prepared.films[row] for row in sharp_rows(self.prepared.films, self.parts, part)]

    def held_out(self, part: str, size: int) -> HeldOut:
        """Return the films of a part that is not trained on, as the box would see them."""
        rows = sharp_rows(self.prepared.films, self.parts, part)
        return HeldOut(self.prepared, rows, self.task, size, self.world)


def prepare_lesson(recipe: Recipe, prepared: Path, world: World, limit: int | None = None) -> Lesson:
    """Return what a recipe makes of the first LIMIT films of a prepared folder."""
    films = open_prepared(prepared)
    films = replace(films, films=films.films[:limit])
    task = Task.of(recipe.task, recipe.loss)
    parts = split(films.films, recipe.data)
    if recipe.network.weights == "file" and recipe.data.split != "paper":
        refuse_known_patients(Path(recipe.network.weights_file), films.films, parts)
    taught = [i for i, (film, part) in enumerate(zip(films.films, parts, strict=True)) if part == TRAIN]
    rows = np.array([i for i in taught if task.keeps(films.films[i])], np.int64)
    labels = task.targets(label_array([films.films[row] for row in rows]))
    return Lesson(
        recipe=recipe,
        prepared=films,
        parts=parts,
        rows=rows,
        task=task,
        store=FilmStore(films.pixels, rows, world.device),
        targets=torch.from_numpy(labels).to(world.device),
        weights=_weights(recipe, films, rows, labels, world),
        loss_of=build_loss(recipe.loss, task, labels),
        world=world,
    )


def refuse_known_patients(weights: Path, films: list[Film], parts: list[str]) -> None:
    """Raise FilmsError if the run whose network is gone on from was trained on patients who are held out here."""
    table = weights.parent / "films.csv"
    if not table.is_file():
        return
    known = {row["patient"] for row in read_rows(table, ("patient", "part")) if row["part"] == TRAIN}
    held_out = {film.patient for film, part in zip(films, parts, strict=True) if part in (VALIDATION, TEST)}
    if leaked := sorted(known & held_out):
        raise FilmsError(
            f"{weights} was trained on {len(leaked)} patients who validate or test here: {name_culprits(leaked)}; "
            "take a network of the same split and fold"
        )


def _weights(
    recipe: Recipe, films: Prepared, rows: np.ndarray, labels: np.ndarray, world: World
) -> torch.Tensor | None:
    if not recipe.loss.source_free:
        return None
    names = source_names(films.films)
    return torch.from_numpy(source_free_weights(labels, [names[row] for row in rows])).to(world.device)
