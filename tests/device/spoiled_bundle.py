"""Spoil a copy of a bundle in a way that its manifest vouches for."""

import hashlib
import io
import json
from pathlib import Path

import numpy as np
from cxrbundle.bundle import load_bundle


def replace_file(folder: Path, name: str, content: bytes) -> None:
    """Write another file in place of one of the bundle's, and its SHA-256 into the manifest."""
    (folder / name).write_bytes(content)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / "manifest.json").write_text(json.dumps(manifest))


def replace_golden(folder: Path, **arrays: np.ndarray) -> None:
    """Write other arrays of the golden films."""
    golden = load_bundle(folder).golden
    packed = io.BytesIO()
    np.savez(packed, **{"seeds": golden.seeds, "logits": golden.logits} | arrays)
    replace_file(folder, "golden.npz", packed.getvalue())
