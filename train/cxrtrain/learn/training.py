"""A training: the phases of a recipe one after the other, with a checkpoint after every epoch."""

import logging
import time
from pathlib import Path

import torch
from torch.optim.swa_utils import AveragedModel

from cxrtrain.data.films import VALIDATION
from cxrtrain.learn.checkpoint import (
    Progress,
    load_best,
    load_moments,
    load_weights,
    read_progress,
    save_best,
    save_checkpoint,
)
from cxrtrain.learn.epoch import Stage, train_epoch
from cxrtrain.learn.journal import Journal
from cxrtrain.learn.learner import Learner, average_of
from cxrtrain.learn.lesson import Lesson
from cxrtrain.networks.network import Network, build_network
from cxrtrain.transforms.presets import build_transform

log = logging.getLogger(__name__)


def train(lesson: Lesson, output: Path, resume: bool) -> tuple[Network, Progress]:
    """Return the trained network and how it came about; without epochs it has its first weights."""
    recipe, world = lesson.recipe, lesson.world
    settings = recipe.model_dump(mode="json")
    progress, tensors = read_progress(output, settings) if resume else (Progress(), {})
    network, averaged = _start_network(lesson)
    journal = Journal(output, progress.steps) if world.is_first else None
    for number, (name, phase) in enumerate(recipe.phases):
        if number < progress.phase:
            continue
        learner = Learner(recipe, phase, network, averaged, world)
        if tensors:
            load_weights(tensors, learner)
            load_moments(tensors, progress, learner)
            tensors = {}
        progress.enter(number)
        _run_phase(lesson, learner, name, progress, output, journal)
    if journal:
        journal.close()
    return averaged.module if averaged else network, progress


def _start_network(lesson: Lesson) -> tuple[Network, AveragedModel | None]:
    recipe = lesson.recipe
    torch.manual_seed(recipe.run.seed)
    network = build_network(recipe.network, lesson.task.outputs, recipe.input_size)
    network = network.to(lesson.world.device, memory_format=torch.channels_last)
    return network, average_of(network, recipe.optimiser.average)


def _run_phase(
    lesson: Lesson, learner: Learner, name: str, progress: Progress, output: Path, journal: Journal | None
) -> None:
    phase = getattr(lesson.recipe, name)
    films, held_out = lesson.films_of(phase), lesson.held_out(VALIDATION, phase.size)
    transform = build_transform(lesson.recipe.transforms.preset, phase.size)
    patience = lesson.recipe.run.patience
    while progress.epoch < phase.epochs:
        started = time.monotonic()
        stage = Stage(progress.phase, name, phase, progress.epoch)
        facts = train_epoch(learner, films, stage, transform, lesson.loss_of, lesson.world)
        loss, auc = held_out.loss_and_auc(learner.best_guess, lesson.loss_of)
        facts |= {"loss": lesson.world.mean(facts["loss"]), "validation_loss": loss, "validation_auc": auc}
        progress.add_epoch(name, facts, learner.optimiser.param_groups[0], time.monotonic() - started)
        _keep(lesson, learner, progress, output, journal)
        if patience and progress.waited >= patience:
            log.info("%s phase: no better validation for %d epochs, it ends after %d", name, patience, progress.epoch)
            break
    if patience:
        lesson.world.wait()
        load_best(output, learner)


def _keep(lesson: Lesson, learner: Learner, progress: Progress, output: Path, journal: Journal | None) -> None:
    """Write what is needed to go on from here."""
    if journal is None:
        return
    if lesson.recipe.run.patience and progress.waited == 0:
        save_best(output, learner)
    save_checkpoint(output, learner, progress, lesson.recipe.model_dump(mode="json"))
    journal.write(progress.history)
