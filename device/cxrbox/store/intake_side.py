"""What intake does with the store: the queue's entrance."""

from cxrbox.errors import RefusedError
from cxrbox.store.database import NEXT_VERSION, Database
from cxrbox.store.entries import enter_outcome, now

# The disk, the memory or the reader was at fault, or a release that could not read it yet.
WORTH_ANOTHER_TRY = {"damaged", "missing", "unreadable", "vanished", "out_of_memory", "took_too_long", "reader_crashed"}
WORTH_ANOTHER_TRY |= {"unsupported_compression", "unsupported_pixels"}


class IntakeSide(Database):
    """Films come in; what cannot come in is listed."""

    def sightings(self) -> dict[str, str]:
        """Return the signature of every file taken in, by its path."""
        return dict(self._db.execute("SELECT path, signature FROM sightings").fetchall())

    def contents_below(self, below: str) -> dict[str, str]:
        """Return the SHA-256 of the films that were seen at paths that start so and are kept, by path."""
        seen = "SELECT path, sha256 FROM sightings JOIN films ON films.id = film_id"
        which = "original_at IS NOT NULL AND substr(path, 1, length(?)) = ?"
        return dict(self._db.execute(f"{seen} WHERE {which}", (below, below)).fetchall())

    def kept(self) -> set[str]:
        """Return the SHA-256 of every film whose original is kept."""
        return {sha256 for (sha256,) in self._db.execute("SELECT sha256 FROM films WHERE original_at IS NOT NULL")}

    def add_film(self, path: str, signature: str, sha256: str, size: int, source: str = "folder") -> bool:
        """Queue a film whose original is in place; return False where its content was already known.

        One that was refused for what the box made of it, not for what it shows, is read once more.

        Parameters
        ----------
        path : str
            Where it was found; a name for people, it joins nothing.
        signature : str
            Tells whether the file there was changed.
        sha256 : str
            Of its content, by which it is known whatever its name.
        size : int
            Bytes.
        source : str
            "folder", "stick", "upload" or "camera".
        """
        with self._change():
            which = "SELECT id, original_at, state, refusal_code FROM films WHERE sha256 = ?"
            known = self._db.execute(which, (sha256,)).fetchone()
            film = known["id"] if known else self._insert(path, sha256, size, "queued", source)
            if known and known["original_at"] is None:
                # Retention had removed it, and it is back.
                self._db.execute("UPDATE films SET original_at = ? WHERE id = ?", (now(), film))
            again = bool(known) and known["state"] == "refused" and known["refusal_code"] in WORTH_ANOTHER_TRY
            if again:
                self._requeue(film)
            if known and not self._was_seen(path, film):
                # The list says under which names it came.
                self._touch(film)
            self._see(path, signature, film)
        return known is None or again

    def add_refused(self, path: str, signature: str, size: int, refusal: RefusedError, source: str = "folder") -> None:
        """List a file that could not be taken in, with the reason."""
        with self._change():
            film = self._insert(path, None, size, "refused", source)
            self._db.execute(
                "UPDATE films SET refusal_code = ?, refusal_reason = ?, finished_at = received_at WHERE id = ?",
                (refusal.code, refusal.reason, film),
            )
            enter_outcome(self._db, film)
            self._see(path, signature, film)

    def still_refused(self, path: str, signature: str, refusal: RefusedError) -> bool:
        """Note that a file was changed and is refused as before; return False where it was not. It is not listed twice.

        Who writes a log into the folder would fill the list, and the ledger, with it.
        """
        which = (
            "SELECT id, refusal_code FROM sightings JOIN films ON films.id = film_id WHERE path = ? AND sha256 IS NULL"
        )
        with self._change():
            row = self._db.execute(which, (path,)).fetchone()
            if row is None or row["refusal_code"] != refusal.code:
                return False
            self._see(path, signature, row["id"])
        return True

    def _was_seen(self, path: str, film: int) -> bool:
        which = "SELECT 1 FROM sightings WHERE path = ? AND film_id = ?"
        return bool(self._db.execute(which, (path, film)).fetchone())

    def _insert(self, name: str, sha256: str | None, size: int, state: str, source: str) -> int:
        """List what came in; return its number. Where it has a content, that is kept from now on."""
        at = now()
        return self._db.execute(
            "INSERT INTO films (sha256, name, bytes, received_at, original_at, state, source, changed)"
            f" VALUES (?, ?, ?, ?, ?, ?, ?, {NEXT_VERSION})",
            (sha256, name, size, at, at if sha256 else None, state, source),
        ).lastrowid

    def _see(self, path: str, signature: str, film: int) -> None:
        self._db.execute("INSERT OR REPLACE INTO sightings VALUES (?, ?, ?)", (path, signature, film))
