"""What the camera sees, as files for the page, and the page's sign that somebody looks. Needs no picture library."""

import json
import os
import time
from pathlib import Path
from typing import Any

# Seconds for which a look counts; the page looks again with every picture it fetches.
LOOK_SECONDS = 5.0
# Seconds for which a preview is shown; the camera makes several a second, and may take a few for its locked exposure.
FRESH_SECONDS = 15.0


def replace_file(path: Path, content: bytes, durable: bool = False) -> None:
    """Write a file whole or not at all, one writer at a time; a durable one is there after a power cut."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


class PreviewBoard:
    """The folder `preview` of the state folder; the station writes it, the page reads it and touches `looked`.

    Parameters
    ----------
    state : Path
        The state folder.

    Attributes
    ----------
    picture_path : Path
        The latest preview, JPEG; there is none while nobody looks.
    """

    def __init__(self, state: Path):
        self._folder = state / "preview"
        self._folder.mkdir(parents=True, exist_ok=True)
        self.picture_path = self._folder / "picture.jpg"
        self._coaching_path = self._folder / "coaching.json"
        self._sign_path = self._folder / "looked"
        # The time of the sign tells only that it changed: clocks are set, and a Pi has none of its own.
        self._sign, self._seen = self._read_sign(), float("-inf")

    def look(self) -> None:
        """Tell the station that somebody looks; the page does so with every picture it fetches."""
        self._sign_path.touch()

    def coaching(self) -> dict[str, Any] | None:
        """Return what the coach said to the latest preview; None while there is none, or none of late."""
        try:
            return json.loads(self._coaching_path.read_text()) if self.fresh() else None
        except FileNotFoundError:
            return None

    def fresh(self) -> bool:
        """Return whether the latest preview shows what the camera sees now; a station that hangs leaves an old one."""
        try:
            return abs(time.time() - self._coaching_path.stat().st_mtime) < FRESH_SECONDS
        except FileNotFoundError:
            return False

    def looked(self) -> bool:
        """Return whether somebody looked of late."""
        sign = self._read_sign()
        if sign != self._sign:
            self._sign, self._seen = sign, time.monotonic()
        return time.monotonic() - self._seen < LOOK_SECONDS

    def put(self, picture: bytes, coaching: dict[str, Any]) -> None:
        """Show a preview, JPEG, and what the coach says to it."""
        replace_file(self.picture_path, picture)
        replace_file(self._coaching_path, json.dumps(coaching).encode())

    def clear(self) -> None:
        """Take the preview off, and what a station that was killed left half written: both may show a film."""
        for path in self._folder.iterdir():
            if path != self._sign_path:
                path.unlink(missing_ok=True)

    def _read_sign(self) -> int | None:
        try:
            return self._sign_path.stat().st_mtime_ns
        except FileNotFoundError:
            return None
