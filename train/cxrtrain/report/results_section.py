"""How well a run reads, beside the paper and the reference network (tables 1 and 2, and one-vs-all)."""

from cxrbundle.labels import FINDINGS, readable

from cxrtrain.report import paper
from cxrtrain.report.blocks import Block, Missing, Picture, Section, Table, Text, bounds, number
from cxrtrain.report.run_folder import FinishedRun

MEAN = "mean"
ONE = "Pneumothorax"
# What the paper's app decides at.
HALF = "half"


def results_section(run: FinishedRun, evaluation: dict | None) -> Section:
    """Return the section with tables 1 and 2 and the one-vs-all table."""
    own = evaluation["findings"] | {MEAN: evaluation[MEAN]} if evaluation else run.facts["metrics"]["float"]
    other = _reference(run, evaluation)
    names = [finding for finding in FINDINGS if finding in own]
    rows = names if len(names) == 1 else [*names, MEAN]
    blocks: list[Block] = [Text(_on_which_films(run, evaluation)), *_beside_reference(run, evaluation, other)]
    if evaluation:
        caption = "AUC and average precision of each finding with their 95 % intervals."
        blocks.append(Picture(caption, run.folder / "evaluation" / "auc.png"))
    blocks += [_auc_table(rows, own, other), _ap_table(rows, own, other)]
    if evaluation:
        blocks += [*_one_vs_all(evaluation)]
    return Section("results", "Results beside the paper and the reference", blocks)


def _on_which_films(run: FinishedRun, evaluation: dict | None) -> str:
    own = run.predictions.quoted
    facts = {"part": run.predictions.quoted_part, "films": len(own.films), "patients": len(set(own.patients))}
    facts |= evaluation or {}
    return (
        f"Measured on {facts['films']:,} {facts['part']} films of {facts['patients']:,} patients, none of them a "
        "thumbnail. Intervals are of bootstrap draws of whole patients. The paper's figures are of its own films "
        f"({paper.SOURCE}), most of them of patients whom it had trained on: they stand beside ours to be recognised, "
        "not as a mark to reach."
    )


def _reference(run: FinishedRun, evaluation: dict | None) -> dict[str, dict]:
    """Return the reference's AUC and AP by finding and in the mean; empty where it was trained on the films."""
    if evaluation and evaluation["reference"]:
        beside = evaluation["reference"]
        return {name: row["reference"] for name, row in (beside["findings"] | {MEAN: beside[MEAN]}).items()}
    own_split = run.recipe.data.split == "reference"
    return run.facts["metrics"].get("reference", {}) if own_split else {}


def _beside_reference(run: FinishedRun, evaluation: dict | None, other: dict) -> list[Block]:
    if not other:
        words = "The reference DenseNet-121 is left out"
        return [Missing(words, f"cxrtrain evaluate {run.folder} --films FILMS")]
    if not (evaluation and evaluation["reference"]):
        return []
    beside = evaluation["reference"]
    mean = beside[MEAN]
    words = (
        f"The reference {beside['name']} is measured on {beside['films']:,} of these films, those that neither network "
        f"was trained on. There the mean AUC is {number(mean['run']['auc'])} for this run and "
        f"{number(mean['reference']['auc'])} for the reference"
    )
    if mean["auc_difference_95"]:
        words += f"; the difference is {mean['auc_difference']:+.3f} (95 % interval {_signed(mean)})"
    return [Text(f"{words}.")]


def _signed(mean: dict) -> str:
    return "{:+.3f} to {:+.3f}".format(*mean["auc_difference_95"])


def _auc_table(names: list[str], own: dict, other: dict) -> Table:
    published = _with_mean(paper.AUC, own)
    rows = [
        (
            _label(name, own),
            number(published[name], 2),
            number(other.get(name, {}).get("auc")),
            number(own[name]["auc"]),
            bounds(own[name]["auc_95"]),
        )
        for name in names
    ]
    header = ("Finding", "Paper", "Reference DenseNet-121", "This run", "95 % interval")
    return Table("Table 1 of the paper: area under the ROC curve (AUC).", header, rows, total=MEAN in names)


def _with_mean(published: dict[str, float], own: dict) -> dict[str, float | None]:
    """Return the paper's figures and their mean, of the findings that this run's mean is of."""
    known = [value for name, value in published.items() if own.get(name, {}).get("auc") is not None]
    return published | {MEAN: sum(known) / len(known) if known else None}


def _label(name: str, own: dict) -> str:
    return f"Mean of {own[MEAN]['findings']}" if name == MEAN else readable(name)


def _ap_table(names: list[str], own: dict, other: dict) -> Table:
    published = _with_mean(paper.AP_OF_ROUNDED, own)
    rows = [
        (
            _label(name, own),
            number(published[name], 2),
            number(own[name].get("ap_of_rounded")),
            number(other.get(name, {}).get("ap")),
            number(own[name]["ap"]),
            bounds(own[name]["ap_95"]),
        )
        for name in names
    ]
    caption = (
        "Table 2 of the paper: average precision. The paper rounded its probabilities to 0 or 1 first, so its column "
        "scores decisions at 0.5; 'rounded' does the same here, and the columns after it are true average precision."
    )
    header = ("Finding", "Paper (rounded)", "This run, rounded", "Reference DenseNet-121", "This run", "95 % interval")
    return Table(caption, header, rows, total=MEAN in names)


def _one_vs_all(evaluation: dict) -> list[Block]:
    """Return the paper's one-vs-all experiment beside what this run decides on the same finding at 0.5."""
    if ONE not in evaluation["findings"]:
        return [Text(f"The paper's one-vs-all experiment was on {ONE.lower()}, which this run does not score.")]
    own = evaluation["findings"][ONE]
    decided = own["one_vs_all"][HALF]
    rows = [("AUC", number(paper.ONE_VS_ALL["auc"], 2), number(own["auc"]), "")]
    rows += [
        (
            f"F1 {average}",
            number(published),
            number(decided["plain"]["f1"][average]),
            number(decided["sample_weighted"]["f1"][average]),
        )
        for average, published in paper.ONE_VS_ALL["f1"].items()
    ]
    caption = (
        f"The paper's one-vs-all experiment: {ONE.lower()} against all other films (in the paper: all "
        "others with a finding), decided at 0.5. The paper states "
        "the weights 0.5566 and 4.902; its figures are those of 0.5566 and 1 (cxrtrain paper-f1)."
    )
    return [Table(caption, ("Measure", "Paper", "This run", "This run, films weighted by eq. 1.1"), rows)]
