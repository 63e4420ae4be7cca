"""One epoch: changed and blended films through the network, and a step against the loss of each batch."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from tqdm import tqdm

from cxrtrain.errors import DivergedError
from cxrtrain.learn.batches import FilmStore, epoch_batches, step_chance
from cxrtrain.learn.learner import Learner
from cxrtrain.learn.optimiser import set_progress
from cxrtrain.learn.world import World
from cxrtrain.networks.network import scale_input
from cxrtrain.recipe import PhaseSettings, Recipe

# To look at a loss makes a GPU wait, so that is done for some steps together.
LOOK_EVERY = 16


@dataclass(frozen=True)
class TrainingFilms:
    """What is trained on.

    Attributes
    ----------
    store : FilmStore
    images : list of str
        File names of the store's films.
    rows : ndarray of int
        Rows of the store to train on in this phase.
    targets : Tensor of float32, shape (films, outputs)
    weights : Tensor of float32, shape (films, outputs), or None
        How much each film teaches about each finding.
    """

    store: FilmStore
    images: list[str]
    rows: np.ndarray
    targets: torch.Tensor
    weights: torch.Tensor | None


@dataclass(frozen=True)
class Stage:
    """Where in training an epoch stands.

    Attributes
    ----------
    number : int
        Place of the phase in the recipe.
    epoch : int
        Epochs of the phase that are done.
    """

    number: int
    name: str
    phase: PhaseSettings
    epoch: int


def train_epoch(
    learner: Learner, films: TrainingFilms, stage: Stage, transform: Callable, loss_of: Callable, world: World
) -> dict[str, float]:
    """Train for one epoch.

    Returns
    -------
    dict
        steps, loss (mean of this process), films_per_second of all processes.

    Raises
    ------
    DivergedError
        If a loss is NaN or infinite.
    """
    recipe, phase = learner.recipe, stage.phase
    place = (recipe.run.seed, stage.number, stage.epoch)
    batches = epoch_batches(films.rows, recipe.run.batch, step_chance(*place), world)
    losses = LossWatch([[films.images[row] for row in own] for own in batches], place)
    started = time.monotonic()
    learner.start_epoch()
    with _bar(batches, recipe, stage, world) as bar:
        for step, pixels in enumerate(films.store.batches(batches)):
            set_progress(learner.optimiser, recipe.schedule, (stage.epoch + step / len(batches)) / phase.epochs)
            chance = step_chance(*place, step, world.rank)
            torch.manual_seed(int(chance.integers(2**63)))
            share = blend_share(recipe.transforms.mixup, step_chance(*place, step))
            loss = batch_loss(learner, films, batches[step], transform(pixels), loss_of, share)
            learner.step(loss)
            losses.add(loss)
            bar.update(len(batches[step]) * world.size)
            if losses.seen:
                bar.set_postfix(loss=f"{losses.seen[-1]:.3f}", refresh=False)
    mean = losses.mean()
    films_per_second = len(batches) * recipe.run.batch / (time.monotonic() - started)
    return {"steps": len(batches), "loss": mean, "films_per_second": films_per_second}


def _bar(batches: list[np.ndarray], recipe: Recipe, stage: Stage, world: World) -> tqdm:
    return tqdm(
        total=len(batches) * recipe.run.batch,
        unit="img",
        desc=f"{stage.name} {stage.epoch + 1}/{stage.phase.epochs}, {stage.phase.size} px",
        mininterval=1,
        disable=not world.is_first,
    )


def batch_loss(
    learner: Learner, films: TrainingFilms, rows: np.ndarray, grey: torch.Tensor, loss_of: Callable, share: float
) -> torch.Tensor:
    """Return the loss of one batch of changed films, shape (n, size, size), blended with each other."""
    chosen = torch.from_numpy(rows).to(films.targets.device)
    if share == 1:
        return loss_of(learner.logits(scale_input(grey)), *_teach(films, chosen))
    partner = torch.randperm(len(rows), device=grey.device)
    logits = learner.logits(scale_input(share * grey + (1 - share) * grey[partner]))
    return share * loss_of(logits, *_teach(films, chosen)) + (1 - share) * loss_of(
        logits, *_teach(films, chosen[partner])
    )


def _teach(films: TrainingFilms, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor | None]:
    return films.targets[rows], None if films.weights is None else films.weights[rows]


def blend_share(mixup: float, chance: np.random.Generator) -> float:
    """Return the share of the first of two blended films, the larger one; 1 where mixup is 0."""
    share = chance.beta(mixup, mixup) if mixup else 1.0
    return float(max(share, 1 - share))


class LossWatch:
    """The losses of an epoch, looked at some steps late; a bad one is named with its films."""

    def __init__(self, batches: list[list[str]], place: tuple[int, ...]):
        self.batches, self.place = batches, place
        self.seen: list[float] = []
        self.waiting: list[torch.Tensor] = []

    def add(self, loss: torch.Tensor) -> None:
        """Take a loss, and look at those that wait every few steps."""
        self.waiting.append(loss.detach())
        if len(self.waiting) == LOOK_EVERY:
            self.look()

    def look(self) -> None:
        """Read the losses that wait."""
        if not self.waiting:
            return
        values = torch.stack(self.waiting).tolist()
        self.waiting.clear()
        for value in values:
            if not np.isfinite(value):
                step = len(self.seen)
                raise DivergedError(
                    f"the loss is {value} at step {step} of epoch {self.place[-1] + 1}, "
                    f"films {', '.join(self.batches[step])}; lower optimiser.rate or look at these films"
                )
            self.seen.append(value)

    def mean(self) -> float:
        """Return the mean loss of all steps."""
        self.look()
        return float(np.mean(self.seen))
