"""How a run was trained: schedule and searches (Fig. 5, 6), losses and AUC over the epochs, the second phase."""

from pathlib import Path

from cxrtrain.report.blocks import Block, Missing, Picture, Section, Table, Text, number
from cxrtrain.report.run_folder import Epoch, FinishedRun, phase_epochs
from cxrtrain.report.search_figures import draw_lr_find, draw_wd_scan
from cxrtrain.report.training_figures import describe_phase, draw_losses, draw_schedule, draw_validation_auc


def training_section(run: FinishedRun, folder: Path) -> Section:
    """Return the section on the training; its figures are written to FOLDER."""
    blocks = [*_searches(run, folder), *_epochs(run, folder)]
    return Section("training", "Training", blocks)


def _searches(run: FinishedRun, folder: Path) -> list[Block]:
    recipe = run.folder / "recipe.toml"
    blocks: list[Block] = []
    if found := run.read("lr-find/lr-find.json"):
        draw_lr_find(found, folder / "lr-find")
        caption = "Range test of the learning rate (eq. 1.4 and 1.5 of the paper): the rate grows with every step."
        blocks.append(Picture(caption, folder / "lr-find.png", 120))
    else:
        command = f"cxrtrain lr-find {recipe} --films PREPARED -o {run.folder}"
        blocks.append(Missing("The range test of the learning rate is left out", command))
    if found := run.read("wd-scan/wd-scan.json"):
        draw_wd_scan(found, folder / "wd-scan")
        caption = "Fig. 6 of the paper: the range test with each weight decay, which is really varied here."
        blocks.append(Picture(caption, folder / "wd-scan.png", 120))
    else:
        command = f"cxrtrain wd-scan {recipe} --films PREPARED -o {run.folder}"
        blocks.append(Missing("The scan of weight decays (Fig. 6 of the paper) is left out", command))
    return blocks


def _epochs(run: FinishedRun, folder: Path) -> list[Block]:
    if not run.epochs:
        again = f"cxrtrain fit {run.folder}/recipe.toml --films PREPARED -o NEW"
        return [Missing("Schedule, losses and AUC over the epochs are left out: there is no metrics.csv", again)]
    draw_schedule(run.recipe, run.epochs, folder / "schedule")
    draw_losses(run.recipe, run.epochs, folder / "losses")
    draw_validation_auc(run.recipe, run.epochs, folder / "validation-auc")
    return [
        Picture(
            f"Fig. 5 of the paper: learning rate and momentum over the steps ({run.recipe.schedule.kind}). "
            "Lines: as the recipe plans. Dots: as the optimiser had them in the last step of each epoch.",
            folder / "schedule.png",
        ),
        Picture(
            "As in Fig. 7-12 of the paper: loss after each epoch. In training films are changed at random, and so "
            "harder than in validation.",
            folder / "losses.png",
            125,
        ),
        Picture(
            "As in Fig. 7-12 of the paper: mean AUC of the validation films after each epoch.",
            folder / "validation-auc.png",
            125,
        ),
        *_second_phase(run),
    ]


def _second_phase(run: FinishedRun) -> list[Block]:
    """Return what the second phase did, in a sentence and a table."""
    ends = {name: own[-1] for name, own in phase_epochs(run.epochs).items()}
    if len(ends) < 2:
        return [Text("The run has one phase, so there is no effect of a second one to report.")]
    first, second = ends["first"], ends["second"]
    words = (
        "Effect of the second phase: the validation AUC went from "
        f"{_change(first.validation_auc, second.validation_auc, 3)}, "
        f"the validation loss from {_change(first.validation_loss, second.validation_loss, 4)}."
    )
    rows = [_phase_row(run, name, end, len(phase_epochs(run.epochs)[name])) for name, end in ends.items()]
    header = ("Phase", "Epochs", "Loss", "Validation loss", "Validation AUC")
    return [Text(words), Table("State at the end of each phase.", header, rows)]


def _change(before: float, after: float, digits: int) -> str:
    return f"{number(before, digits)} to {number(after, digits)} ({after - before:+.{digits}f})"


def _phase_row(run: FinishedRun, name: str, end: Epoch, epochs: int) -> tuple[str, ...]:
    words = describe_phase(name, getattr(run.recipe, name)).capitalize()
    losses = number(end.loss, 4), number(end.validation_loss, 4)
    return words, str(epochs), *losses, number(end.validation_auc)
