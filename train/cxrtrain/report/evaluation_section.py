"""What `cxrtrain evaluate` found: curves (as in Fig. 9-12), decisions, calibration, thresholds and subgroups."""

from cxrbundle.labels import readable

from cxrtrain.report.blocks import NOTHING, Block, Missing, Picture, Section, Table, Text, bounds, number
from cxrtrain.report.run_folder import FinishedRun

FOLDER = "evaluation"
RULES = {"half": "At 0.5", "youden": "Youden", "best_f1": "Best F1", "sensitivity_90": "90 % sensitivity"}
DIVISIONS = {"sex": "Sex", "age": "Age", "view": "View", "source": "Source"}
# Averages of several findings; one finding has two classes, whose "binary" is its own.
AVERAGES = ("binary", "micro", "macro", "weighted", "samples")


def evaluation_sections(run: FinishedRun, evaluation: dict | None) -> list[Section]:
    """Return the sections on curves, decisions, calibration and subgroups."""
    if evaluation is None:
        words = "Curves, decisions, calibration, thresholds and subgroups are left out"
        missing = Missing(words, f"cxrtrain evaluate {run.folder} --films FILMS")
        return [Section("curves", "Curves, calibration and subgroups", [missing])]
    return [
        Section("curves", "ROC and precision-recall curves", _curves(run)),
        Section("decisions", "Decisions and thresholds", _decisions(run, evaluation)),
        Section("calibration", "Calibration", _calibration(run, evaluation)),
        Section("subgroups", "Subgroups", _subgroups(run, evaluation)),
    ]


def _picture(run: FinishedRun, name: str, caption: str, width: int = 170) -> Picture:
    return Picture(caption, run.folder / FOLDER / f"{name}.png", width)


def _curves(run: FinishedRun) -> list[Block]:
    roc = "As in Fig. 9-12 of the paper: ROC curve of each finding, of all answers (micro), and their mean (macro)."
    pr = "As in Fig. 9-12 of the paper: precision-recall curves, with curves of equal F1."
    return [_picture(run, "roc", roc), _picture(run, "pr", pr)]


def _decisions(run: FinishedRun, evaluation: dict) -> list[Block]:
    words = (
        "A threshold turns a likelihood into yes or no. Thresholds were chosen on "
        f"{evaluation['validation']['films']:,} validation films and measured on the {evaluation['part']} films; one "
        "that stands on few films with the finding says little of others."
    )
    caption = "Logits of films with and without each finding, and the thresholds."
    return [Text(words), _picture(run, "thresholds", caption), _threshold_table(evaluation), _average_table(evaluation)]


def _threshold_table(evaluation: dict) -> Table:
    rules = [rule for rule in RULES if rule != "half"]
    rows = [
        (
            readable(name),
            str(own["calibration"]["positives_on_validation"]),
            *(_threshold(own["thresholds"][rule]) for rule in rules),
        )
        for name, own in evaluation["findings"].items()
    ]
    caption = (
        "Thresholds: calibrated likelihood, then sensitivity / specificity on the measured films. Youden has the "
        "largest sum of both, best F1 the best balance of precision and recall; 90 % sensitivity is WHO's for triage."
    )
    return Table(caption, ("Finding", "Validation films with it", *(RULES[rule] for rule in rules)), rows)


def _threshold(own: dict | None) -> str:
    if own is None:
        return NOTHING
    return f"{number(own['likelihood'])}: {number(own['sensitivity'], 2)} / {number(own['specificity'], 2)}"


def _average_table(evaluation: dict) -> Table:
    tables = {
        (rule, weights): table[weights]
        for rule in ("half", "youden")
        if (table := evaluation["averages"][rule])
        for weights in ("plain", "sample_weighted")
    }
    rows = [
        (name, *(number(table[key]) for table in tables.values()))
        for name, key in (("Accuracy", "accuracy"), ("Films with no wrong answer", "exact_match"))
    ]
    for kind, name in (("precision", "Precision"), ("recall", "Recall"), ("f1", "F1")):
        for average in AVERAGES:
            cells = [table[kind][average] for table in tables.values()]
            if any(cell is not None for cell in cells):
                rows.append((f"{name}, {average}", *map(number, cells)))
    words = {"plain": "", "sample_weighted": ", films weighted by eq. 1.1"}
    header = ("Measure", *(f"{RULES[rule]}{words[weights]}" for rule, weights in tables))
    return Table("Decisions of all findings together.", header, rows)


def _calibration(run: FinishedRun, evaluation: dict) -> list[Block]:
    words = (
        "Calibrated, a likelihood of 0.2 means that one in five such films has the finding, among films like these. "
        "Platt scaling was fitted on validation films only. ECE is the mean distance of likelihood and frequency."
    )
    rows = [
        (
            readable(name),
            *(number(own["calibration"][key]) for key in ("slope", "intercept")),
            *_errors(own["calibration"]),
        )
        for name, own in evaluation["findings"].items()
    ]
    if len(rows) > 1:
        rows.append(("Mean", "", "", *_errors(evaluation["mean"])))
    header = ("Finding", "Slope", "Intercept", "ECE before", "ECE after", "Brier score before", "Brier score after")
    return [
        Text(words),
        _picture(run, "reliability", "Reliability: frequency of each finding against its likelihood."),
        Table("Calibration of each finding.", header, rows, total=len(rows) > 1),
    ]


def _errors(own: dict) -> list[str]:
    return [number(own[key]) for key in ("ece_before", "ece_after", "brier_before", "brier_after")]


def _subgroups(run: FinishedRun, evaluation: dict) -> list[Block]:
    words = (
        "A group is measured on the findings of which it has at least 5 films with and 5 without; beside it stands the "
        "AUC of all films on the same findings. A source is the collection that a film came through."
    )
    rows = [
        (
            f"{DIVISIONS[own['by']]}: {own['group'] or 'unknown'}",
            f"{own['films']:,}",
            f"{own['patients']:,}",
            str(own["findings_counted"]),
            number(own["auc"]),
            bounds(own["auc_95"]),
            number(own["auc_of_all_films"]),
        )
        for own in evaluation["subgroups"]
    ]
    header = ("Group", "Films", "Patients", "Findings", "Mean AUC", "95 % interval", "All films")
    picture = _picture(run, "subgroups", "Mean AUC of each group with its 95 % interval.", 150)
    return [Text(words), picture, Table("Mean AUC of each group.", header, rows)]
