"""The folder of a training run, checked before anything is done with it."""

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cxrbundle.errors import ManifestError
from cxrbundle.head import Head, build_head
from cxrbundle.labels import FINDINGS
from cxrbundle.manifest import PREPROCESSING
from safetensors import SafetensorError
from safetensors.numpy import load_file

from cxrconvert.errors import RunError

BODY, HEAD, FILMS, RUN = "body.onnx", "head.safetensors", "films.csv", "run.json"
NEEDED = {"network", "labels", "preprocessing", "input", "head_kind", "recipe", "data", "code", "metrics"}


@dataclass(frozen=True)
class Run:
    """What a training run hands over.

    Attributes
    ----------
    folder : Path
    facts : dict
        run.json, with null for NaN.
    size : int
        Side of the body's input, in pixels.
    scale, zero_point : float, int
        Scaling of the body's input: scale * (pixel - zero_point).
    head : Head
    """

    folder: Path
    facts: dict[str, Any]
    size: int
    scale: float
    zero_point: int
    head: Head


def read_run(folder: Path) -> Run:
    """Read and check the folder of a training run.

    Raises
    ------
    RunError
        If a file is missing, or says something that the contract does not know.
    """
    facts = _read_facts(folder / RUN)
    if tuple(facts["labels"]) != FINDINGS:
        raise RunError(f"{folder / RUN}: labels must be the 14 of ChestX-ray14 in its order; train again")
    if facts["preprocessing"] != PREPROCESSING:
        raise RunError(
            f"{folder / RUN}: preprocessing is {facts['preprocessing']!r}, this release does {PREPROCESSING!r}; "
            "train again"
        )
    entry = facts["input"]
    if not isinstance(entry, dict) or not {"size", "scale", "zero_point"} <= set(entry):
        raise RunError(f"{folder / RUN}: input must have a size, a scale and a zero_point")
    head = read_head(folder / HEAD, facts["head_kind"])
    return Run(folder, facts, int(entry["size"]), float(entry["scale"]), int(entry["zero_point"]), head)


def _read_facts(path: Path) -> dict[str, Any]:
    try:
        facts = json.loads(path.read_text("utf-8"))
    except OSError as err:
        raise RunError(f"{path} cannot be read ({err.strerror}); name the folder of a finished training run") from err
    except ValueError as err:
        raise RunError(f"{path} is not JSON ({err}); train again") from err
    if not isinstance(facts, dict) or not set(facts) >= NEEDED:
        raise RunError(f"{path} must have the keys {', '.join(sorted(NEEDED))}; train again")
    return without_nan(facts)


def read_head(path: Path, kind: str) -> Head:
    """Return the head of a kind with the weights of a safetensors file, all of them finite."""
    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as err:
        raise RunError(f"{path} cannot be read ({err}); train again") from err
    for name, array in weights.items():
        if not np.isfinite(array).all():
            raise RunError(f"{path}: {name} holds NaN or infinite weights; train again with a lower rate")
    try:
        return build_head(kind, weights)
    except ManifestError as err:
        raise RunError(f"{path}: {err}") from err


def check_head(run: Run, features: np.ndarray) -> None:
    """Raise RunError unless the head reads a feature map of the body, shape (height, width, channels)."""
    try:
        output = run.head(features)
    except ValueError as err:
        raise RunError(
            f"{run.folder / HEAD} does not fit the {features.shape[-1]} channels of {BODY}; "
            "take both from one training run"
        ) from err
    if len(output.logits) != len(FINDINGS) or len(output.maps) != len(FINDINGS):
        raise RunError(
            f"{run.folder / HEAD} has {len(output.maps)} outputs, not one for each of {len(FINDINGS)} findings"
        )
    if not np.isfinite(output.logits).all():
        raise RunError(f"{run.folder / BODY} gives features that are NaN or infinite; train again")


def without_nan(value: Any) -> Any:
    """Return a JSON value with None for NaN and infinity, which JSON does not know."""
    if isinstance(value, dict):
        return {key: without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
