"""Figures of an evaluation: a small panel for each finding, since 14 curves in one plot cannot be told apart."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from cxrbundle.labels import readable
from cxrbundle.scores import sigmoid
from matplotlib.axes import Axes

from cxrtrain.evaluate.calibration import calibration_error, reliability
from cxrtrain.evaluate.curves import has_both, macro_roc, precision_recall, roc
from cxrtrain.evaluate.evaluation import Evaluation
from cxrtrain.evaluate.forests import draw_findings, draw_subgroups
from cxrtrain.evaluate.panels import Panels, count_films, write_note
from cxrtrain.figures import BLUE, GREEN, GREY, ORANGE, STYLE, write_figure

ISO_F1 = (0.2, 0.4, 0.6, 0.8)
LINES = {"youden": ("Youden", "-"), "best_f1": ("best F1", "--"), "sensitivity_90": ("90 % sensitivity", ":")}
SCORE_BINS = 18
# Fewer than the error is counted in, so that a point has enough films to be looked at.
DRAWN_BINS = 5
# Of what stands behind the curves.
PALE = "#c4c4c4"


def draw_figures(evaluation: Evaluation, folder: Path) -> None:
    """Write roc, pr, reliability, thresholds, auc and subgroups into FOLDER, each as PNG and SVG."""
    drawn = {
        "roc": draw_roc,
        "pr": draw_precision_recall,
        "reliability": draw_reliability,
        "thresholds": draw_thresholds,
        "auc": lambda evaluation: draw_findings(evaluation.figures),
        "subgroups": lambda evaluation: draw_subgroups(evaluation.figures),
    }
    for name, draw in drawn.items():
        with mpl.rc_context(STYLE):
            figure = draw(evaluation)
            # Lay it out once, not again for each of its files.
            figure.draw_without_rendering()
            figure.set_layout_engine("none")
            write_figure(figure, folder / name)


def draw_roc(evaluation: Evaluation):
    """Return the figure of the ROC curves: per finding, micro and macro (the paper's Fig. 9 and 11)."""
    own, figures = evaluation.own, evaluation.figures
    panels = Panels(own.findings, "micro and macro", "False positive rate", "True positive rate")
    for i, (finding, axes) in enumerate(panels.findings.items()):
        _frame(axes, finding, figures)
        axes.plot([0, 1], [0, 1], ":", color=GREY, linewidth=0.7)
        if has_both(own.labels[:, i]):
            _draw_reference(axes, evaluation, i, roc)
            axes.plot(*roc(own.labels[:, i], own.logits[:, i]), color=BLUE, linewidth=1.2)
            _write_figures(axes, evaluation, finding, "auc", (0.97, 0.04))
    if panels.summary:
        _summarise_roc(panels.summary, evaluation)
    legend = {"this run": (BLUE, "-"), "chance": (GREY, ":")}
    if panels.summary:
        legend |= {"mean of findings (macro)": (GREEN, "--")}
    panels.explain(legend | _reference_legend(evaluation), _reference_note(evaluation))
    return panels.figure


def _summarise_roc(axes: Axes, evaluation: Evaluation) -> None:
    own, figures = evaluation.own, evaluation.figures
    axes.plot([0, 1], [0, 1], ":", color=GREY, linewidth=0.7)
    if has_both(own.labels):
        axes.plot(*roc(own.labels, own.logits), color=BLUE, linewidth=1.2)
        axes.plot(*macro_roc(own.labels, own.logits), "--", color=GREEN, linewidth=1.2)
        texts = [(f"micro {figures['micro']['auc']:.2f}", BLUE), (f"macro {figures['macro']['auc']:.2f}", GREEN)]
        write_note(axes, texts, (0.97, 0.04))


def draw_precision_recall(evaluation: Evaluation):
    """Return the figure of the precision-recall curves with iso-F1 curves (the paper's Fig. 10 and 12)."""
    own, figures = evaluation.own, evaluation.figures
    panels = Panels(own.findings, "all answers (micro)", "Recall", "Precision")
    for i, (finding, axes) in enumerate(panels.findings.items()):
        _frame(axes, finding, figures)
        _draw_iso_f1(axes)
        if has_both(own.labels[:, i]):
            axes.axhline(own.labels[:, i].mean(), linestyle=":", color=GREY, linewidth=0.7)
            _draw_reference(axes, evaluation, i, precision_recall)
            _draw_steps(axes, own.labels[:, i], own.logits[:, i])
            _write_figures(axes, evaluation, finding, "ap", (0.97, 0.97))
    if panels.summary and has_both(own.labels):
        _draw_iso_f1(panels.summary)
        panels.summary.axhline(own.labels.mean(), linestyle=":", color=GREY, linewidth=0.7)
        _draw_steps(panels.summary, own.labels, own.logits)
        write_note(panels.summary, [(f"AP {figures['micro']['ap']:.2f}", BLUE)], (0.97, 0.97))
    legend = {"this run": (BLUE, "-"), "chance": (GREY, ":"), "same F1": (PALE, "-")}
    panels.explain(legend | _reference_legend(evaluation), _reference_note(evaluation))
    return panels.figure


def _draw_steps(axes: Axes, truth: np.ndarray, score: np.ndarray) -> None:
    axes.plot(*precision_recall(truth, score), color=BLUE, linewidth=1.2, drawstyle="steps-post")


def _draw_iso_f1(axes: Axes) -> None:
    for f1 in ISO_F1:
        recall = np.linspace(f1 / 2 + 0.001, 1, 200)
        precision = f1 * recall / (2 * recall - f1)
        axes.plot(recall[precision <= 1], precision[precision <= 1], color=PALE, linewidth=0.5, zorder=1)
        # Where the curve leaves the panel on its right.
        box = {"facecolor": "white", "edgecolor": "none", "pad": 0.3}
        axes.text(1.0, f1 / (2 - f1), f"{f1}", size=4.5, color=GREY, ha="right", va="center", bbox=box, zorder=1.5)


def draw_reliability(evaluation: Evaluation):
    """Return the figure of likelihood against frequency, before and after calibration."""
    own = evaluation.own
    panels = Panels(own.findings, "all findings together", "Likelihood", "Frequency", shared=False)
    raw, calibrated = sigmoid(own.logits), evaluation.likelihoods
    for i, (finding, axes) in enumerate(panels.findings.items()):
        axes.set_title(_title(finding, evaluation.figures))
        _draw_reliability(axes, own.labels[:, i], raw[:, i], calibrated[:, i])
    if panels.summary:
        _draw_reliability(panels.summary, own.labels.ravel(), raw.ravel(), calibrated.ravel())
    legend = {"before calibration": (ORANGE, "o--"), "after": (BLUE, "s-"), "perfect": (GREY, ":")}
    panels.explain(
        legend, "Five bins of equally many films.\nNumbers: expected calibration\nerror (ten bins), before and after."
    )
    return panels.figure


def _draw_reliability(axes: Axes, truth: np.ndarray, raw: np.ndarray, calibrated: np.ndarray) -> None:
    top = 0.0
    for chance, colour, line in ((raw, ORANGE, "o--"), (calibrated, BLUE, "s-")):
        likelihood, frequency, _ = reliability(truth, chance, DRAWN_BINS)
        axes.plot(likelihood, frequency, line, color=colour, linewidth=0.8, markersize=2.5, clip_on=False)
        top = max(top, likelihood.max(), frequency.max())
    # Rare findings fill a small corner of 0 to 1 only.
    top = min(1.0, max(top * 1.1, 0.02))
    axes.plot([0, top], [0, top], ":", color=GREY, linewidth=0.7, zorder=1)
    axes.set(xlim=(0, top), ylim=(0, top))
    axes.locator_params(nbins=4)
    errors = [(f"{calibration_error(truth, raw):.3f}", ORANGE), (f"{calibration_error(truth, calibrated):.3f}", BLUE)]
    write_note(axes, errors, (0.97, 0.04))


def draw_thresholds(evaluation: Evaluation):
    """Return the figure of the logits of films with and without each finding, and of the thresholds between them."""
    own, figures = evaluation.own, evaluation.figures
    panels = Panels(own.findings, "", "Logit", "Share of the films with, or without", shared=False)
    for i, (finding, axes) in enumerate(panels.findings.items()):
        axes.set_title(_title(finding, figures))
        axes.set_yticks([])
        edges = np.histogram_bin_edges(own.logits[:, i], SCORE_BINS)
        for on, style in ((0, {"color": PALE}), (1, {"color": BLUE, "histtype": "step", "linewidth": 1.1})):
            logits = own.logits[own.labels[:, i] == on, i]
            if len(logits):
                axes.hist(logits, edges, weights=np.full(len(logits), 1 / len(logits)), **style)
        # Room for the note.
        axes.set_ylim(top=axes.get_ylim()[1] * 1.2)
        for rule, (_, line) in LINES.items():
            if threshold := figures["findings"][finding]["thresholds"][rule]:
                axes.axvline(threshold["logit"], linestyle=line, color=ORANGE, linewidth=0.9)
        positives = figures["findings"][finding]["calibration"]["positives_on_validation"]
        write_note(axes, [(f"{positives} on validation", GREY)], (0.97, 0.96))
    legend = {"films with the finding": (BLUE, "-"), "films without": (PALE, "-")}
    legend |= {name: (ORANGE, line) for name, line in LINES.values()}
    panels.explain(legend, "Thresholds were chosen on\nvalidation films with the finding,\nas many as the panel says.")
    return panels.figure


def _title(finding: str, figures: dict) -> str:
    return f"{readable(finding)} ({count_films(figures['findings'][finding]['positives'])})"


def _frame(axes: Axes, finding: str, figures: dict) -> None:
    axes.set_title(_title(finding, figures))
    axes.set(xlim=(0, 1), ylim=(0, 1.01), xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))


