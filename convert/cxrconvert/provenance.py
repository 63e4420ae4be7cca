"""What a manifest says of where its bundle comes from: training, tools, parity and figures."""

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np
from cxrbundle.labels import FINDINGS
from cxrbundle.provenance import code_version

from cxrconvert.metrics import patient_weights, report
from cxrconvert.operating_point import OperatingPoint, measure_operating_point
from cxrconvert.parity import Measured, Readings, auc_loss, compare

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


def measured_facts(validation: Measured, test: Measured, point: OperatingPoint) -> dict[str, Any]:
    """Return parity on all measured films, the figures on the test films, and the operating point's."""
    weights = patient_weights(test.patients)
    reference, int8 = test.readings["onnx"].logits, test.readings["int8"].logits
    rebuilt = [np.abs(part.readings["onnx"].logits - part.readings["float"].logits) for part in (validation, test)]
    return {
        "parity": {
            "float_tflite_largest_logit_difference": float(f"{max(part.max() for part in rebuilt):.2g}"),
            **compare(*(_together(name, validation, test) for name in ("onnx", "int8"))),
            **auc_loss(test.labels, reference, int8, weights),
        },
        "metrics": {
            "films": len(test.labels),
            "patients": len(set(test.patients)),
            "positives": _positives(test),
            "float": report(test.labels, reference, weights),
            "int8": report(test.labels, int8, weights),
        },
        "operating_point": {
            "films": len(validation.labels),
            "patients": len(set(validation.patients)),
            "positives": _positives(validation),
            "thresholds_basis": dict(zip(FINDINGS, point.basis, strict=True)),
            "test": measure_operating_point(point, test.labels, int8),
        },
    }


def _together(name: str, *parts: Measured) -> Readings:
    """Return one body's readings of several parts as one."""
    own = [part.readings[name] for part in parts]
    return Readings(np.concatenate([one.logits for one in own]), np.concatenate([one.maps for one in own]))


def _positives(part: Measured) -> dict[str, int]:
    return dict(zip(FINDINGS, part.labels.sum(axis=0).tolist(), strict=True))
