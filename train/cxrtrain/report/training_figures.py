"""Figures of a training: its learning rate and momentum (the paper's Fig. 5), losses and validation AUC."""

from collections.abc import Callable
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cxrtrain.figures import BLUE, GREY, ORANGE, STYLE, write_figure
from cxrtrain.learn.schedule import one_cycle_momentum, one_cycle_rate, warm_cosine
from cxrtrain.recipe import PhaseSettings, Recipe
from cxrtrain.report.run_folder import Epoch, phase_epochs

# Points of the analytic curve of a phase.
POINTS = 400


def describe_phase(name: str, phase: PhaseSettings) -> str:
    """Return what is trained in a phase, in a few words."""
    return f"{name} phase: {'head only' if phase.head_only else 'end to end'}, {phase.size} px"


def draw_schedule(recipe: Recipe, epochs: list[Epoch], stem: Path) -> None:
    """Write STEM.png and STEM.svg: learning rate and momentum over the steps (the paper's Fig. 5).

    Lines are the recipe's curves, dots what the optimiser had in the last step of each epoch.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 2.6), layout="constrained")
        rate, momentum = figure.subplots(1, 2)
        for steps, rates, momenta in planned_schedule(recipe, epochs):
            rate.plot(steps, rates, color=BLUE, linewidth=1.2)
            momentum.plot(steps, momenta, color=BLUE, linewidth=1.2)
        last_steps = [epoch.step - 1 for epoch in epochs]
        rate.plot(last_steps, [epoch.rate for epoch in epochs], "o", color=ORANGE, markersize=3, clip_on=False)
        momentum.plot(last_steps, [epoch.momentum for epoch in epochs], "o", color=ORANGE, markersize=3, clip_on=False)
        rate.set(xlabel="Step", ylabel="Learning rate of the head", title="Learning rate")
        rate.set_ylim(bottom=0)
        rate.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3))
        momentum.set(xlabel="Step", ylabel=r"Momentum $\beta_1$", title="Momentum")
        if recipe.schedule.kind != "one-cycle":
            momentum.set_ylim(0, 1)
        _finish(figure, stem)


def planned_schedule(recipe: Recipe, epochs: list[Epoch]) -> list[tuple[np.ndarray, list[float], list[float]]]:
    """Return the steps, rates and momenta of each phase as its schedule plans them, up to where it ended."""
    start, curves = 0, []
    rate_of, momentum_of = _curves(recipe)
    for name, own in phase_epochs(epochs).items():
        phase: PhaseSettings = getattr(recipe, name)
        a_phase = (own[0].step - start) * phase.epochs
        # Early stopping cuts the plan off.
        end = (own[-1].step - start) / a_phase
        progress = np.linspace(0, min(end, 1), POINTS)
        top = recipe.optimiser.rate * phase.rate_share
        curves.append(
            (start + progress * a_phase, [top * rate_of(p) for p in progress], [momentum_of(p) for p in progress])
        )
        start = own[-1].step
    return curves


def _curves(recipe: Recipe) -> tuple[Callable[[float], float], Callable[[float], float]]:
    warm = recipe.schedule.warm
    if recipe.schedule.kind == "one-cycle":
        return lambda progress: one_cycle_rate(progress, warm), lambda progress: one_cycle_momentum(progress, warm)
    return lambda progress: warm_cosine(progress, warm), lambda progress: recipe.optimiser.beta1


def draw_losses(recipe: Recipe, epochs: list[Epoch], stem: Path) -> None:
    """Write STEM.png and STEM.svg: the losses in training and validation after each epoch."""
    with mpl.rc_context(STYLE):
        figure, axes = _epoch_axes(recipe, epochs)
        numbers = [epoch.epoch for epoch in epochs]
        axes.plot(numbers, [epoch.loss for epoch in epochs], "o-", color=BLUE, markersize=3, label="training films")
        held_out = [epoch.validation_loss for epoch in epochs]
        axes.plot(numbers, held_out, "s--", color=ORANGE, markersize=3, label="validation films")
        axes.set(ylabel="Loss")
        axes.legend(frameon=False, loc="best")
        _finish(figure, stem)


def draw_validation_auc(recipe: Recipe, epochs: list[Epoch], stem: Path) -> None:
    """Write STEM.png and STEM.svg: the mean AUC of the validation films after each epoch."""
    with mpl.rc_context(STYLE):
        figure, axes = _epoch_axes(recipe, epochs)
        values = [epoch.validation_auc for epoch in epochs]
        axes.plot([epoch.epoch for epoch in epochs], values, "s--", color=ORANGE, markersize=3)
        axes.set(ylabel="Mean AUC of the validation films")
        _finish(figure, stem)


def _epoch_axes(recipe: Recipe, epochs: list[Epoch]) -> tuple[Figure, Axes]:
    """Return axes over the epochs in which each phase has its ground and its name."""
    figure = Figure(figsize=(5.4, 2.9), layout="constrained")
    axes = figure.subplots()
    for name, own in phase_epochs(epochs).items():
        left, right = own[0].epoch - 0.5, own[-1].epoch + 0.5
        if name == "second":
            axes.axvspan(left, right, color=GREY, alpha=0.12, linewidth=0)
        words = describe_phase(name, getattr(recipe, name)).replace(": ", ":\n")
        place = axes.get_xaxis_transform()
        axes.text((left + right) / 2, 1.02, words, transform=place, ha="center", va="bottom", color=GREY)
    axes.set(xlabel="Epoch", xlim=(epochs[0].epoch - 0.5, epochs[-1].epoch + 0.5))
    axes.xaxis.get_major_locator().set_params(integer=True)
    return figure, axes


def _finish(figure: Figure, stem: Path) -> None:
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
    write_figure(figure, stem)
