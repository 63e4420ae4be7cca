"""Memory sticks: each is a folder that comes and goes below one place; films come from it, results go back to it.

Whoever mounts the sticks there (`systemd/libexec/stick.py`) and this module tell each other two things by files in that
place: NAME.refused says why a stick was not mounted, and .taken/NAME that all of the stick NAME was taken in.
"""

import contextlib
import logging
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cxrbox.command_export import BYTE_ORDER_MARK, COLUMNS, csv_lines, export_rows
from cxrbox.errors import RefusedError
from cxrbox.intake import RESULTS, Intake
from cxrbox.refusals import refuse
from cxrbox.settings import Settings
from cxrbox.store import Store

log = logging.getLogger(__name__)
REFUSED, TAKEN = ".refused", ".taken"
RETRY_SECONDS = 10.0


class Sticks:
    """All sticks that are plugged in now.

    Parameters
    ----------
    settings : Settings
    store : Store
    took : callable
        Called after each film, taken or not.
    """

    def __init__(self, settings: Settings, store: Store, took: Callable[[], None] = lambda: None):
        self.settings, self.store, self._took = settings, store, took
        self._sticks: dict[str, Intake] = {}
        self._written: dict[str, int] = {}
        # Of the sticks that are needed no more, how many films each has.
        self._done: dict[str, int] = {}
        # Why a stick took no results, and when that is tried again.
        self._unwritten: dict[str, str] = {}
        self._next_try = 0.0
        self._seen = store.sightings()

    def look(self) -> int:
        """Look at every stick once and take in what has settled; return how many entries were taken."""
        plugged = {folder.name: folder for folder in self._plugged()}
        for name in self._sticks.keys() - plugged.keys():
            log.info("a stick was pulled")
            del self._sticks[name]
            self._written.pop(name, None)
            self._done.pop(name, None)
            self._tell(name, False)
        for name, folder in plugged.items():
            if name not in self._sticks:
                log.info("a stick was plugged in")
                self._sticks[name] = self._open(folder)
        taken = sum(stick.look() for stick in self._sticks.values())
        if self.settings.write_to_stick and not taken and time.monotonic() >= self._next_try:
            self._write_results()
        for name, stick in self._sticks.items():
            done = stick.settled and (name in self._written or not self.settings.write_to_stick)
            self._tell(name, done)
            if not done:
                self._done.pop(name, None)
            elif name not in self._done:
                self._done[name] = self.store.count_films_below(stick.prefix)
        self._list_refused()
        return taken

    @property
    def progress(self) -> list[dict[str, Any]]:
        """What the page says of each stick: `name`, and how many `films` it has once it may be pulled, else None."""
        return [{"name": name, "films": self._done.get(name)} for name in sorted(self._sticks)]

    @property
    def troubles(self) -> list[str]:
        """Why something of a stick was not taken in at the last look, and is tried again."""
        return [f"of the stick {name}, {why}" for name, stick in self._sticks.items() for why in stick.troubles]

    def _open(self, folder: Path) -> Intake:
        return Intake(folder, self.store, self.settings.settle_seconds, "stick", f"{folder.name}/", self._took)

    def _tell(self, name: str, done: bool) -> None:
        """Say whether a stick is needed no more, where somebody made a place for that."""
        note = self.settings.sticks / TAKEN / name
        # The place may vanish at any moment, as the sticks do.
        with contextlib.suppress(OSError):
            if done and not note.exists():
                note.touch()
            elif not done:
                note.unlink(missing_ok=True)

    def _list_refused(self) -> None:
        """List each stick that was not mounted, with the reason; again when it is plugged in again."""
        for note in sorted(self.settings.sticks.glob(f"*{REFUSED}")):
            try:
                reason, signature = note.read_text("utf-8", "replace"), str(note.stat().st_mtime_ns)
            except OSError:  # it was pulled just now
                continue
            name = f"{note.stem}/"
            if self._seen.get(name) != signature:
                self.store.add_refused(name, signature, 0, RefusedError("unreadable", reason), "stick")
                self._seen[name] = signature

    def _plugged(self) -> Iterator[Path]:
        """Yield the folders of the sticks; the place itself may not be there yet."""
        try:
            places = sorted(self.settings.sticks.iterdir())
        except OSError:
            return
        for place in places:
            # One that is just being pulled cannot be listed, and an empty folder is where one was.
            with contextlib.suppress(OSError):
                if not place.name.startswith(".") and not place.is_symlink() and list(place.iterdir()):
                    yield place

    def _write_results(self) -> None:
        """Write to each stick the results of its films, once all of them are read and whenever they change."""
        version = self.store.version()
        for name, stick in self._sticks.items():
            due = stick.settled and self._written.get(name) != version and self.store.finished_below(stick.prefix)
            if due and self._write(stick):
                self._written[name] = version

    def _write(self, stick: Intake) -> bool:
        """Write the results of a stick's films, whole or not at all; return whether all that there are stand there."""
        rows = list(export_rows(self.store, below=stick.prefix))
        if not rows:
            return True
        # The stick has these names already, and whoever looks at it knows its films by nothing else.
        files = self.store.names_below(stick.prefix)
        target = stick.folder / RESULTS
        temporary = target.with_name(f".{RESULTS}.part")
        lines = csv_lines(({"file": files[row["id"]]} | row for row in rows), ("file", *COLUMNS))
        text = (BYTE_ORDER_MARK + "".join(lines)).encode()
        try:
            if target.exists() and target.read_bytes() == text:
                return True
            # A link that lay there would lead to another file.
            temporary.unlink(missing_ok=True)
            with temporary.open("xb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
            log.info("the results were written to a stick")
        except OSError as err:
            self._note_unwritten(stick, temporary, err)
            return False
        return True

    def _note_unwritten(self, stick: Intake, temporary: Path, err: OSError) -> None:
        """Say once, in the log and in the list, that a stick takes no results; it is tried again."""
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        why = os.strerror(err.errno or 0)
        if self._unwritten.get(stick.prefix) != why:
            log.warning("the results could not be written to a stick (%s)", why)
            refusal = refuse("unwritable", f"the results could not be written to the stick ({why})")
            self.store.add_refused(stick.prefix + RESULTS, why, 0, refusal, "stick")
        self._unwritten[stick.prefix], self._next_try = why, time.monotonic() + RETRY_SECONDS
