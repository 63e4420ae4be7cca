"""`cxrtrain compare`: several runs on the films that all of them test."""

import argparse
import json
from pathlib import Path


def add_compare_command(commands) -> None:
    """Add `compare` to the commands of `cxrtrain`."""
    parser = commands.add_parser("compare", help="compare runs on the films that all of them test")
    parser.add_argument("runs", metavar="RUN", type=Path, nargs="+", help="folder of a finished run")
    parser.add_argument("--films", type=Path, help="folder of the films, to compare with the reference DenseNet-121")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.set_defaults(run=run_compare_command)


def run_compare_command(arguments: argparse.Namespace) -> None:
    """Run `compare` with parsed arguments."""
    from cxrtrain.report.compare import compare_runs  # scikit-learn takes a second to import

    result = compare_runs(arguments.runs, arguments.films)
    print(json.dumps(result, indent=2) if arguments.json else as_text(result))


def as_text(result: dict) -> str:
    """Return a comparison as lines for people."""
    findings = len(result["findings"])
    lines = [f"mean AUC over {findings} findings, {result['films']} films of {result['patients']} patients", ""]
    width = max(len(own["run"]) for own in result["runs"])
    lines += [f"{'run':<{width}}  group  seed  fold  AUC (95 % interval)"]
    for own in result["runs"]:
        lines.append(
            f"{own['run']:<{width}}  {own['group']:<5}  {own['seed']:>4}  {own['fold']:>4}  {_cell(own, 'auc')}"
        )
    if result["reference"]:
        lines.append(f"{'reference DenseNet-121':<{width + 19}}  {_cell(result['reference'], 'auc')}")
    lines += ["", "group  runs  mean   spread  ensemble"]
    for own in result["groups"]:
        spread = "-" if own["auc_sd"] is None else f"{own['auc_sd']:.4f}"
        ensemble = _cell(own, "ensemble_auc")
        lines.append(f"{own['group']:<5}  {own['runs']:>4}  {own['auc_mean']:.3f}  {spread:<6}  {ensemble}")
        lines += _what_differs(own["differs_in"])
    if result["differences"]:
        lines += ["", "difference            mean of the runs           ensembles"]
    for own in result["differences"]:
        name = f"{own['of']} minus {own['against']}"
        lines.append(f"{name:<20}  {_cell(own, 'auc', '+'):<25}  {_cell(own, 'ensemble_auc', '+')}")
    return "\n".join(line.rstrip() for line in lines)


def _what_differs(settings: dict) -> list[str]:
    if not settings:
        return []
    return ["       differs from A in " + ", ".join(f"{name} = {value}" for name, value in settings.items())]


def _cell(figures: dict, name: str, sign: str = "") -> str:
    low, high = figures[f"{name}_95"]
    return f"{figures[name]:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})"
