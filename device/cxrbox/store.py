"""The box's memory: the queue of films and their results in one SQLite file, and the originals beside it."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path

from cxrbox.errors import ConfigError, RefusedError
from cxrbox.refusals import refuse

SCHEMA_VERSION = 1
# A film on which the reader died so often is refused, or it would stop the queue for good.
MOST_CRASHES = 2
# Another part of the box may hold the file for so long (seconds) before an error is raised.
BUSY_SECONDS = 20.0


@dataclass(frozen=True)
class QueuedFilm:
    """A film that waits for its reading, or is being read."""

    id: int
    sha256: str


class Store:
    """One connection to the state folder; every process and thread opens its own.

    Parameters
    ----------
    state : Path
        The state folder; it is made where it is missing.

    Raises
    ------
    ConfigError
        If the folder cannot be written or belongs to a newer release.
    """

    def __init__(self, state: Path):
        self.originals = state / "originals"
        self.pictures = state / "pictures"
        self.incoming = state / "incoming"
        try:
            for folder in (self.originals, self.pictures, self.incoming):
                folder.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(state / "box.sqlite", timeout=BUSY_SECONDS, isolation_level=None)
        except (OSError, sqlite3.OperationalError) as err:
            raise ConfigError(f"the state folder {state} cannot be used ({err}); name another with --state") from err
        self._db.row_factory = sqlite3.Row
        # WAL: readers never wait for the writer. FULL: what was committed survives a power cut.
        self._db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;")
        self._create()

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def _create(self) -> None:
        """Lay the schema into a new file; refuse one of another version."""
        # Looked at before the file is locked: the page opens it for every request.
        if self._schema_version() == 0:
            with self._change():
                if self._schema_version() == 0:
                    self._lay_schema()
        if self._schema_version() != SCHEMA_VERSION:
            raise ConfigError(
                f"the state folder is of schema {self._schema_version()}, this release works with {SCHEMA_VERSION};"
                " update the software or name another folder with --state"
            )

    def _schema_version(self) -> int:
        return self._db.execute("PRAGMA user_version").fetchone()[0]

    def _lay_schema(self) -> None:
        for statement in files("cxrbox").joinpath("schema.sql").read_text("utf-8").split(";\n"):
            self._db.execute(statement)
        self._db.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Run a change as one transaction: all of it is kept or nothing."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    # Intake

    def sightings(self) -> dict[str, str]:
        """Return the signature of every file taken in, by its path."""
        return dict(self._db.execute("SELECT path, signature FROM sightings").fetchall())

    def add_film(self, path: str, signature: str, sha256: str, size: int) -> bool:
        """Queue a film whose original is in place; return False where its content was already known."""
        with self._change():
            known = self._db.execute("SELECT id FROM films WHERE sha256 = ?", (sha256,)).fetchone()
            film = known["id"] if known else self._insert(path, sha256, size, "queued")
            self._see(path, signature, film)
        return known is None

    def add_refused(self, path: str, signature: str, size: int, refusal: RefusedError) -> None:
        """List a file that could not be taken in, with the reason."""
        with self._change():
            film = self._insert(path, None, size, "reading")
            self._finish(film, refusal)
            self._see(path, signature, film)

    def _insert(self, name: str, sha256: str | None, size: int, state: str) -> int:
        return self._db.execute(
            "INSERT INTO films (sha256, name, bytes, received_at, state, changed) VALUES (?, ?, ?, ?, ?, ?)",
            (sha256, name, size, _now(), state, self.version() + 1),
        ).lastrowid

    def _see(self, path: str, signature: str, film: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO sightings VALUES (?, ?, ?)", (path, signature, film))

    # Reader

    def requeue_interrupted(self) -> None:
        """Queue again what was being read when the box stopped; nothing of such a reading was kept."""
        with self._change():
            self._db.execute(
                "UPDATE films SET state = 'queued', changed = ? WHERE state = 'reading'",
                (self.version() + 1,),
            )

    def count_crash(self) -> None:
        """Note that the reader died on the film it was reading; give up on one that killed it too often."""
        with self._change():
            self._db.execute("UPDATE films SET crashes = crashes + 1 WHERE state = 'reading'")
            refusal = refuse("reader_crashed", f"the reader stopped {MOST_CRASHES} times on it")
            self._give_up(refusal, MOST_CRASHES)

    def give_up_reading(self, refusal: RefusedError) -> None:
        """Refuse the film that was being read when the reader was ended."""
        with self._change():
            self._give_up(refusal, 0)

    def _give_up(self, refusal: RefusedError, crashes: int) -> None:
        """Refuse the films in hand on which the reader died at least so often."""
        which = "SELECT id FROM films WHERE state = 'reading' AND crashes >= ?"
        for row in self._db.execute(which, (crashes,)).fetchall():
            self._finish(row["id"], refusal)

    def claim(self) -> QueuedFilm | None:
        """Take the next film from the queue, None where it is empty."""
        with self._change():
            row = self._db.execute(
                "UPDATE films SET state = 'reading', changed = ? WHERE id ="
                " (SELECT id FROM films WHERE state = 'queued' ORDER BY id LIMIT 1) RETURNING id, sha256",
                (self.version() + 1,),
            ).fetchone()
        return QueuedFilm(*row) if row else None

    def add_result(self, film: int, reading: dict, maps: bytes, milliseconds: float) -> None:
        """Keep a film's result and take it out of the queue, in one step."""
        with self._change():
            self._db.execute(
                "INSERT INTO results VALUES (?, ?, ?, ?)",
                (film, json.dumps(reading), maps, milliseconds),
            )
            self._finish(film, None)

    def add_refusal(self, film: int, refusal: RefusedError) -> None:
        """Take a film that cannot be read out of the queue, with the reason."""
        with self._change():
            self._finish(film, refusal)

    def _finish(self, film: int, refusal: RefusedError | None) -> None:
        state, code, reason = ("refused", refusal.code, refusal.reason) if refusal else ("read", None, None)
        self._db.execute(
            "UPDATE films SET state = ?, refusal_code = ?, refusal_reason = ?, finished_at = ?, changed = ?"
            " WHERE id = ? AND state = 'reading'",
            (state, code, reason, _now(), self.version() + 1, film),
        )

    # Page

    def version(self) -> int:
        """Return a number that grows with every change of any film."""
        return self._db.execute("SELECT coalesce(max(changed), 0) FROM films").fetchone()[0]

    def counts(self) -> dict[str, int]:
        """Return how many films are in each state."""
        rows = self._db.execute("SELECT state, count(*) FROM films GROUP BY state").fetchall()
        return {"queued": 0, "reading": 0, "read": 0, "refused": 0} | dict(rows)

    def list_films(self, limit: int, before: int | None = None) -> list[dict]:
        """Return films, the newest first, with their reading where there is one."""
        rows = self._db.execute(
            "SELECT films.*, results.reading, results.milliseconds FROM films LEFT JOIN results ON film_id = id"
            " WHERE id < ? ORDER BY id DESC LIMIT ?",
            (before or 2**62, limit),
        )
        return [_unpacked(row) for row in rows]

    def film(self, film: int) -> dict | None:
        """Return one film with its reading where there is one, None where there is no such film."""
        row = self._db.execute(
            "SELECT films.*, results.reading, results.milliseconds FROM films LEFT JOIN results ON film_id = id"
            " WHERE id = ?",
            (film,),
        ).fetchone()
        return _unpacked(row) if row else None

    def other_names(self, film: int) -> list[str]:
        """Return the other paths under which the same content was seen."""
        rows = self._db.execute(
            "SELECT path FROM sightings JOIN films ON films.id = film_id WHERE film_id = ? AND path <> name"
            " ORDER BY path",
            (film,),
        )
        return [row["path"] for row in rows]

    def maps(self, film: int) -> bytes | None:
        """Return the packed class activation maps of a film (`cxrbox.maps`)."""
        row = self._db.execute("SELECT maps FROM results WHERE film_id = ?", (film,)).fetchone()
        return row["maps"] if row else None

    def without_picture(self) -> list[QueuedFilm]:
        """Return the films that were read but whose picture for the page was not drawn."""
        rows = self._db.execute("SELECT id, sha256 FROM films WHERE state = 'read' ORDER BY id")
        return [QueuedFilm(*row) for row in rows if not self.picture_path(row["sha256"]).exists()]

    def original_path(self, sha256: str) -> Path:
        """Return where the original with this content lies."""
        return self.originals / sha256[:2] / sha256

    def picture_path(self, sha256: str) -> Path:
        """Return where the picture of a film for the page lies."""
        return self.pictures / f"{sha256}.jpg"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _unpacked(row: sqlite3.Row) -> dict:
    film = dict(row)
    film["reading"] = json.loads(film["reading"]) if film["reading"] else None
    return film
