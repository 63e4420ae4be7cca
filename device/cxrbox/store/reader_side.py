"""What the reader does with the store: take a film, keep what is said of it, all of it or nothing."""

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cxrbox.errors import RefusedError
from cxrbox.refusals import refuse
from cxrbox.store.database import NEXT_VERSION, Database, connect
from cxrbox.store.entries import enter, enter_identity, enter_outcome, now

# A film on which the reader died so often is refused, or it would stop the queue for good.
MOST_CRASHES = 2
CRASHED = refuse("reader_crashed", f"the reader stopped {MOST_CRASHES} times on it")
# The columns of a QueuedFilm.
FILM = "id, sha256, source, overridden, crashes"


@dataclass(frozen=True)
class QueuedFilm:
    """A film that waits for its reading, or is being read.

    Attributes
    ----------
    id : int
    sha256 : str
        Of its content; the original lies under it.
    source : str
        Where it came from: "folder", "stick", "upload" or "camera".
    overridden : bool
        Whether a person wants it read whatever the capture gate says.
    suspect : bool
        Whether the reader died before with this film in hand.
    """

    id: int
    sha256: str
    source: str = "folder"
    overridden: bool = False
    suspect: bool = False


class ReaderSide(Database):
    """Films are read, each once."""

    def requeue_interrupted(self) -> None:
        """Queue again what was being read when the box stopped; nothing of such a reading was kept."""
        with self._change():
            self._db.execute(
                f"UPDATE films SET state = 'queued', changed = {NEXT_VERSION} WHERE state = 'reading'",
            )

    def count_crash(self, refusal: RefusedError = CRASHED) -> None:
        """Note that the reader died on the film it had in hand; give up on one that killed it too often.

        The first time it may have been another that was read beside it; from then on it is alone in hand.

        Parameters
        ----------
        refusal : RefusedError
            What is said then.
        """
        with self._change():
            if (film := self._in_hand()) is None:
                return
            counted = "UPDATE films SET crashes = crashes + 1 WHERE id = ? RETURNING crashes"
            if self._db.execute(counted, (film,)).fetchone()["crashes"] >= MOST_CRASHES:
                self._refuse(film, refusal)

    def has_suspects(self) -> bool:
        """Return whether the reader died on a film that waits."""
        return bool(self._db.execute("SELECT 1 FROM films WHERE state = 'queued' AND crashes > 0").fetchone())

    def _in_hand(self) -> int | None:
        """Return the film that was taken last: those before it were read and only wait to be filed."""
        which = "SELECT id FROM films WHERE state = 'reading' ORDER BY changed DESC LIMIT 1"
        row = self._db.execute(which).fetchone()
        return row and row["id"]

    def claim(self, first: int | None = None) -> QueuedFilm | None:
        """Take the next film from the queue, None where it is empty; a film that was prepared comes first.

        The disk is not waited for: a power cut would put the film back into the queue in any case. One statement is a
        change of its own.
        """
        taken = self._fleeting.execute(
            f"UPDATE films SET state = 'reading', started_at = ?, changed = {NEXT_VERSION} WHERE id ="
            " coalesce((SELECT id FROM films WHERE state = 'queued' AND id = ?),"
            " (SELECT id FROM films WHERE state = 'queued' ORDER BY id LIMIT 1))"
            f" RETURNING {FILM}",
            (now(), first),
        ).fetchall()
        return _queued(taken[0]) if taken else None

    @cached_property
    def _fleeting(self) -> sqlite3.Connection:
        """A connection whose changes are seen at once, but a power cut that follows may take them back."""
        db = connect(self.state)
        db.execute("PRAGMA synchronous = NORMAL")
        return db

    def close(self) -> None:
        """Close the connections."""
        if "_fleeting" in vars(self):
            self._fleeting.close()
        super().close()

    def upcoming(self, most: int) -> list[QueuedFilm]:
        """Return the films that will be taken next, in order; they stay in the queue."""
        rows = self._db.execute(f"SELECT {FILM} FROM films WHERE state = 'queued' ORDER BY id LIMIT ?", (most,))
        return [_queued(row) for row in rows]

    def add_result(
        self,
        film: int,
        reading: dict,
        maps: bytes,
        milliseconds: float,
        logits: Sequence[float] | None = None,
        identity: tuple[str, str] | None = None,
    ) -> bool:
        """Keep a film's result, enter it into the ledger and take the film out of the queue, in one step.

        Parameters
        ----------
        film : int
        reading : dict
            "findings" and, beside it, how they came about; what is beside it is entered.
        maps : bytes
            Packed class activation maps (`cxrbox.maps`).
        milliseconds : float
            From opening the film to its result.
        logits : sequence of float, of length findings, or None
        identity : tuple of str, or None
            Code and kind, "dicom" or "barcode"; it is the film's identity where nobody gave another.

        Returns
        -------
        bool
            False where the film is in hand no more: another reader has finished it, and nothing is kept.
        """
        with self._change():
            if not self._finish(film, "read", None):
                return False
            kept = None if logits is None else json.dumps([round(float(logit), 5) for logit in logits])
            self._db.execute(
                "INSERT OR REPLACE INTO results (film_id, reading, maps, milliseconds, logits) VALUES (?, ?, ?, ?, ?)",
                (film, json.dumps(reading), maps, milliseconds, kept),
            )
            enter_outcome(self._db, film)
            self._identify(film, identity)
        return True

    def _identify(self, film: int, identity: tuple[str, str] | None) -> None:
        """Give a film the identity that it shows itself, where nobody said yet whose it is, or that it is unknown."""
        given = self._db.execute("SELECT 1 FROM identities WHERE film_id = ?", (film,)).fetchone()
        if identity and not given:
            enter_identity(self._db, film, *identity)

    def add_stability(self, film: int, unstable: list[str]) -> None:
        """Keep which findings of a film change with a small shift of it, and enter that into the ledger."""
        with self._change():
            done = self._db.execute("UPDATE results SET unstable = ? WHERE film_id = ?", (json.dumps(unstable), film))
            if done.rowcount:
                enter(self._db, "stability", film, {"unstable": unstable})
                self._touch(film)

    def add_refusal(
        self,
        film: int,
        refusal: RefusedError,
        refused_by: dict[str, Any] | None = None,
        identity: tuple[str, str] | None = None,
    ) -> bool:
        """Take a film that cannot be read out of the queue, with the reason; return False as `add_result` does.

        Parameters
        ----------
        film : int
        refusal : RefusedError
        refused_by : dict, or None
            Bundle, backend and code, where a body saw the film; they are entered.
        identity : tuple of str, or None
            As of `add_result`: whose film has to be taken once more.
        """
        with self._change():
            done = self._refuse(film, refusal, refused_by)
            if done:
                self._identify(film, identity)
            return done

    def _refuse(self, film: int, refusal: RefusedError, refused_by: dict[str, Any] | None = None) -> bool:
        done = self._finish(film, "refused", refusal)
        if done:
            enter_outcome(self._db, film, refused_by)
        return done

    def _finish(self, film: int, state: str, refusal: RefusedError | None) -> bool:
        """Take a film out of hand; return False where it is in hand no more."""
        code, reason = (refusal.code, refusal.reason) if refusal else (None, None)
        done = self._db.execute(
            f"UPDATE films SET state = ?, refusal_code = ?, refusal_reason = ?, finished_at = ?,"
            f" changed = {NEXT_VERSION} WHERE id = ? AND state = 'reading'",
            (state, code, reason, now(), film),
        )
        return done.rowcount == 1

    def without_picture(self, film: int | None = None) -> list[QueuedFilm]:
        """Return the films, or the one, that were read and are kept, but whose picture for the page was not drawn."""
        which = "state = 'read' AND original_at IS NOT NULL AND id = coalesce(?, id)"
        rows = self._db.execute(f"SELECT {FILM} FROM films WHERE {which} ORDER BY id", (film,))
        return [_queued(row) for row in rows if not self.has_picture(row["sha256"])]

    def begin_drawing(self, film: int, deaths: int) -> None:
        """Note whose picture is drawn next, and how many readers died on it; the disk is not waited for."""
        status = json.dumps({"film": film, "deaths": deaths})
        self._fleeting.execute("INSERT OR REPLACE INTO statuses VALUES ('drawing', ?, ?)", (now(), status))

    def end_drawing(self) -> None:
        """Note that it is drawn, or cannot be."""
        self._fleeting.execute("DELETE FROM statuses WHERE part = 'drawing'")

    def drop_pictures_of_removed(self, sha256: str) -> None:
        """Remove the pictures of a film whose original was removed while they were drawn."""
        if not self.original_path(sha256).exists():
            self._drop_pictures(sha256)


def _queued(row: sqlite3.Row) -> QueuedFilm:
    return QueuedFilm(row["id"], row["sha256"], row["source"], bool(row["overridden"]), suspect=row["crashes"] > 0)
