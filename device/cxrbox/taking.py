"""Taking a film in: what intake, the page and the camera share. Bytes are hashed and kept; nobody decodes them here."""

import hashlib
import io
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from cxrbox.decoding.reading import check_kind
from cxrbox.decoding.sniff import tell_kind
from cxrbox.store import Store

CHUNK = 1 << 18
# Bytes that tell what a file is; what is no film is not kept.
SNIFFED = 4096


@dataclass(frozen=True)
class Copy:
    """A complete copy of a film in `incoming`, safe on the disk; it is gone again unless it is kept.

    Attributes
    ----------
    path : Path
    sha256 : str
        Of the content.
    size : int
        Bytes.
    """

    path: Path
    sha256: str
    size: int


@dataclass(frozen=True)
class Taken:
    """A film that was taken in.

    Attributes
    ----------
    sha256 : str
        Of its content.
    new : bool
        False where the box had that content already.
    """

    sha256: str
    new: bool


@contextmanager
def copied(store: Store, film: BinaryIO, source: str) -> Iterator[Copy]:
    """Copy an open film into `incoming` while hashing it; whatever happens then, nothing half stays.

    Parameters
    ----------
    store : Store
    film : binary file
        Read from where it stands to its end.
    source : str
        "folder", "stick", "upload" or "camera".

    Raises
    ------
    OSError
        If the film cannot be read or the state folder cannot be written.
    """
    path = store.incoming / f"{source}-{uuid.uuid4().hex}"
    try:
        yield Copy(path, *_copy_and_hash(film, path))
    finally:
        path.unlink(missing_ok=True)


def keep(store: Store, copy: Copy) -> None:
    """Move a copy to its place among the originals and make the move itself durable."""
    target = store.original_path(copy.sha256)
    target.parent.mkdir(exist_ok=True)
    copy.path.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def take_film(store: Store, film: BinaryIO, name: str, source: str) -> Taken:
    """Take in a film that somebody hands over, and queue it.

    Parameters
    ----------
    store : Store
    film : binary file
    name : str
        For people; it joins nothing.
    source : str
        "upload" or "camera".

    Raises
    ------
    RefusedError
        If it is empty, too large or of no kind that is known; nothing is kept.
    OSError
        If the state folder cannot be written; nothing is kept.
    """
    with copied(store, film, source) as copy:
        check_kind(copy.path.stat())
        with copy.path.open("rb") as content:
            tell_kind(content.read(SNIFFED))
        keep(store, copy)
    return Taken(copy.sha256, store.add_film(name, f"{source}:{copy.sha256}", copy.sha256, copy.size, source))


def take_still(store: Store, content: bytes, source: str = "camera") -> bool:
    """Take in an encoded picture of the camera, named after the time; return whether its content was new."""
    name = datetime.now().astimezone().strftime("scan %Y-%m-%d %H:%M:%S")
    return take_film(store, io.BytesIO(content), name, source).new


def clear_leftovers(store: Store, source: str) -> None:
    """Remove what a part left half copied when it was killed; each part clears up after its own sources alone."""
    for leftover in store.incoming.glob(f"{source}-*"):
        leftover.unlink(missing_ok=True)


def _copy_and_hash(film: BinaryIO, target: Path) -> tuple[str, int]:
    """Copy an open film; return the SHA-256 and the size of what was copied, once it is safe on the disk."""
    digest = hashlib.sha256()
    with target.open("xb") as copy:
        while chunk := film.read(CHUNK):
            digest.update(chunk)
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
        return digest.hexdigest(), copy.tell()
