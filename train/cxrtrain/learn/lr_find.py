"""The learning-rate range test, and the scan of weight decays with it (paper, eq. 1.4 and 1.5, Fig. 6)."""

import itertools
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from cxrtrain.errors import FilmsError, RecipeError
from cxrtrain.learn.batches import epoch_batches, step_chance
from cxrtrain.learn.epoch import batch_loss, blend_share
from cxrtrain.learn.learner import Learner
from cxrtrain.learn.lesson import Lesson, prepare_lesson
from cxrtrain.learn.schedule import range_test_rate
from cxrtrain.learn.world import join_world
from cxrtrain.networks.network import build_network
from cxrtrain.recipe import Recipe
from cxrtrain.report.search_figures import draw_lr_find, draw_wd_scan
from cxrtrain.transforms.presets import build_transform

SMOOTHING = 0.98
# fastai's mark of divergence, and the ends of the curve where the slope says nothing.
DIVERGED = 4.0
SKIPPED_START, SKIPPED_END = 10, 5
LR_FIND, WD_SCAN = "lr-find", "wd-scan"


@dataclass(frozen=True)
class RangeTest:
    """Settings of a range test.

    Attributes
    ----------
    lowest, highest : float
        First and last learning rate.
    steps : int
        Steps from the one to the other.
    """

    lowest: float = 1e-7
    highest: float = 10.0
    steps: int = 100

    def __post_init__(self):
        if not 0 < self.lowest < self.highest:
            raise RecipeError(f"--lowest {self.lowest} must be above 0 and below --highest {self.highest}")
        if self.steps <= SKIPPED_START + SKIPPED_END:
            raise RecipeError(f"--steps {self.steps} are too few to see a slope; take 50 or more")


def smooth(losses: list[float], beta: float = SMOOTHING) -> list[float]:
    """Return the running mean of losses without its bias towards 0 (paper, eq. 1.5)."""
    mean, smoothed = 0.0, []
    for step, loss in enumerate(losses, 1):
        mean = beta * mean + (1 - beta) * loss
        smoothed.append(mean / (1 - beta**step))
    return smoothed


def steepest_rate(rates: list[float], smoothed: list[float]) -> float | None:
    """Return the rate where the loss falls fastest against the rate's logarithm; None where it never falls."""
    inner = slice(SKIPPED_START, max(len(rates) - SKIPPED_END, SKIPPED_START))
    if len(rates[inner]) < 2:
        return None
    slopes = np.gradient(np.array(smoothed), np.log(rates))[inner]
    return rates[inner][int(slopes.argmin())] if slopes.min() < 0 else None


def range_test(lesson: Lesson, test: RangeTest) -> dict:
    """Return rates, losses and smoothed losses of a fresh network while its rate grows, up to divergence."""
    recipe = lesson.recipe
    phase = recipe.phases[0][1]
    torch.manual_seed(recipe.run.seed)
    network = build_network(recipe.network, lesson.task.outputs, phase.size).to(
        lesson.world.device, memory_format=torch.channels_last
    )
    learner = Learner(recipe, phase, network, None, lesson.world)
    learner.start_epoch()
    top = max(group["top"] for group in learner.optimiser.param_groups)
    rates: list[float] = []
    losses: list[float] = []
    for step, loss in enumerate(tqdm(_losses(lesson, learner, test.steps), total=test.steps, unit="batch")):
        rate = range_test_rate(step, test.steps, test.lowest, test.highest)
        value = loss.item()
        if not math.isfinite(value) or (losses and smooth([*losses, value])[-1] > DIVERGED * min(smooth(losses))):
            break
        rates.append(rate)
        losses.append(value)
        for group in learner.optimiser.param_groups:
            group["lr"] = rate * group["top"] / top
        learner.step(loss)
    smoothed = smooth(losses)
    return {
        "rates": rates,
        "losses": losses,
        "smoothed": smoothed,
        "suggested_rate": steepest_rate(rates, smoothed),
        "diverged": len(rates) < test.steps,
    }


def _losses(lesson: Lesson, learner: Learner, steps: int) -> Iterator[torch.Tensor]:
    """Yield the loss of one batch after the other, each computed when it is asked for."""
    recipe, phase = lesson.recipe, lesson.recipe.phases[0][1]
    films = lesson.films_of(phase)
    transform = build_transform(recipe.transforms.preset, phase.size)
    seed = recipe.run.seed
    epochs = (
        epoch_batches(films.rows, recipe.run.batch, step_chance(seed, 0, epoch), lesson.world)
        for epoch in itertools.count()
    )
    batches = list(itertools.islice(itertools.chain.from_iterable(epochs), steps))
    for step, (rows, pixels) in enumerate(zip(batches, films.store.batches(batches), strict=True)):
        chance = step_chance(seed, 0, step)
        torch.manual_seed(int(chance.integers(2**63)))
        share = blend_share(recipe.transforms.mixup, chance)
        yield batch_loss(learner, films, rows, transform(pixels), lesson.loss_of, share)


def run_lr_find(recipe: Recipe, films: Path, output: Path, test: RangeTest, limit: int | None = None) -> dict:
    """Run the range test of a recipe and write OUTPUT/lr-find."""
    with join_world() as world:
        result = range_test(prepare_lesson(recipe, films, world, limit), test)
    folder = _folder(output, LR_FIND)
    (folder / "lr-find.json").write_text(json.dumps(result, indent=1) + "\n")
    draw_lr_find(result, folder / "lr-find")
    return result


def run_wd_scan(
    recipe: Recipe, films: Path, output: Path, decays: list[float], test: RangeTest, limit: int | None = None
) -> dict:
    """Run the range test with each weight decay, really varied, and write OUTPUT/wd-scan."""
    curves = []
    with join_world() as world:
        for decay in decays:
            settings = recipe.optimiser.model_copy(update={"weight_decay": decay})
            own = recipe.model_copy(update={"optimiser": settings})
            curves.append({"weight_decay": decay} | range_test(prepare_lesson(own, films, world, limit), test))
    best = min(curves, key=lambda curve: min(curve["smoothed"]))
    suggested = {"weight_decay": best["weight_decay"], "rate": best["suggested_rate"]}
    result = {"curves": curves, "suggested": suggested}
    folder = _folder(output, WD_SCAN)
    (folder / "wd-scan.json").write_text(json.dumps(result, indent=1) + "\n")
    draw_wd_scan(result, folder / "wd-scan")
    return result


def _folder(output: Path, name: str) -> Path:
    folder = output / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise FilmsError(f"{folder} cannot be written ({err.strerror}); name another folder with -o") from err
    return folder
