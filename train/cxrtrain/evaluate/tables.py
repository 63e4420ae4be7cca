"""An evaluation as files: evaluation.json, CSV tables, and lines for people."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from cxrtrain.data.tables import write_rows
from cxrtrain.evaluate.curves import has_both, macro_roc, precision_recall, roc
from cxrtrain.evaluate.decisions import AVERAGES, KINDS
from cxrtrain.evaluate.evaluation import Evaluation
from cxrtrain.evaluate.metrics import as_table
from cxrtrain.evaluate.predictions import Predictions

EVALUATION = "evaluation.json"
RANKING = ("auc", "auc_95_low", "auc_95_high", "ap", "ap_95_low", "ap_95_high")
# Below that, a threshold is the logit of a few films, and says little of others.
FEW_POSITIVES = 10


def write_tables(evaluation: Evaluation, folder: Path) -> None:
    """Write the CSV tables: findings, thresholds, averages, subgroups, curves, and reference where it is known."""
    figures = evaluation.figures
    write_rows(folder / "findings.csv", *_split(_finding_rows(figures)))
    write_rows(folder / "thresholds.csv", *_split(_threshold_rows(figures)))
    write_rows(folder / "averages.csv", *_split(_average_rows(figures)))
    write_rows(folder / "subgroups.csv", *_split(_subgroup_rows(figures)))
    write_rows(folder / "curves.csv", ("curve", "finding", "x", "y"), _curve_rows(evaluation.own))
    # One of an earlier evaluation would belong to other figures.
    (folder / "reference.csv").unlink(missing_ok=True)
    if figures["reference"]:
        write_rows(folder / "reference.csv", *_split(_reference_rows(figures["reference"])))


def write_json(evaluation: Evaluation, folder: Path) -> None:
    """Write evaluation.json; an unknown figure is null."""
    text = json.dumps(evaluation.figures, indent=1, allow_nan=False) + "\n"
    (folder / EVALUATION).write_text(text, "utf-8")


def _split(rows: Iterable[dict]) -> tuple[list[str], list[Iterable]]:
    """Return header and cells of rows that are alike."""
    rows = list(rows)
    return list(rows[0]), [row.values() for row in rows]


def _ranking_cells(row: dict) -> dict:
    cells = []
    for key in ("auc", "ap"):
        cells += [row[key], *(row[f"{key}_95"] or (None, None))]
    return dict(zip(RANKING, cells, strict=True))


def _finding_rows(figures: dict) -> Iterator[dict]:
    for finding, row in figures["findings"].items():
        cells = {"finding": finding, "positives": row["positives"], **_ranking_cells(row)}
        yield cells | {"ap_of_rounded": row["ap_of_rounded"]} | row["calibration"]


def _threshold_rows(figures: dict) -> Iterator[dict]:
    for finding, row in figures["findings"].items():
        for rule, figure in row["thresholds"].items():
            if figure:
                yield {"finding": finding, "rule": rule} | figure


def _average_rows(figures: dict) -> Iterator[dict]:
    """Yield the averages over all findings ("all"), and those of each finding as two classes."""
    tables = {"all": figures["averages"]} | {name: row["one_vs_all"] for name, row in figures["findings"].items()}
    for of, rules in tables.items():
        for rule, table in rules.items():
            for weights in ("plain", "sample_weighted") if table else ():
                own = table[weights]
                ends = {"accuracy": own["accuracy"], "exact_match": own["exact_match"]}
                ends |= {f"{kind}_{name}": own[kind][name] for kind in KINDS for name in AVERAGES}
                yield {"of": of, "rule": rule, "weights": weights} | ends


def _subgroup_rows(figures: dict) -> Iterator[dict]:
    for group in figures["subgroups"]:
        head = {key: group[key] for key in ("by", "group", "films", "patients")}
        for finding, row in (group["findings"] | {"mean": group}).items():
            low, high = row["auc_95"] or (None, None)
            figure = {"positives": row.get("positives"), "auc": row["auc"], "auc_95_low": low, "auc_95_high": high}
            yield head | {"finding": finding} | figure


def _reference_rows(reference: dict) -> Iterator[dict]:
    for finding, row in (reference["findings"] | {"mean": reference["mean"]}).items():
        cells: dict = {"finding": finding, "positives": row.get("positives")}
        for reader in ("run", "reference"):
            cells |= {f"{reader}_{key}": cell for key, cell in _ranking_cells(row[reader]).items()}
        low, high = row["auc_difference_95"] or (None, None)
        yield cells | {"auc_difference": row["auc_difference"], "difference_95_low": low, "difference_95_high": high}


def _curve_rows(own: Predictions) -> Iterator[tuple]:
    curves = {}
    for i, finding in enumerate(own.findings):
        if has_both(own.labels[:, i]):
            curves["roc", finding] = roc(own.labels[:, i], own.logits[:, i])
            curves["pr", finding] = precision_recall(own.labels[:, i], own.logits[:, i])
    if has_both(own.labels):
        curves["roc", "micro"] = roc(own.labels, own.logits)
        curves["pr", "micro"] = precision_recall(own.labels, own.logits)
    if macro := macro_roc(own.labels, own.logits):
        curves["roc", "macro"] = macro
    for (curve, finding), (x, y) in curves.items():
        yield from ((curve, finding, *point) for point in np.round(np.column_stack([x, y]), 6).tolist())


def as_text(figures: dict) -> str:
    """Return the main figures as lines for people."""
    lines = [f"{figures['part']}: {figures['films']} films of {figures['patients']} patients"]
    lines += [as_table(_as_report(figures["findings"], {"run": figures}), ("run",))]
    if beside := figures["reference"]:
        readers = {
            reader: {"findings": {name: row[reader] for name, row in beside["findings"].items()}, "mean": mean}
            for reader, mean in (("run", beside["mean"]["run"]), ("reference", beside["mean"]["reference"]))
        }
        lines += [f"\nbeside the reference {beside['name']}: {beside['films']} films that neither was trained on"]
        lines += [as_table(_as_report(beside["findings"], readers), ("run", "reference"))]
    mean = figures["mean"]
    error = f"mean calibration error {mean['ece_before']:.3f} before, {mean['ece_after']:.3f} after"
    lines += [f"\n{error}, fitted on {figures['validation']['films']} validation films"]
    few = [name for name, row in figures["findings"].items() if _on_validation(row) < FEW_POSITIVES]
    if few:
        lines += [f"thresholds stand on fewer than {FEW_POSITIVES} validation films with: {', '.join(few)}"]
    return "\n".join(lines)


def _as_report(findings: dict, readers: dict[str, dict]) -> dict:
    positives = {name: row["positives"] for name, row in findings.items()}
    return {"positives": positives} | {name: own["findings"] | {"mean": own["mean"]} for name, own in readers.items()}


def _on_validation(row: dict) -> int:
    return row["calibration"]["positives_on_validation"]
