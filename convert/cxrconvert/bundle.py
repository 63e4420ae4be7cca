"""Write a bundle's folder: all of it, or nothing."""

import dataclasses
import hashlib
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cxrbundle.bundle import Bundle, load_bundle
from cxrbundle.manifest import MANIFEST, PLAIN_NAME, SIGNATURE, Manifest
from cxrbundle.signature import sign_manifest

from cxrconvert.card import write_card
from cxrconvert.errors import OutputError
from cxrconvert.licences import write_licences

BODY, HEAD, GOLDEN, CARD, LICENCES = "body.tflite", "head.npz", "golden.npz", "card.md", "LICENCES.md"
TPU_BODY, FILM_CHECK = "body_edgetpu.tflite", "film-check.npz"
# A bundle travels on a stick and in a wheel; DenseNet-121 with the paper's head has 12.5 million.
MOST_BYTES = 16_000_000


def write_bundle(
    folder: Path, manifest: Manifest, files: dict[str, bytes], force: bool, key: Ed25519PrivateKey | None = None
) -> Bundle:
    """Write a bundle's folder and load it once, as the box will.

    Parameters
    ----------
    folder : Path
        Appears complete or not at all.
    manifest : Manifest
        With no files yet: their SHA-256 are filled in here.
    files : dict of str to bytes
        What the manifest names, but for card and licences, which are written here.
    force : bool
        Replace a folder that is there.
    key : Ed25519PrivateKey or None
        Signs the bundle.

    Raises
    ------
    OutputError
        If the folder is there already, cannot be written, or is too large.
    ManifestError
        If the box would refuse the manifest.
    """
    texts = {CARD: write_card(manifest), LICENCES: write_licences(manifest)}
    files = files | {name: text.encode() for name, text in texts.items()}
    digests = {name: hashlib.sha256(files[name]).hexdigest() for name in sorted(files)}
    files[MANIFEST] = dataclasses.replace(manifest, files=digests).to_json().encode()
    if key:
        files[SIGNATURE] = sign_manifest(files[MANIFEST], key).to_json()
    if (total := sum(map(len, files.values()))) > MOST_BYTES:
        raise OutputError(f"the bundle has {total} bytes, more than {MOST_BYTES}; train a smaller network")
    with _replacing(folder, force) as new:
        for name, content in files.items():
            (new / name).write_bytes(content)
        return load_bundle(new)


def check_output(folder: Path, force: bool) -> None:
    """Raise OutputError if a bundle's folder is there and may not be replaced."""
    if folder.exists() and not force:
        raise OutputError(f"{folder} is there already; name another folder with -o or replace it with --force")
    if folder.exists() and not (folder / MANIFEST).is_file():
        raise OutputError(f"{folder} is no bundle, so --force does not replace it; name another folder with -o")


def check_title(name: str, version: str) -> None:
    """Raise OutputError if the box would refuse a bundle's name or version, before any work is done for it."""
    for key, value in (("name", name), ("version", version)):
        if not PLAIN_NAME.fullmatch(value):
            raise OutputError(f"--{key} is {value!r}; use letters, digits, dot, dash and underscore")


@contextmanager
def _replacing(folder: Path, force: bool) -> Iterator[Path]:
    """Yield a new folder beside a folder, which it replaces if all goes well."""
    check_output(folder, force)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    except OSError as err:
        raise OutputError(f"{folder.parent} cannot be written ({err.strerror}); name another folder with -o") from err
    try:
        new = work / "new"
        new.mkdir()
        yield new
        if folder.exists():
            folder.rename(work / "old")
        new.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
