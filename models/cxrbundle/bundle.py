"""A bundle: the folder that convert/ hands to the box, loaded only if every file is the one its manifest names."""

import hashlib
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cxrbundle.errors import ManifestError, TamperedError
from cxrbundle.head import Head, build_head
from cxrbundle.manifest import MANIFEST, Manifest, read_manifest


@dataclass(frozen=True)
class Golden:
    """Golden films and what the body and head said of them when the bundle was made.

    Attributes
    ----------
    seeds : ndarray of int64, shape (films,)
        Each draws one film with `cxrbundle.phantom.draw_phantom`.
    logits : ndarray of float32, shape (films, findings)
    """

    seeds: np.ndarray
    logits: np.ndarray


@dataclass(frozen=True)
class Bundle:
    """A verified bundle in memory.

    Attributes
    ----------
    manifest : Manifest
    digest : str
        SHA-256 of manifest.json, which pins every other file: the identity of this bundle in every result.
    body : bytes
        The TFLite flatbuffer.
    head : Head
    golden : Golden
    """

    manifest: Manifest
    digest: str
    body: bytes
    head: Head
    golden: Golden

    @property
    def title(self) -> str:
        """Name and version as shown to people."""
        return f"{self.manifest.name} {self.manifest.version}"


def load_bundle(folder: Path) -> Bundle:
    """Load a bundle's folder and verify the SHA-256 of every file in it.

    Raises
    ------
    ManifestError
        If the manifest cannot be used.
    TamperedError
        If a file is missing or is not the one the manifest names.
    """
    manifest = read_manifest(folder / MANIFEST)
    contents = {name: _read_verified(folder / name, digest) for name, digest in manifest.files.items()}
    golden = _read_arrays(contents[manifest.golden], folder / manifest.golden)
    if set(golden) != {"seeds", "logits"} or golden["logits"].shape != (
        golden["seeds"].size,
        len(manifest.labels),
    ):
        raise ManifestError(f"{folder / manifest.golden} must hold seeds and their logits; convert the model again")
    head = build_head(manifest.head_kind, _read_arrays(contents[manifest.head], folder / manifest.head))
    return Bundle(
        manifest=manifest,
        digest=sha256_file(folder / MANIFEST),
        body=contents[manifest.body],
        head=head,
        golden=Golden(golden["seeds"], golden["logits"]),
    )


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_verified(path: Path, digest: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as err:
        raise TamperedError(f"{path} cannot be read ({err.strerror}); copy the bundle again") from err
    if hashlib.sha256(content).hexdigest() != digest:
        raise TamperedError(f"{path} is not the file its manifest names (SHA-256 differs); copy the bundle again")
    return content


def _read_arrays(content: bytes, path: Path) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz; pickled objects are refused by numpy."""
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (ValueError, OSError) as err:
        raise ManifestError(f"{path} is no plain numpy archive ({err}); convert the model again") from err
