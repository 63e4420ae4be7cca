"""Memory sticks: each is a folder that comes and goes below one place; films come from it, results go back to it."""

import contextlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path

from cxrbox.command_export import csv_lines, export_rows
from cxrbox.intake import RESULTS, Intake
from cxrbox.settings import Settings
from cxrbox.store import Store

log = logging.getLogger(__name__)


class Sticks:
    """All sticks that are plugged in now.

    Parameters
    ----------
    settings : Settings
    store : Store
    """

    def __init__(self, settings: Settings, store: Store):
        self.settings, self.store = settings, store
        self._sticks: dict[str, Intake] = {}
        self._written: dict[str, int] = {}

    def look(self) -> int:
        """Look at every stick once and take in what has settled; return how many entries were taken."""
        plugged = {folder.name: folder for folder in self._plugged()}
        for name in self._sticks.keys() - plugged.keys():
            log.info("a stick was pulled")
            del self._sticks[name]
            self._written.pop(name, None)
        for name, folder in plugged.items():
            if name not in self._sticks:
                log.info("a stick was plugged in")
                self._sticks[name] = self._open(folder)
        taken = sum(stick.look() for stick in self._sticks.values())
        if self.settings.write_to_stick and not taken:
            self._write_results()
        return taken

    def _open(self, folder: Path) -> Intake:
        return Intake(folder, self.store, self.settings.settle_seconds, "stick", f"{folder.name}/")

    def _plugged(self) -> Iterator[Path]:
        """Yield the folders of the sticks; the place itself may not be there yet."""
        try:
            places = sorted(self.settings.sticks.iterdir())
        except OSError:
            return
        for place in places:
            # One that is just being pulled cannot be listed, and an empty folder is where one was.
            with contextlib.suppress(OSError):
                if not place.is_symlink() and list(place.iterdir()):
                    yield place

    def _write_results(self) -> None:
        """Write to each stick the results of its films, once all of them are read and whenever they change."""
        version = self.store.version()
        for name, stick in self._sticks.items():
            if stick.settled and self._written.get(name) != version and self.store.finished_below(stick.prefix):
                self._written[name] = version
                self._write(stick)

    def _write(self, stick: Intake) -> None:
        """Write the results of a stick's films, whole or not at all."""
        rows = export_rows(self.store, below=stick.prefix)
        target = stick.folder / RESULTS
        temporary = target.with_name(f".{RESULTS}.part")
        text = "".join(csv_lines(rows)).encode()
        try:
            if target.exists() and target.read_bytes() == text:
                return
            with temporary.open("wb") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
            log.info("the results were written to a stick")
        except OSError as err:
            log.warning("the results could not be written to a stick (%s)", err.strerror)
