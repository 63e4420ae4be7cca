"""How long originals are kept: up to an age, and only while the disk has room; results and the ledger stay for good."""

import logging
import os
import sqlite3
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cxrbox.clock import clock_trusted
from cxrbox.settings import Settings
from cxrbox.store import Store

log = logging.getLogger(__name__)
LOOK_SECONDS = 60.0
# UTC; no box is older: what came before came under a clock that nobody had set.
PLAUSIBLE = "2025-01-01"
# The page warns while this many times the reserve is left, long before anything must be removed.
WARN_AT = 2
# With less (MiB) nothing can be written reliably.
FULL_MB = 16
# A file of the state folder, and its bytes: SQLite cannot begin on a full disk, not even to make room on it.
ROOM, ROOM_BYTES = "room", 4 << 20
# Taken only where so many times as much is free.
ROOM_SHARE = 16
# Films removed in one look, so that the box does not wait.
MOST_AT_ONCE = 200


def free_mb(folder: Path) -> int:
    """Return the disk space, in MiB, that the box may still use where a folder lies."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize >> 20


def disk_status(settings: Settings) -> dict[str, Any]:
    """Return how the disk of the state folder is; asks the disk alone, so that a full one cannot hide it.

    Returns
    -------
    dict
        `free_mb`, `reserve_mb`, and `level`: "ok"; "low", where originals will soon be removed; "reserve", where
        they are being removed; "full", where no film can be taken in.
    """
    free, reserve = free_mb(settings.state), settings.retention_free_mb
    steps = ((FULL_MB, "full"), (reserve, "reserve"), (WARN_AT * reserve, "low"))
    level = next((level for limit, level in steps if free < limit), "ok")
    return {"free_mb": free, "reserve_mb": reserve, "level": level}


def open_with_room(state: Path, open_it: Callable[[Path], Store]) -> Store:
    """Return the store of a state folder; on a full disk, give up the room that was kept for that.

    Raises
    ------
    sqlite3.OperationalError
        If there is no room all the same.
    """
    try:
        return open_it(state)
    except sqlite3.OperationalError:
        if free_mb(state) >= FULL_MB or not (state / ROOM).exists():
            raise
        (state / ROOM).unlink()
        log.warning("the disk is full; the room that was kept to begin with is used")
        return open_it(state)


class Keeper:
    """Removes what is too old, and the oldest where the disk fills up; never a film that waits or is being read.

    Parameters
    ----------
    settings : Settings
    store : Store

    Attributes
    ----------
    forbidden : set of int
        The films whose originals should have been removed at the last look, and may not be by this user.
    """

    def __init__(self, settings: Settings, store: Store):
        self.settings = settings
        self.store = store
        self._next_look = 0.0
        self.forbidden: set[int] = set()

    def look_in_time(self) -> None:
        """Look if the last look was a minute ago."""
        if time.monotonic() >= self._next_look:
            self.look()

    def look(self) -> int:
        """Remove what must not or cannot be kept, and say how the disk is; return how many originals were removed."""
        self._next_look = time.monotonic() + LOOK_SECONDS
        self.forbidden.clear()
        removed = self._enter_missing() + self._remove_old() + self._make_room()
        if removed:
            log.info("the originals of %d films were removed; their results stay", removed)
        if self.forbidden:
            log.warning("%d originals may not be removed: they are another user's", len(self.forbidden))
        self.store.put_status("disk", disk_status(self.settings))
        self._hold_room()
        if removed >= MOST_AT_ONCE:
            # There is more to remove.
            self._next_look = 0.0
        return removed

    def _hold_room(self) -> None:
        """Keep the room that the next start may need."""
        room = self.settings.state / ROOM
        if not room.exists() and free_mb(self.settings.state) << 20 > ROOM_SHARE * ROOM_BYTES:
            with room.open("wb") as file:
                os.posix_fallocate(file.fileno(), 0, ROOM_BYTES)

    def _enter_missing(self) -> int:
        """Enter the originals that are gone: a power cut came between, or somebody removed them past the box."""
        # First what should be there: what comes meanwhile is there before it is known.
        removable = self.store.removable()
        there = {path.name for path in self.store.originals.glob("??/*")}
        missing = [film for film, sha256, _ in removable if sha256 not in there]
        return sum(self._remove(film, "missing") for film in missing[:MOST_AT_ONCE])

    def _remove(self, film: int, reason: str) -> bool:
        """Remove an original; one that may not be removed keeps no other."""
        try:
            return self.store.remove_original(film, reason)
        except PermissionError:
            self.forbidden.add(film)
            return False

    def _remove_old(self) -> int:
        """Remove originals past their age; not by a clock that is known to be wrong."""
        if clock_trusted() is False:
            return 0
        oldest = (datetime.now(UTC) - timedelta(days=self.settings.retention_days)).isoformat(timespec="milliseconds")
        self.store.date_originals(PLAUSIBLE)
        past = [film for film, _, came in self.store.removable(MOST_AT_ONCE) if came < oldest]
        return sum(self._remove(film, "age") for film in past)

    def _make_room(self) -> int:
        """Remove the oldest originals until the reserve is free."""
        removed = 0
        for film, sha256, _ in self.store.removable(MOST_AT_ONCE):
            if free_mb(self.settings.state) >= self.settings.retention_free_mb:
                break
            if not _is_linked(self.store.original_path(sha256)):
                removed += self._remove(film, "space")
        return removed


def _is_linked(original: Path) -> bool:
    """Return whether a backup that is being made holds a link to an original: to remove it would free nothing."""
    try:
        return original.stat().st_nlink > 1
    except FileNotFoundError:
        return False
