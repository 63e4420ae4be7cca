"""`cxrconvert lint`: would the Edge TPU run a model, and where not, why."""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cxrconvert.edgetpu.cost import ON_CHIP
from cxrconvert.edgetpu.graph import Operator, Tensor
from cxrconvert.edgetpu.lint import Finding, Report, Verdict, lint
from cxrconvert.edgetpu.rules import Effect, Fault
from cxrconvert.errors import NotTfliteError

NO_TFLITE = 3
WORDS = {
    Verdict.WHOLE: "whole on the Edge TPU",
    Verdict.PARTLY: "partly on the Edge TPU",
    Verdict.NOTHING: "not on the Edge TPU",
}
COLUMNS = ("operator", "count", "on TPU", "version", "activations", "weights", "million MACs")


def add_lint_command(commands) -> None:
    """Add `lint` to the commands of `cxrconvert`."""
    parser = commands.add_parser(
        "lint",
        help="say whether the Edge TPU would run a model, operator by operator; needs no compiler",
        epilog="exit status: 0 the whole model, 1 a part of it, 2 nothing of it, 3 no TFLite file",
    )
    parser.add_argument("model", type=Path, metavar="MODEL.tflite")
    parser.add_argument("--json", action="store_true", help="print everything as one JSON object")
    parser.set_defaults(run=run_lint_command)


def run_lint_command(arguments: argparse.Namespace) -> int:
    """Lint one file and return the exit status."""
    try:
        report = lint(arguments.model.read_bytes())
    except (NotTfliteError, OSError) as err:
        print(f"cxrconvert: {arguments.model}: {err}", file=sys.stderr)
        return NO_TFLITE
    print(json.dumps(as_json(report), indent=2) if arguments.json else as_text(report, arguments.model.name))
    return int(report.verdict)


def as_json(report: Report) -> dict[str, Any]:
    """Return everything that the lint says, for JSON."""
    latency = report.latency
    return {
        "verdict": report.verdict.name.lower(),
        "compiled": bool(report.compiled),
        "quantised": report.quantised,
        "tpu_subgraphs": report.subgraphs,
        "operators_on_tpu": len(report.on_tpu),
        "macs": report.macs,
        "macs_on_tpu": report.tpu_macs,
        "parameter_bytes": report.parameter_bytes,
        "on_chip_bytes": ON_CHIP,
        "off_chip_bytes": report.off_chip_bytes,
        "latency_ms": latency and {
            "predicted": latency.milliseconds, "low": latency.low, "high": latency.high, "basis": latency.basis
        },
        "faults_of_compiled": list(report.compiled.faults()) if report.compiled else [],
        "operators": [_finding(finding) for finding in report.findings],
    }  # fmt: skip


def _finding(finding: Finding) -> dict[str, Any]:
    operator = finding.operator
    return {
        "place": operator.place,
        "operator": operator.name,
        "version": operator.version,
        "makes": operator.where(),
        "inputs": [_tensor(tensor) for tensor in operator.inputs if tensor],
        "outputs": [_tensor(tensor) for tensor in operator.outputs],
        "macs": finding.macs,
        "on_tpu": finding.on_tpu,
        "supported": all(fault.rule.effect is Effect.PERHAPS for fault in finding.faults),
        "faults": [
            {"sentence": fault.sentence, "source": fault.rule.source, "effect": fault.rule.effect.name.lower()}
            for fault in finding.faults
        ],
    }


def _tensor(tensor: Tensor) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "type": tensor.type,
        "shape": list(tensor.shape),
        "quantisation": tensor.quantisation,
        "constant": tensor.constant,
    }


def as_text(report: Report, name: str) -> str:
    """Return what the lint says, to be read: a verdict, the kinds of operator, what it costs, the faults."""
    said = "as compiled" if report.compiled else "as the rules predict; only edgetpu_compiler knows"
    unquantised = "" if report.quantised else "; the model is not quantised"
    head = f"{name}: {WORDS[report.verdict]}{unquantised} ({said})"
    return "\n\n".join(part for part in (head, _table(report), _cost(report), _faults(report)) if part)


def _table(report: Report) -> str:
    """One row for every kind of operator, version, types and quantisation."""
    kinds = defaultdict(list)
    for finding in report.findings:
        operator = finding.operator
        kinds[operator.name, str(operator.version), _types(operator), _weights(operator)].append(finding)
    rows = [COLUMNS]
    for (name, version, types, weights), findings in kinds.items():
        mapped = sum(finding.on_tpu for finding in findings)
        macs = sum(finding.macs for finding in findings) / 1e6
        rows.append((name, str(len(findings)), str(mapped), version, types, weights, f"{macs:.2f}" if macs else ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def _types(operator: Operator) -> str:
    ins = [tensor for tensor in operator.inputs if tensor and not tensor.constant]
    return " -> ".join("/".join(sorted({tensor.type for tensor in side})) for side in (ins, operator.outputs))


def _weights(operator: Operator) -> str:
    kinds = {f"{t.type} {t.quantisation}" if t.scales else t.type for t in operator.constants if len(t.shape) > 1}
    return ", ".join(sorted(kinds))


def _cost(report: Report) -> str:
    share = report.tpu_macs / report.macs if report.macs else float(report.verdict is Verdict.WHOLE)
    unit = f"{len(report.on_tpu)} of {len(report.findings)} operators on the TPU, subgraphs there: {report.subgraphs}"
    if report.compiled:
        return f"{unit}; {report.compiled.program_bytes / 1e6:.2f} MB of program with its parameters"
    lines = [
        f"{unit}; {share:.1%} of {report.macs / 1e6:.1f} million MACs",
        f"{report.parameter_bytes / 1e6:.2f} MB of parameters there, about {ON_CHIP / 1e6:.0f} MB fit on the chip: "
        + (f"{report.off_chip_bytes / 1e6:.2f} MB stream in for every film" if report.off_chip_bytes else "they fit"),
    ]
    if report.latency:
        latency = report.latency
        lines.append(
            f"predicted latency {latency.milliseconds:.1f} ms (from {latency.low:.1f} to {latency.high:.1f}): "
            f"{latency.basis}"
        )
    return "\n".join(lines)


def _faults(report: Report) -> str:
    """Each sentence once, with its places; sentences on other tensors of one rule are one kind of fault."""
    if report.compiled:
        left = [f"{count} {name} on the CPU" for name, count in report.compiled.cpu_operators.items()]
        return "\n".join((*left, *report.compiled.faults()))
    kinds: dict[str, list[tuple[Operator, Fault]]] = defaultdict(list)
    for finding in report.findings:
        for fault in finding.faults:
            kinds[finding.operator.name + fault.rule.sentence].append((finding.operator, fault))
    lines = [line for found in kinds.values() for line in _fault(found)]
    followers = [finding for finding in report.findings if not finding.on_tpu and not finding.faults]
    if followers:
        lines.append(f"operators without a fault that stay on the CPU with those above: {len(followers)}")
    return "\n".join(lines)


def _fault(found: list[tuple[Operator, Fault]]) -> Iterable[str]:
    operator, fault = found[0]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    yield f"operator {operator.place}, {operator.name}{more}: {fault.sentence}"
    yield f"    makes {operator.where()!r}; {fault.rule.effect.value}; source: {fault.rule.source}"
