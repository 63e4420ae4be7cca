"""Watch a folder: take every film in, once, when it is completely written. Nothing in the folder is changed."""

import errno
import fcntl
import hashlib
import logging
import os
import signal
import stat
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cxrbox.decoding.reading import check_kind
from cxrbox.decoding.sniff import tell_kind
from cxrbox.errors import RefusedError
from cxrbox.names import printable_name
from cxrbox.refusals import refuse
from cxrbox.settings import Settings
from cxrbox.store import Store

log = logging.getLogger(__name__)
CHUNK = 1 << 20
# Looking at thousands of known films takes a moment: pause so many times that long, to leave the processor to others.
IDLE_SHARE = 9
# Bytes that tell what a file is; what is no film is listed and not copied.
SNIFFED = 4096


@dataclass(frozen=True)
class Entry:
    """Something found in the watched folder.

    Attributes
    ----------
    path : Path
        Where it lies.
    name : str
        Its path below the folder, as text.
    signature : str
        Changes when the content does: size, time of change and inode.
    size : int
        Bytes.
    refusal : RefusedError or None
        Why it cannot be taken in, where that shows without opening it.
    """

    path: Path
    name: str
    signature: str
    size: int
    refusal: RefusedError | None


class Intake:
    """Takes the films of one folder into the store.

    Parameters
    ----------
    settings : Settings
    store : Store
    """

    def __init__(self, settings: Settings, store: Store):
        self.folder = settings.films
        self.settle_seconds = settings.settle_seconds
        self.store = store
        self._seen = store.sightings()
        self._pending: dict[str, tuple[str, float]] = {}
        for leftover in store.incoming.iterdir():
            leftover.unlink()

    def look(self) -> int:
        """Look into the folder once and take in what has settled; return how many entries were taken."""
        entries = {entry.name: entry for entry in self._new_entries()}
        self._pending = {name: since for name, since in self._pending.items() if name in entries}
        return sum(self._take(entry) for entry in entries.values() if self._settled(entry))

    def _settled(self, entry: Entry) -> bool:
        """Return whether an entry stayed the same for long enough."""
        now = time.monotonic()
        signature, since = self._pending.get(entry.name, (None, now))
        if signature != entry.signature:
            since = now
        self._pending[entry.name] = (entry.signature, since)
        return now - since >= self.settle_seconds

    def _take(self, entry: Entry) -> bool:
        """Take one entry in; return False where it is still being written or its medium failed."""
        if entry.refusal:
            return self._refuse(entry, entry.refusal)
        try:
            taken = self._copy(entry)
        except RefusedError as refusal:
            return self._refuse(entry, refusal)
        except OSError as err:
            # A pulled stick or a full disk: keep the entry pending, so that it is taken in when that is over.
            log.warning("a file could not be taken in and is tried again: %s", os.strerror(err.errno or 0))
            return False
        if taken:
            self._seen[entry.name] = entry.signature
        return taken

    def _refuse(self, entry: Entry, refusal: RefusedError) -> bool:
        self.store.add_refused(entry.name, entry.signature, entry.size, refusal)
        self._seen[entry.name] = entry.signature
        return True

    def _copy(self, entry: Entry) -> bool:
        """Copy a film into the store while hashing it, and queue it; return False where it is being written."""
        with _open_film(entry.path) as film:
            if _being_written(film):
                return False
            tell_kind(film.peek(SNIFFED)[:SNIFFED])
            temporary = self.store.incoming / uuid.uuid4().hex
            try:
                sha256 = _copy_and_hash(film, temporary)
                if _signature(os.fstat(film.fileno())) != entry.signature:
                    return False
                _keep(temporary, self.store.original_path(sha256))
            finally:
                temporary.unlink(missing_ok=True)
        self.store.add_film(entry.name, entry.signature, sha256, entry.size)
        return True

    def _new_entries(self) -> Iterator[Entry]:
        """Yield what was not taken in yet from the folder and its sub-folders, but hidden names, in order of name."""
        for folder, _, names in self._walk():
            for name in sorted(names):
                path = folder / name
                try:
                    found = path.stat()
                except FileNotFoundError:
                    if not path.is_symlink():
                        continue
                    found = path.lstat()
                except OSError as err:
                    log.warning("an entry of the folder cannot be examined: %s", err.strerror)
                    continue
                name, signature = printable_name(path.relative_to(self.folder)), _signature(found)
                if self._seen.get(name) != signature:
                    yield Entry(path, name, signature, found.st_size, _at_sight(path, found))

    def _walk(self) -> Iterator[tuple[Path, list[str], list[str]]]:
        """Walk the folder; an empty sub-folder is an entry of its own, a link to a folder is not followed."""
        for root, folders, names in os.walk(self.folder):
            folder = Path(root)
            links = [name for name in folders if (folder / name).is_symlink()]
            folders[:] = [name for name in folders if not name.startswith(".") and name not in links]
            names = [name for name in names + links if not name.startswith(".")]
            if folder != self.folder and not names and not folders and not self._knows_below(folder):
                yield folder.parent, [], [folder.name]
            yield folder, folders, names

    def _knows_below(self, folder: Path) -> bool:
        """Return whether films of this folder were taken in before, so that it was emptied on purpose."""
        below = printable_name(folder.relative_to(self.folder)) + "/"
        return any(name.startswith(below) for name in self._seen)


