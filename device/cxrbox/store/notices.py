"""What the parts of the box tell the page, and what the page asks of them."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cxrbox.store.database import Database
from cxrbox.store.entries import now

# A status that stays the same is written again after so long (seconds), as a sign of life.
REPEAT_SECONDS = 10.0
# Nobody stands before the box any more whose request waited longer than this (seconds).
REQUEST_SECONDS = 30.0


class Notices(Database):
    """A board with one note for each part, and a tray of requests."""

    def __init__(self, state: Path):
        super().__init__(state)
        self._said: dict[str, tuple[str, float]] = {}

    def put_status(self, part: str, status: dict[str, Any]) -> None:
        """Say what a part is doing; a status that repeats itself costs nothing."""
        text = json.dumps(status, sort_keys=True)
        said, when = self._said.get(part, ("", 0.0))
        if text == said and time.monotonic() - when < REPEAT_SECONDS:
            return
        self._db.execute("INSERT OR REPLACE INTO statuses VALUES (?, ?, ?)", (part, now(), text))
        self._said[part] = (text, time.monotonic())

    def statuses(self) -> dict[str, dict[str, Any]]:
        """Return what each part said last, and `at`, when that was."""
        rows = self._db.execute("SELECT part, at, status FROM statuses")
        return {row["part"]: json.loads(row["status"]) | {"at": row["at"]} for row in rows}

    def ask(self, kind: str, request: dict[str, Any]) -> None:
        """Leave a request for whichever part takes requests of this kind, unless the same one waits already.

        A page asks twice a second: while nobody takes requests, they neither pile up nor wear the disk.
        """
        text = json.dumps(request)
        with self._change():
            self._forget_old(kind)
            self._db.execute(
                "INSERT INTO requests (kind, at, request) SELECT ?, ?, ?"
                " WHERE NOT EXISTS (SELECT 1 FROM requests WHERE kind = ? AND request = ?)",
                (kind, now(), text, kind, text),
            )

    def take_request(self, kind: str) -> dict[str, Any] | None:
        """Take the oldest request of a kind, which nobody else gets; None where there is none of late."""
        if not self._db.execute("SELECT 1 FROM requests WHERE kind = ?", (kind,)).fetchone():
            return None
        with self._change():
            self._forget_old(kind)
            row = self._db.execute(
                "DELETE FROM requests WHERE id = (SELECT min(id) FROM requests WHERE kind = ?) RETURNING request",
                (kind,),
            ).fetchone()
        return json.loads(row["request"]) if row else None

    def _forget_old(self, kind: str) -> None:
        """Remove the requests of a kind for which nobody waits any more."""
        oldest = (datetime.now(UTC) - timedelta(seconds=REQUEST_SECONDS)).isoformat(timespec="milliseconds")
        self._db.execute("DELETE FROM requests WHERE kind = ? AND at < ?", (kind, oldest))
