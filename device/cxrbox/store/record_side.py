"""What stays on record: identities, overrides, withdrawals, the bundle in use, and what was removed."""

from collections.abc import Iterator
from typing import Any

from cxrbox.errors import FilmError
from cxrbox.ledger import Entry
from cxrbox.names import plain
from cxrbox.store.database import Database
from cxrbox.store.entries import enter, enter_identity, entries, now

IDENTITY_KINDS = ("typed", "barcode", "dicom", "unknown")
# Characters: what DICOM gives a Patient ID (PS3.5, VR LO), and room for a sentence.
LONGEST_IDENTITY, LONGEST_NOTE = 64, 500


class RecordSide(Database):
    """The record only grows."""

    def set_identity(self, film: int, text: str | None, kind: str) -> None:
        """Say whom a film shows; what was said before stays in the history.

        Parameters
        ----------
        film : int
        text : str or None
            The code, at most 64 characters; None for the kind "unknown", and for no other.
        kind : str
            How it is known: one of `IDENTITY_KINDS`.

        Raises
        ------
        FilmError
            If there is no such film, or text and kind do not go together.
        """
        text = plain(text) if text else None
        if kind not in IDENTITY_KINDS or bool(text) == (kind == "unknown") or len(text or "") > LONGEST_IDENTITY:
            raise FilmError(
                f"a code has 1 to {LONGEST_IDENTITY} characters that can be seen; go back and type it again,"
                " or say that it is unknown"
            )
        with self._change():
            self._known(film)
            enter_identity(self._db, film, text, kind)
            self._touch(film)

    def identities(self, film: int) -> list[dict[str, Any]]:
        """Return what identities a film was given, with the times, the last one last."""
        rows = self._db.execute(
            "SELECT identities.kind, text, json_extract(entry, '$.at') AS at"
            " FROM identities JOIN ledger ON ledger.number = identities.number"
            " WHERE identities.film_id = ? ORDER BY ledger.number",
            (film,),
        )
        return [dict(row) for row in rows]

    def override(self, film: int, note: str) -> None:
        """Queue a refused film again because a person wants it read all the same.

        Parameters
        ----------
        film : int
        note : str
            Who wants it and why, at most 500 characters; it is entered into the ledger.

        Raises
        ------
        FilmError
            If the film was not refused, or its original is not kept.
        """
        with self._change():
            row = self._known(film)
            if row["state"] != "refused" or row["original_at"] is None:
                raise FilmError(f"film {film} was not refused or its original is not kept; send it again instead")
            facts = {"refusal": row["refusal_code"], "film_sha256": row["sha256"], "note": note[:LONGEST_NOTE]}
            enter(self._db, "override", film, facts)
            self._db.execute("UPDATE films SET overridden = 1 WHERE id = ?", (film,))
            self._requeue(film)

    def override_note(self, film: int) -> str | None:
        """Return who wanted a film read all the same, and why; None where nobody did."""
        found = [*entries(self._db, "film_id = ? AND kind = 'override'", film)]
        return found[-1].facts["note"] if found else None

    def withdraw(self, after: int, backend: str | None) -> int:
        """Queue the films again that a body answered before it was found unfit; return how many.

        What it said of them stays in the ledger and counts no more.

        Parameters
        ----------
        after : int
            The number of the last entry from before anybody could have doubted it.
        backend : str or None
            Whose answers count no more; None for all.
        """
        with self._change():
            withdrawn = self._db.execute(
                "SELECT id, sha256, number, json_extract(ledger.entry, '$.backend') AS backend"
                " FROM films JOIN ledger ON number = films.entry"
                " WHERE number > ? AND original_at IS NOT NULL AND backend = coalesce(?, backend) ORDER BY id",
                (after, backend),
            ).fetchall()
            for film in withdrawn:
                facts = {"film_sha256": film["sha256"], "outcome": film["number"], "backend": film["backend"]}
                enter(self._db, "withdrawal", film["id"], facts)
                self._db.execute("DELETE FROM results WHERE film_id = ?", (film["id"],))
                # The picture shows the film as it was read: turned or inverted, it may be.
                self._drop_pictures(film["sha256"])
                self._requeue(film["id"])
        return len(withdrawn)

    def was_withdrawn(self, film: int) -> bool:
        """Return whether something was said of a film that counts no more."""
        return any(entries(self._db, "film_id = ? AND kind = 'withdrawal'", film))

    def last_entry(self) -> int:
        """Return the number of the ledger's last entry, 0 where it has none."""
        return self._db.execute("SELECT coalesce(max(number), 0) FROM ledger").fetchone()[0]

    def note_bundle(self, facts: dict[str, Any]) -> bool:
        """Enter with what the box reads from now on; return False where it is what it read with before."""
        with self._change():
            row = self._db.execute("SELECT max(number) FROM ledger WHERE kind = 'bundle'").fetchone()
            last = next(entries(self._db, "number = ?", row[0]), None)
            if last and facts.items() <= last.facts.items():
                return False
            enter(self._db, "bundle", None, facts)
        return True

    def removable(self, limit: int = -1) -> list[tuple[int, str, str]]:
        """Return id, sha256 and time of coming of finished films that are kept, the oldest first; -1: of all."""
        rows = self._db.execute(
            "SELECT id, sha256, original_at FROM films WHERE original_at IS NOT NULL AND state IN ('read', 'refused')"
            " ORDER BY original_at, id LIMIT ?",
            (limit,),
        )
        return [tuple(row) for row in rows]

    def date_originals(self, plausible: str) -> None:
        """Count the age of originals that came under a clock that was not set, before a plausible time, from now on."""
        which = "original_at < ?"
        if self._db.execute(f"SELECT 1 FROM films WHERE {which}", (plausible,)).fetchone():
            with self._change():
                self._db.execute(f"UPDATE films SET original_at = ? WHERE {which}", (now(), plausible))

    def remove_original(self, film: int, reason: str) -> bool:
        """Remove the original and the pictures of a finished film; its result and the ledger stay.

        Returns
        -------
        bool
            False where it waits meanwhile, because somebody wants it read once more, or is removed already.
        """
        with self._change():
            row = self._known(film)
            if row["state"] not in ("read", "refused") or row["original_at"] is None:
                return False
            # First the files: if the power is cut between the two, the next attempt finds the film again.
            self.original_path(row["sha256"]).unlink(missing_ok=True)
            self._drop_pictures(row["sha256"])
            self._db.execute("UPDATE films SET original_at = NULL WHERE id = ?", (film,))
            enter(self._db, "removal", film, {"film_sha256": row["sha256"], "reason": reason})
            self._touch(film)
        return True

    def ledger(self) -> Iterator[Entry]:
        """Yield all entries in order."""
        return entries(self._db)

    def last_result(self, film: int) -> Entry | None:
        """Return the entry of a film's result, None where it has none that counts."""
        return next(entries(self._db, "number = ? AND kind = 'result'", self._known(film)["entry"]), None)