def _at_sight(path: Path, found: os.stat_result) -> RefusedError | None:
    """Return why something cannot be a film, as far as its directory entry tells."""
    if stat.S_ISLNK(found.st_mode):
        return refuse("broken_link", "the link points to a file that is not there")
    if stat.S_ISDIR(found.st_mode) and path.is_symlink():
        return refuse("not_a_file", "this is a link to a folder")
    if stat.S_ISDIR(found.st_mode):
        return refuse("folder_empty", "the folder holds no film")
    try:
        check_kind(found)
    except RefusedError as refusal:
        return refusal
    return None


def _signature(found: os.stat_result) -> str:
    return f"{found.st_size}:{found.st_mtime_ns}:{found.st_ino}"


def _open_film(path: Path):
    """Open a film; a file that vanished or may not be read is refused, a failing medium raises OSError."""
    try:
        return path.open("rb")
    except FileNotFoundError as err:
        raise refuse("vanished", "the file vanished before it was read") from err
    except PermissionError as err:
        raise refuse("unreadable", "the box may not read the file") from err


def _being_written(film) -> bool:
    """Return whether some process has the file open for writing: the kernel then grants no read lease.

    Leases exist for the owner's files on local disks only; elsewhere the time to settle must do.
    """
    try:
        fcntl.fcntl(film, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as err:
        return err.errno == errno.EAGAIN
    fcntl.fcntl(film, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def _copy_and_hash(film, target: Path) -> str:
    """Copy an open file and return the SHA-256 of what was copied, once it is safe on the disk."""
    digest = hashlib.sha256()
    with target.open("xb") as copy:
        while chunk := film.read(CHUNK):
            digest.update(chunk)
            copy.write(chunk)
        copy.flush()
        os.fsync(copy.fileno())
    return digest.hexdigest()


def _keep(temporary: Path, target: Path) -> None:
    """Move a complete copy to its place and make the move itself durable."""
    target.parent.mkdir(exist_ok=True)
    temporary.replace(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def run_intake(settings: Settings, stopped) -> None:
    """Watch the folder until `stopped()`; it may come and go, as a drive does."""
    if not settings.films.is_dir():
        log.warning("the folder of films is not there yet; it is watched as soon as it is")
    # A read lease that is broken while it is tried sends SIGIO, which would end this process.
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    intake = Intake(settings, Store(settings.state))
    log.info("watching the folder of films")
    while not stopped():
        started = time.monotonic()
        taken = intake.look()
        idle = 0 if taken else IDLE_SHARE * (time.monotonic() - started)
        time.sleep(max(settings.look_seconds, idle))