def _write_figures(axes: Axes, evaluation: Evaluation, finding: str, key: str, place: tuple[float, float]) -> None:
    """Write the figure of the run with its interval, and of the reference below."""
    row, beside = evaluation.figures["findings"][finding], evaluation.figures["reference"]
    bounds = row[f"{key}_95"]
    texts = [(f"{row[key]:.2f}" + (f" ({bounds[0]:.2f} to {bounds[1]:.2f})" if bounds else ""), BLUE)]
    if beside and beside["findings"][finding]["reference"][key] is not None:
        texts.append((f"{beside['findings'][finding]['reference'][key]:.2f}", ORANGE))
    write_note(axes, texts, place)


def _draw_reference(axes: Axes, evaluation: Evaluation, i: int, curve) -> None:
    if evaluation.reference is None:
        return
    rows, scores = evaluation.reference
    truth = evaluation.own.labels[rows, i]
    if has_both(truth):
        style = "steps-post" if curve is precision_recall else "default"
        axes.plot(*curve(truth, scores[:, i]), "--", color=ORANGE, linewidth=0.8, drawstyle=style)


def _reference_legend(evaluation: Evaluation) -> dict:
    beside = evaluation.figures["reference"]
    return {f"reference {beside['name']}": (ORANGE, "--")} if beside else {}


def _reference_note(evaluation: Evaluation) -> str:
    """Return what the numbers are, and on how many films the reference could be measured."""
    figures = evaluation.figures
    note = "Numbers: area, with its\n95 % interval over patients."
    beside = figures["reference"]
    if beside and beside["films"] < figures["films"]:
        note += f"\nReference on {beside['films']} of {figures['films']} films."
    return note
