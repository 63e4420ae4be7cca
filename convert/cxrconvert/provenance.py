"""What a manifest says of where its bundle comes from: training, tools, parity and figures."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from cxrbundle.labels import FINDINGS
from cxrbundle.provenance import code_version

from cxrconvert.metrics import patient_weights, report
from cxrconvert.operating_point import OperatingPoint, measure_operating_point
from cxrconvert.parity import Measured

TOOLS = ("tensorflow", "tensorflow-cpu", "ai-edge-litert", "onnx", "onnxruntime", "numpy", "opencv-python-headless")
# The manifest says these in keys of its own.
SAID_ELSEWHERE = {"network", "labels", "preprocessing", "input", "head_kind", "epochs"}


def training_facts(facts: dict[str, Any]) -> dict[str, Any]:
    """Return run.json's facts for the manifest; of the figures within one source only the means."""
    kept = {key: value for key, value in facts.items() if key not in SAID_ELSEWHERE}
    within = facts["metrics"].get("within_source", {})
    means = {source: _means(table) for source, table in within.items()}
    return {**kept, "metrics": {**facts["metrics"], "within_source": means}}


def _means(table: dict[str, Any]) -> dict[str, Any]:
    readers = {name: table[name]["mean"] for name in ("float", "reference") if name in table}
    return {"films": table["films"], "patients": table["patients"], **readers}


def tool_facts() -> dict[str, Any]:
    """Return the versions of this software and of the tools that made a bundle."""
    tools = {name: installed for name in TOOLS if (installed := _installed(name))}
    return {"code": code_version(), "tools": {"python": platform.python_version(), **tools}}


def _installed(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def figures(test: Measured) -> dict[str, Any]:
    """Return how well the float and the int8 body rank the test films."""
    weights = patient_weights(test.patients)
    return {
        "films": len(test.labels),
        "patients": len(set(test.patients)),
        "positives": positives(test),
        "float": report(test.labels, test.logits["onnx"], weights),
        "int8": report(test.labels, test.logits["int8"], weights),
    }


def operating_facts(point: OperatingPoint, validation: Measured, test: Measured) -> dict[str, Any]:
    """Return what thresholds rest on, and what they do on the test films."""
    return {
        "films": len(validation.labels),
        "patients": len(set(validation.patients)),
        "positives": positives(validation),
        "thresholds_basis": dict(zip(FINDINGS, point.basis, strict=True)),
        "test": measure_operating_point(point, test.labels, test.logits["int8"]),
    }


def positives(part: Measured) -> dict[str, int]:
    """Return how many films of a part have each finding."""
    return dict(zip(FINDINGS, part.labels.sum(axis=0).tolist(), strict=True))
