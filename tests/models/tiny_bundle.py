"""A bundle of a few kilobytes with everything a bundle has; its body is no network, which only the box would notice."""

import hashlib
import io
from pathlib import Path

import numpy as np
from cxrbundle.film_check import GRID, KINDS
from cxrbundle.labels import FINDINGS
from cxrbundle.manifest import MANIFEST, PREPROCESSING, Manifest, Tensor
from cxrbundle.operating_point import Calibration, Thresholds

CHANNELS, SIDE = 3, 2


def tiny_manifest(files: dict[str, bytes]) -> Manifest:
    return Manifest(
        name="tiny",
        version="1.0",
        network="none",
        labels=FINDINGS,
        preprocessing=PREPROCESSING,
        input=Tensor(32, 32, 3, 1 / 128, 127),
        features=Tensor(SIDE, SIDE, CHANNELS, 0.5, 0),
        body="body.tflite",
        head="head.npz",
        head_kind="pool-linear",
        golden="golden.npz",
        calibration=dict.fromkeys(FINDINGS, Calibration(1.0, 0.0)),
        thresholds=dict.fromkeys(FINDINGS, Thresholds(0.25, 0.5)),
        training={"recipe": {}},
        conversion={},
        edgetpu_body="body_edgetpu.tflite",
        film_check="film-check.npz",
        files={name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    )


def as_npz(**arrays: np.ndarray) -> bytes:
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    return packed.getvalue()


def head_arrays() -> dict[str, np.ndarray]:
    weight = np.random.default_rng(0).normal(size=(len(FINDINGS), CHANNELS)).astype(np.float32)
    return {"weight": weight, "bias": np.zeros(len(FINDINGS), np.float32)}


def golden_arrays() -> dict[str, np.ndarray]:
    return {
        "seeds": np.arange(2),
        "logits": np.zeros((2, len(FINDINGS)), np.float32),
        "maps": np.zeros((2, len(FINDINGS), SIDE, SIDE), np.float16),
    }


def check_arrays() -> dict[str, np.ndarray]:
    components = 2
    return {
        "mean": np.zeros(CHANNELS, np.float32),
        "basis": np.eye(CHANNELS, components, dtype=np.float32),
        "variances": np.ones(components + 1, np.float32),
        "weight": np.zeros((len(KINDS), GRID * GRID * components + 1), np.float32),
        "bias": np.arange(len(KINDS), 0, -1, dtype=np.float32),
        "gates": np.array([[-1, 1], [9, 1]], np.float32),
        "mirrored_from": np.array(1, np.float32),
    }


def tiny_files(**others: bytes) -> dict[str, bytes]:
    """Return the files of a tiny bundle; `head` and `golden` replace its arrays, and the manifest vouches for them."""
    files = {
        "body.tflite": b"no network",
        "body_edgetpu.tflite": b"no compiled network",
        "film-check.npz": others.get("check", as_npz(**check_arrays())),
        "head.npz": others.get("head", as_npz(**head_arrays())),
        "golden.npz": others.get("golden", as_npz(**golden_arrays())),
        "card.md": b"# A card\n",
    }
    return {MANIFEST: tiny_manifest(files).to_json().encode(), **files}


def write_files(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder
