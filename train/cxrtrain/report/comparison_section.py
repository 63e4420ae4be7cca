"""Two losses side by side: ROC and precision-recall on the same films (the paper's Fig. 21/23)."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from cxrbundle.labels import readable
from cxrbundle.scores import sigmoid
from matplotlib.figure import Figure
from sklearn.metrics import average_precision_score, roc_auc_score

from cxrtrain.evaluate.curves import area, has_both, macro_roc, precision_recall, roc
from cxrtrain.evaluate.metrics import mean_of_counted, per_finding
from cxrtrain.figures import BLUE, GREY, ORANGE, STYLE, write_figure
from cxrtrain.recipe import LossSettings, Recipe
from cxrtrain.report.blocks import Block, Missing, Picture, Section, Table, Text, number
from cxrtrain.report.run_folder import FinishedRun, Predictions
from cxrtrain.report.shared import shared_predictions

COLOURS = (BLUE, ORANGE)
KINDS = {"bce": "BCE", "cross-entropy": "cross-entropy", "focal": "focal loss", "asymmetric": "asymmetric loss"}
WEIGHTS = {"none": "unweighted", "balanced": "weighted by eq. 1.1", "paper": "with the paper's co-occurrence weights"}


def describe_loss(loss: LossSettings) -> str:
    """Return a loss in a few words."""
    return f"{KINDS[loss.kind]}, {WEIGHTS[loss.positive_weights]}"


def comparison_section(run: FinishedRun, against: FinishedRun | None, folder: Path) -> Section:
    """Return the section on the two runs' losses; its figure is written to FOLDER."""
    title = "Weighted against unweighted loss"
    if against is None:
        words = "The comparison with a run of another loss (Fig. 21/23 of the paper) is left out"
        return Section("losses", title, [Missing(words, f"cxrtrain report {run.folder} --against RUN2")])
    first, second = shared_predictions([run, against])
    names = [describe_loss(own.recipe.loss) for own in (run, against)]
    draw_comparison(list(zip(names, (first, second), strict=True)), folder / "losses-compared")
    caption = (
        f"Fig. 21/23 of the paper: ROC and precision-recall with two losses, on the {len(first.films):,} films that "
        "both runs hold out."
    )
    blocks: list[Block] = [
        Text(_what_differs(run, against, names)),
        Picture(caption, folder / "losses-compared.png"),
        _table(names, first, second),
    ]
    return Section("losses", title, blocks)


def _what_differs(run: FinishedRun, against: FinishedRun, names: list[str]) -> str:
    words = f"This run ({run.folder}): {names[0]}. The other ({against.folder}): {names[1]}."
    if run.recipe.loss == against.recipe.loss:
        words += " Both have the same loss, so what differs is not its work."
    others = _other_settings(run.recipe, against.recipe)
    return words + (f" They differ in {', '.join(others)} too, so the loss is not all that differs." if others else "")


def _other_settings(first: Recipe, second: Recipe) -> list[str]:
    """Return the settings outside the loss in which two recipes differ."""
    one, other = first.model_dump(exclude={"loss"}), second.model_dump(exclude={"loss"})
    return [f"{name}.{key}" for name, table in one.items() for key, value in table.items() if other[name][key] != value]


def draw_comparison(pairs: list[tuple[str, Predictions]], stem: Path) -> None:
    """Write STEM.png and STEM.svg: ROC and precision-recall curves of two runs on the same films and findings.

    Lines are of all answers together (micro); of several findings, dashes are the mean ROC (macro). The losses
    shift each finding's logits in a way of their own, and micro sees that, where macro does not.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 4.25))
        left, right = (figure.add_axes((place, 0.31, 0.385, 0.652)) for place in (0.07, 0.57))
        for (name, own), colour in zip(pairs, COLOURS, strict=True):
            if has_both(own.labels):
                _draw_run(left, right, name, own, colour)
        left.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
        left.set(xlabel="False positive rate", ylabel="True positive rate", title="ROC")
        right.axhline(pairs[0][1].labels.mean(), color=GREY, linewidth=0.8, linestyle=":")
        right.set(xlabel="Recall", ylabel="Precision", title="Precision-recall")
        for axes in (left, right):
            axes.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
            axes.spines[["top", "right"]].set_visible(False)
            # Below, where no curve is.
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.13), frameon=False)
        write_figure(figure, stem)


def _draw_run(left, right, name: str, own: Predictions, colour: str) -> None:
    scores = sigmoid(own.logits)
    several = len(own.findings) > 1
    curve = roc(own.labels, scores)
    micro = "micro, " if several else ""
    left.plot(*curve, color=colour, linewidth=1.4, label=f"{name}: {micro}AUC {area(curve):.3f}")
    if several:
        mean = macro_roc(own.labels, scores)
        left.plot(*mean, color=colour, linewidth=1.2, linestyle="--", label=f"{name}: macro, AUC {area(mean):.3f}")
    precision = average_precision_score(own.labels.ravel(), scores.ravel())
    curve = precision_recall(own.labels, scores)
    right.plot(*curve, color=colour, linewidth=1.4, label=f"{name}: {micro}AP {precision:.3f}", drawstyle="steps-post")


def _table(names: list[str], first: Predictions, second: Predictions) -> Table:
    columns = [
        per_finding(own.labels, own.logits, metric)
        for metric in (roc_auc_score, average_precision_score)
        for own in (first, second)
    ]
    rows = [
        (readable(finding), *(number(column[place]) for column in columns))
        for place, finding in enumerate(first.findings)
    ]
    several = len(rows) > 1
    if several:
        rows.append(("Mean", *(number(float(mean_of_counted(np.array(column)))) for column in columns)))
    header = ("Finding", "AUC, this run", "AUC, the other", "AP, this run", "AP, the other")
    caption = f"This run ({names[0]}) and the other ({names[1]})."
    return Table(caption, header, rows, total=several)
