"""Taking a film in: what intake, the page and the camera share. Bytes are hashed and kept; nobody decodes them here."""

import ctypes
import hashlib
import io
import logging
import os
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from cxrbox.decoding.reading import check_kind
from cxrbox.decoding.sniff import tell_kind
from cxrbox.store import Store

log = logging.getLogger(__name__)
CHUNK = 1 << 20
# Bytes that tell what a file is; what is no film is not kept.
SNIFFED = 4096
# An original that no film refers to for so long (seconds) was kept just before the power went, or came after the backup
# from which the database was restored; until then whoever kept it may be about to queue it, or find it again.
FORGOTTEN_SECONDS = 3600.0
FORGOTTEN_NAME = "film kept before an interruption"
# Python has no syncfs(2) of its own.
LIBC = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Copy:
    """A complete copy of a film in `incoming`; it is gone again unless it is kept.

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


class Copies:
    """Films on their way into the store: copied one after the other, and kept together.

    They wait for the disk twice, however many they are: a wait for each film took half of the processor's time that it
    cost to take films in. At the end nothing half stays: what was not kept is gone.

    Parameters
    ----------
    store : Store
    source : str
        "folder", "stick", "upload" or "camera".
    """

    def __init__(self, store: Store, source: str):
        self._store, self._source = store, source
        self._loose: set[Path] = set()
        self._buffer = memoryview(bytearray(CHUNK))

    def __enter__(self) -> "Copies":
        # Open before anything is written: the kernel then tells of every write that fails until it is closed.
        self._folder = os.open(self._store.incoming, os.O_RDONLY | os.O_DIRECTORY)
        return self

    def __exit__(self, *error: object) -> None:
        os.close(self._folder)
        for path in self._loose:
            path.unlink(missing_ok=True)

    def copy(self, film: BinaryIO) -> Copy:
        """Copy an open film into `incoming`, from where it stands to its end, while hashing it.

        Raises
        ------
        OSError
            If the film cannot be read or the state folder cannot be written; nothing of it stays.
        """
        path = self._store.incoming / f"{self._source}-{uuid.uuid4().hex}"
        try:
            copy = Copy(path, *_copy_and_hash(film, path, self._buffer))
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        self._loose.add(path)
        return copy

    def keep(self, copies: Sequence[Copy]) -> None:
        """Move copies to their places among the originals; then they are safe on the disk.

        Raises
        ------
        OSError
            If the state folder cannot be written; all of them are then to be copied again.
        """
        if not copies:
            return
        # An original may be there already: what takes its place must be complete first.
        wait_for_disk(self._folder)
        for copy in copies:
            target = self._store.original_path(copy.sha256)
            target.parent.mkdir(exist_ok=True)
            copy.path.replace(target)
            self._loose.discard(copy.path)
        wait_for_disk(self._folder)


def wait_for_disk(folder: int) -> None:
    """Wait until all that was written to the file system of an open folder is safe (syncfs(2)).

    Raises
    ------
    OSError
        If something that was written since the folder was opened cannot be.
    """
    if LIBC.syncfs(folder):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


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
    OSError, sqlite3.OperationalError
        If the state folder cannot be written; the film is not queued. What is kept of it all the same is found at a
        later start (`queue_forgotten`).
    """
    with Copies(store, source) as copies:
        copy = copies.copy(film)
        check_kind(copy.path.stat())
        with copy.path.open("rb") as content:
            tell_kind(content.read(SNIFFED))
        copies.keep([copy])
    return Taken(copy.sha256, store.add_film(name, f"{source}:{copy.sha256}", copy.sha256, copy.size, source))


def take_still(store: Store, content: bytes, source: str = "camera") -> bool:
    """Take in an encoded picture of the camera, named after the time; return whether its content was new."""
    name = datetime.now().astimezone().strftime("scan %Y-%m-%d %H:%M:%S")
    return take_film(store, io.BytesIO(content), name, source).new


def clear_leftovers(store: Store, source: str) -> None:
    """Remove what a part left half copied when it was killed; each part clears up after its own sources alone."""
    for leftover in store.incoming.glob(f"{source}-*"):
        leftover.unlink(missing_ok=True)


def queue_forgotten(store: Store) -> Iterator[Path]:
    """Queue the originals that no film refers to: nobody would read them, and they would never be removed.

    Yields each of them, for whoever waits for a sign of life.
    """
    kept, oldest = store.kept(), time.time() - FORGOTTEN_SECONDS
    for path in store.originals.glob("??/*"):
        if path.name in kept or not path.is_file() or (found := path.stat()).st_mtime > oldest:
            continue
        with path.open("rb") as film:
            sha256 = hashlib.file_digest(film, "sha256").hexdigest()
        if sha256 != path.name:
            path.unlink()
            log.warning("an original that no film refers to was damaged, and is removed")
        else:
            store.add_film(FORGOTTEN_NAME, f"kept:{path.name}", path.name, found.st_size)
            log.warning("an original that no film referred to is queued")
        yield path


def _copy_and_hash(film: BinaryIO, target: Path, buffer: memoryview) -> tuple[str, int]:
    """Copy an open film piece by piece; return the SHA-256 and the size of what was copied."""
    digest = hashlib.sha256()
    with target.open("xb", buffering=0) as copy:
        while size := film.readinto(buffer):
            rest = buffer[:size]
            digest.update(rest)
            # Near the end of a disk a write may take a part only; the next one says why.
            while rest:
                rest = rest[copy.write(rest) :]
        return digest.hexdigest(), copy.tell()
