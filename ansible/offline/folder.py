"""The offline folder: everything a box is made of, each file pinned by its SHA-256 in SHA256SUMS (`sha256sum -c`)."""

import hashlib
from pathlib import Path

SUMS = "SHA256SUMS"
REQUIREMENTS = "requirements-box.txt"
# The units are part of a release as its wheels are: a rollback brings back both.
UNITS = "systemd"
AGAIN = "make it again with `make offline-bundle`"


class FolderError(ValueError):
    """The offline folder cannot be built or used; the sentence says what to do."""


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sums(folder: Path) -> None:
    """Pin every file of the folder."""
    lines = [f"{sha256_of(folder / name)}  {name}\n" for name in _names(folder)]
    (folder / SUMS).write_text("".join(lines))


def check_sums(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file by its name.

    Raises
    ------
    FolderError
        If the folder is not there, or a file is missing, altered or not listed.
    """
    try:
        text = (folder / SUMS).read_text()
    except OSError as err:
        raise FolderError(f"{folder} is no offline folder ({SUMS}: {err.strerror}); {AGAIN}") from err
    sums = {name: digest for digest, name in (line.split("  ", 1) for line in text.splitlines())}
    present = set(_names(folder))
    for name in sorted(present ^ sums.keys()):
        raise FolderError(
            f"{folder / name} is {'not listed in' if name in present else 'missing from'} {SUMS}; {AGAIN}"
        )
    for name, digest in sums.items():
        if sha256_of(folder / name) != digest:
            raise FolderError(f"{folder / name} is not the file that {SUMS} lists (another SHA-256); {AGAIN}")
    return sums


def _names(folder: Path) -> list[str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return [name for path in files if (name := str(path.relative_to(folder))) != SUMS]
