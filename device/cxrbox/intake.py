"""One folder: take every film in, once, when it is completely written. Nothing in the folder is changed."""

import contextlib
import errno
import fcntl
import logging
import os
import stat
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cxrbox.decoding.reading import check_kind
from cxrbox.decoding.sniff import tell_kind
from cxrbox.errors import RefusedError
from cxrbox.names import printable_name
from cxrbox.refusals import refuse
from cxrbox.store import Store
from cxrbox.taking import SNIFFED, Copies, Copy

log = logging.getLogger(__name__)
# Where the kernel vouches that nobody writes a film, so many seconds of rest do: a writer may open it for each piece.
VOUCHED_SECONDS = 0.2
# Films that are taken in together: they share the waits for the disk. The first ones are read while more come.
MOST_TOGETHER = 8
# But no more bytes than this: a slow stick gets on, and the watchdog sees it.
BYTES_TOGETHER = 64 << 20
# What the box itself writes to a memory stick.
RESULTS = "cxr-box-results.csv"
# What Windows keeps on every stick: what was deleted, and its own notes.
SYSTEM_FOLDERS = {"$RECYCLE.BIN", "RECYCLER", "System Volume Information"}
# Bytes that are compared at the start, in the middle and at the end of a file that looks as it did.
PROBE = 16 << 10


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
        Changes when the content does: size and times of change.
    size : int
        Bytes.
    changed : float
        When the kernel changed it last, in seconds since 1970; nobody sets that by hand, as copying sets `st_mtime`.
    refusal : RefusedError or None
        Why it cannot be taken in, where that shows without opening it.
    """

    path: Path
    name: str
    signature: str
    size: int
    changed: float
    refusal: RefusedError | None


# What was copied, or why an entry is refused; an OSError, or None, where it is to be tried again.
Outcome = Copy | RefusedError | OSError | None


class Intake:
    """Takes the films of one folder into the store.

    Parameters
    ----------
    folder : Path
    store : Store
    settle_seconds : float
        Time a file must stay unchanged before it is taken in.
    source : str
        "folder" or "stick".
    prefix : str
        Stands before the names of what is in the folder.
    took : callable
        Called after each film, taken or not.
    """

    def __init__(
        self,
        folder: Path,
        store: Store,
        settle_seconds: float,
        source: str = "folder",
        prefix: str = "",
        took: Callable[[], None] = lambda: None,
    ):
        self.folder, self.store, self.settle_seconds = folder, store, settle_seconds
        self.source, self.prefix, self._took = source, prefix, took
        self._seen = store.sightings()
        # A machine whose clock starts anew each day writes its films under the same names, sizes and times: on a stick
        # that is plugged in, a file that looks as it did is compared once with the film that it was.
        self._unproven = store.contents_below(prefix) if source == "stick" else {}
        self._pending: dict[str, tuple[str, float]] = {}
        self._unlisted = False
        # What was wrong at the last look, and what is at this one.
        self._wrong_before: set[tuple[str, int]] = set()
        self._wrong: set[tuple[str, int]] = set()

    @property
    def settled(self) -> bool:
        """Whether the last look saw all of the folder, and nothing that waits to be taken in."""
        return not self._pending and not self._unlisted

    @property
    def troubles(self) -> list[str]:
        """Why something was not taken in at the last look, and is tried again; a full disk says so itself."""
        return sorted(f"{what} ({os.strerror(number)})" for what, number in self._wrong if number != errno.ENOSPC)

    def look(self) -> int:
        """Look into the folder once and take in what has settled; return how many entries were taken."""
        self._unlisted = False
        self._wrong_before, self._wrong = self._wrong, set()
        entries = {entry.name: entry for entry in self._new_entries()}
        self._pending = {name: since for name, since in self._pending.items() if name in entries}
        settled = filter(self._settled, entries.values())
        return sum(self._take(together) for together in _together(settled))

    def _settled(self, entry: Entry) -> bool:
        """Return whether an entry stayed the same for long enough."""
        return self._watched(entry) or self._untouched(entry)

    def _untouched(self, entry: Entry) -> bool:
        """Return whether the kernel vouches that nobody writes a film, and that it was not touched for a moment."""
        if entry.refusal or time.time() - entry.changed < min(VOUCHED_SECONDS, self.settle_seconds):
            return False
        try:
            with _open_film(entry.path) as film:
                return _being_written(film) is False
        except (RefusedError, OSError):
            return False

    def _watched(self, entry: Entry) -> bool:
        """Return whether an entry stayed the same for long enough while it was watched."""
        now = time.monotonic()
        signature, since = self._pending.get(entry.name, (None, now))
        if signature != entry.signature:
            since = now
        self._pending[entry.name] = (entry.signature, since)
        return now - since >= self.settle_seconds

    def _take(self, entries: list[Entry]) -> int:
        """Take entries in, and queue them in one step; return how many were, what is to be tried again left out."""
        outcomes = []
        with Copies(self.store, self.source) as copies:
            for entry in entries:
                outcomes.append(self._outcome(entry, copies))
                self._took()
            outcomes = self._keep(copies, outcomes)
        with self.store.together():
            taken = [entry for entry, outcome in zip(entries, outcomes, strict=True) if self._enter(entry, outcome)]
        self._seen |= {entry.name: entry.signature for entry in taken}
        return len(taken)

    def _outcome(self, entry: Entry, copies: Copies) -> Outcome:
        """Copy an entry, where it is a film that is completely there."""
        if entry.refusal:
            return entry.refusal
        try:
            return self._copy(entry, copies)
        except (RefusedError, OSError) as err:
            return err

    def _keep(self, copies: Copies, outcomes: list[Outcome]) -> list[Outcome]:
        """Put what was copied among the originals; return what became of the entries then."""
        try:
            copies.keep([outcome for outcome in outcomes if isinstance(outcome, Copy)])
        except OSError as err:
            return [err if isinstance(outcome, Copy) else outcome for outcome in outcomes]
        return outcomes

    def _enter(self, entry: Entry, outcome: Outcome) -> bool:
        """Queue what was copied and list what was refused; return False where it is to be tried again."""
        # What vanishes from a stick was pulled with it, and returns with it.
        if isinstance(outcome, RefusedError) and not (outcome.code == "vanished" and self.source == "stick"):
            if not self.store.still_refused(entry.name, entry.signature, outcome):
                self.store.add_refused(entry.name, entry.signature, entry.size, outcome, self.source)
            return True
        if isinstance(outcome, Copy):
            self.store.add_film(entry.name, entry.signature, outcome.sha256, entry.size, self.source)
            return True
        # A pulled stick or a full disk: the entry stays pending, so that it is taken in when that is over.
        if isinstance(outcome, OSError):
            self._warn("a file cannot be read or copied", outcome)
        return False

    def _copy(self, entry: Entry, copies: Copies) -> Copy | None:
        """Copy a film while hashing it; None where it is being written."""
        with _open_film(entry.path) as film:
            if _being_written(film):
                return None
            tell_kind(film.peek(SNIFFED)[:SNIFFED])
            copy = copies.copy(film)
            return copy if self._signature(os.fstat(film.fileno())) == entry.signature else None

    def _new_entries(self) -> Iterator[Entry]:
        """Yield what was not taken in yet from the folder and its sub-folders, but hidden names, in order of name.

        A folder of thousands is looked at several times a second: paths stay text until something is new.
        """
        for folder, names in self._walk():
            below = self._below(folder)
            for own_name in sorted(names):
                path = os.path.join(folder, own_name)
                try:
                    found = _examine(path)
                except OSError as err:
                    self._warn("an entry of the folder cannot be examined", err)
                    continue
                if found is None:
                    continue
                name, signature = below + printable_name(own_name), self._signature(found)
                if self._seen.get(name) != signature or self._is_other_film(name, path):
                    entry = Path(path)
                    yield Entry(entry, name, signature, found.st_size, found.st_ctime, _at_sight(entry, found))

    def _is_other_film(self, name: str, path: str) -> bool:
        """Return whether a file is another film than the one that was there, whose original is kept."""
        sha256 = self._unproven.pop(name, None)
        if sha256 is None or _alike(Path(path), self.store.original_path(sha256)):
            return False
        # From now on it is like one that was never seen.
        del self._seen[name]
        return True

    def _walk(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each folder and what to look at in it: files, empty sub-folders, and links, which are not followed."""
        for folder, folders, names in os.walk(self.folder, onerror=self._note_unlisted):
            links = [name for name in folders if os.path.islink(os.path.join(folder, name))]
            folders[:] = [
                name
                for name in folders
                if not name.startswith(".") and name not in links and name not in SYSTEM_FOLDERS
            ]
            names = [name for name in names + links if not name.startswith(".") and name != RESULTS]
            if names or folders or folder == str(self.folder) or self._knows_below(folder):
                yield folder, names
            else:
                parent, name = os.path.split(folder)
                yield parent, [name]

    def _note_unlisted(self, err: OSError) -> None:
        """Note that a folder could not be listed; the next look is another try."""
        self._unlisted = True
        self._warn("a folder cannot be listed", err)

    def _warn(self, what: str, err: OSError) -> None:
        """Say what is wrong once, not at every look nor for every file."""
        number = err.errno or 0
        if (what, number) not in self._wrong_before | self._wrong:
            log.warning("%s: %s", what, os.strerror(number))
        self._wrong.add((what, number))

    def _knows_below(self, folder: str) -> bool:
        """Return whether films of this folder were taken in before, so that it was emptied on purpose."""
        below = self._below(folder)
        return any(name.startswith(below) for name in self._seen)

    def _below(self, folder: str) -> str:
        """Return what the names of a folder's entries begin with."""
        relative = os.path.relpath(folder, self.folder)
        return self.prefix if relative == os.curdir else f"{self.prefix}{printable_name(relative)}/"

    def _signature(self, found: os.stat_result) -> str:
        """Return what changes when a file does; the kernel's own time is a stick's only as long as it is plugged in."""
        return f"{found.st_size}:{found.st_mtime_ns}:{0 if self.source == 'stick' else found.st_ctime_ns}"


