"""Figures of the searches before a training: the range test of the learning rate, and the weight decays."""

from pathlib import Path

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from cxrtrain.figures import BLUE, GREEN, GREY, ORANGE, STYLE, write_figure

# A scan has four curves as the paper has; dashes tell them apart on a grey print. More start anew.
LINES = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (GREY, ":"))
# A diverging loss would press the rest of the curve flat.
SHOWN_ABOVE = 0.5


def draw_lr_find(result: dict, stem: Path) -> None:
    """Write STEM.png and STEM.svg: loss against learning rate, with the suggested rate.

    Parameters
    ----------
    result : dict
        "rates", "losses" and "smoothed", each of a number a step, and "suggested_rate" or None.
    """
    with mpl.rc_context(STYLE):
        figure, axes = _rate_axes("Learning-rate range test")
        axes.plot(result["rates"], result["losses"], color=GREY, alpha=0.4, linewidth=0.8, label="loss of a step")
        axes.plot(result["rates"], result["smoothed"], color=BLUE, linewidth=1.5, label="smoothed (eq. 1.5)")
        if result["suggested_rate"]:
            label = f"suggested: {result['suggested_rate']:.1e}"
            axes.axvline(result["suggested_rate"], color=ORANGE, linestyle="--", linewidth=1, label=label)
        _show_the_fall(axes, [result["smoothed"], result["losses"]])
        axes.legend(frameon=False)
        write_figure(figure, stem)


def draw_wd_scan(result: dict, stem: Path) -> None:
    """Write STEM.png and STEM.svg: loss against learning rate for each weight decay (the paper's Fig. 6).

    Parameters
    ----------
    result : dict
        "curves", each with "weight_decay", "rates", "losses" and, if it has been smoothed, "smoothed"; "suggested"
        with "weight_decay" and "rate" or None.
    """
    curves = [(curve, curve.get("smoothed", curve["losses"])) for curve in result["curves"]]
    with mpl.rc_context(STYLE):
        figure, axes = _rate_axes("Range test with each weight decay")
        for number, (curve, losses) in enumerate(curves):
            colour, dashes = LINES[number % len(LINES)]
            label = f"weight decay {curve['weight_decay']:g}"
            axes.plot(curve["rates"], losses, color=colour, linestyle=dashes, linewidth=1.5, label=label)
        _show_the_fall(axes, [losses for _, losses in curves])
        axes.legend(frameon=False)
        write_figure(figure, stem)


def _rate_axes(title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.4, 3.2), layout="constrained")
    axes = figure.subplots()
    axes.set(xscale="log", xlabel="Learning rate", ylabel="Loss", title=title)
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _show_the_fall(axes: Axes, curves: list[list[float]]) -> None:
    """Show the losses from the lowest to a little above the first."""
    curves = [losses for losses in curves if losses]
    if not curves:
        return
    low, first = min(map(min, curves)), max(losses[0] for losses in curves)
    room = max(first - low, abs(first) / 10, 1e-3)
    axes.set_ylim(low - 0.1 * room, first + SHOWN_ABOVE * room)
