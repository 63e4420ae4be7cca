"""What the page and the commands read of the store."""

import json
import sqlite3
from collections.abc import Iterator

from cxrbox.store.database import Database

FILMS = "SELECT films.*, reading, milliseconds, unstable FROM films LEFT JOIN results ON film_id = id"
SEEN_BELOW = "id IN (SELECT film_id FROM sightings WHERE substr(path, 1, length(?)) = ?)"
FOUND = (
    "instr(lower(identity), lower(?)) OR instr(lower(name), lower(?))"
    " OR id IN (SELECT film_id FROM sightings WHERE instr(lower(path), lower(?)))"
)
# Read at once where all films are gone through, so that no reader keeps the log of the database from being emptied.
BATCH = 200


class PageSide(Database):
    """Films are shown."""

    def counts(self) -> dict[str, int]:
        """Return how many films are in each state."""
        rows = self._db.execute("SELECT state, count(*) FROM films GROUP BY state").fetchall()
        return {"queued": 0, "reading": 0, "read": 0, "refused": 0} | dict(rows)

    def list_films(self, limit: int, before: int | None = None, text: str = "") -> list[dict]:
        """Return films, the newest first, with their reading where there is one.

        Parameters
        ----------
        limit : int
            At most so many.
        before : int or None
            Those below this number.
        text : str
            Those with this text in their patient's code or in a name they came under; "" for all.
        """
        which = f"id < ? AND (? = '' OR {FOUND})"
        values = (before or 2**62, text, text, text, text, limit)
        return [_unpacked(row) for row in self._db.execute(f"{FILMS} WHERE {which} ORDER BY id DESC LIMIT ?", values)]

    def all_films(self, since: str = "", below: str = "") -> Iterator[dict]:
        """Yield films in the order they came.

        Parameters
        ----------
        since : str
            Those received at or after a time in UTC, ISO 8601.
        below : str
            Those that were seen at a path that starts so.
        """
        last, which = 0, f"id > ? AND received_at >= ? AND (? = '' OR {SEEN_BELOW})"
        while rows := self._db.execute(
            f"{FILMS} WHERE {which} ORDER BY id LIMIT ?", (last, since, below, below, below, BATCH)
        ).fetchall():
            yield from map(_unpacked, rows)
            last = rows[-1]["id"]

    def names_below(self, below: str) -> dict[int, str]:
        """Return under which names below a path films were seen, by film; several are divided by "; "."""
        rows = self._db.execute(
            "SELECT film_id, substr(path, length(?) + 1) AS name FROM sightings"
            " WHERE substr(path, 1, length(?)) = ? ORDER BY path",
            (below, below, below),
        )
        names: dict[int, list[str]] = {}
        for row in rows:
            names.setdefault(row["film_id"], []).append(row["name"])
        return {film: "; ".join(those) for film, those in names.items()}

    def count_films_below(self, below: str) -> int:
        """Return how many films were seen at paths that start so, what is no film left out."""
        which = f"SELECT count(*) FROM films WHERE sha256 IS NOT NULL AND {SEEN_BELOW}"
        return self._db.execute(which, (below, below)).fetchone()[0]

    def finished_below(self, below: str) -> bool:
        """Return whether no film that was seen at a path that starts so waits or is being read."""
        rows = self._db.execute(f"SELECT state FROM films WHERE {SEEN_BELOW}", (below, below))
        return all(row["state"] in ("read", "refused") for row in rows)

    def film(self, film: int) -> dict | None:
        """Return one film with its reading where there is one, None where there is no such film."""
        row = self._db.execute(f"{FILMS} WHERE id = ?", (film,)).fetchone()
        return _unpacked(row) if row else None

    def other_names(self, *films: int) -> dict[int, list[str]]:
        """Return the other paths under which the content of films was seen, by film; those without any are left out."""
        names: dict[int, list[str]] = {}
        for row in self._db.execute(
            "SELECT film_id, path FROM sightings JOIN films ON films.id = film_id WHERE path <> name"
            f" AND film_id IN ({', '.join('?' * len(films))}) ORDER BY path",
            films,
        ):
            names.setdefault(row["film_id"], []).append(row["path"])
        return names

    def maps(self, film: int) -> bytes | None:
        """Return the packed class activation maps of a film (`cxrbox.maps`)."""
        row = self._db.execute("SELECT maps FROM results WHERE film_id = ?", (film,)).fetchone()
        return row["maps"] if row else None


def _unpacked(row: sqlite3.Row) -> dict:
    film = dict(row)
    film["reading"] = json.loads(film["reading"]) if film["reading"] else None
    film["unstable"] = json.loads(film["unstable"]) if film["unstable"] else None
    for finding in film["unstable"] or []:
        film["reading"]["findings"][finding]["unstable"] = True
    return film