def _alike(path: Path, original: Path) -> bool:
    """Return whether two files of one size have the same bytes at some places; what cannot be read tells nothing."""
    try:
        with path.open("rb") as one, original.open("rb") as other:
            size = os.fstat(one.fileno()).st_size
            places = 0, size // 2, max(0, size - PROBE)
            return all(
                os.pread(one.fileno(), PROBE, place) == os.pread(other.fileno(), PROBE, place) for place in places
            )
    except OSError:
        return True


def _together(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Yield entries in the lists that are taken in together."""
    together: list[Entry] = []
    for entry in entries:
        if len(together) == MOST_TOGETHER or sum(one.size for one in [*together, entry]) > BYTES_TOGETHER:
            yield together
            together = []
        together.append(entry)
    if together:
        yield together


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


def _examine(path: str) -> os.stat_result | None:
    """Return what an entry is, of a link that leads nowhere or round the link; None where it is gone.

    Raises
    ------
    OSError
        If it cannot be examined.
    """
    try:
        return os.stat(path)
    except OSError as err:
        if err.errno not in (errno.ENOENT, errno.ELOOP):
            raise
    with contextlib.suppress(FileNotFoundError):
        found = os.lstat(path)
        return found if stat.S_ISLNK(found.st_mode) else None
    return None


def _open_film(path: Path):
    """Open a film; a file that vanished or may not be read is refused, a failing medium raises OSError."""
    try:
        return path.open("rb")
    except FileNotFoundError as err:
        raise refuse("vanished", "the file vanished before it was read") from err
    except PermissionError as err:
        raise refuse("unreadable", "the box may not read the file") from err


def _being_written(film) -> bool | None:
    """Return whether some process has the file open for writing: the kernel then grants no read lease.

    Leases exist for the owner's files on local disks only; elsewhere it is not known (None), and watching must do.
    """
    try:
        fcntl.fcntl(film, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as err:
        return True if err.errno == errno.EAGAIN else None
    fcntl.fcntl(film, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False
