"""Which code read a film: a hash over the source of the box and of its contract."""

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

import cxrbundle

import cxrbox


@cache
def code_version() -> str:
    """Return the version of the box's code."""
    return version("cxrbox")


@cache
def code_sha256() -> str:
    """Return the SHA-256 over names and contents of all Python files of cxrbox and cxrbundle."""
    digest = hashlib.sha256()
    for package in (cxrbox, cxrbundle):
        folder = Path(package.__file__).parent
        for path in sorted(folder.rglob("*.py")):
            name = f"{package.__name__}/{path.relative_to(folder).as_posix()}"
            digest.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()
