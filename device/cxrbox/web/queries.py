"""What only the page asks of the store."""

from cxrbox.store import Store


class PageStore(Store):
    """The store, and the few questions of the page."""

    def film_with(self, sha256: str) -> int | None:
        """Return the film that has this content, None where there is none."""
        row = self._db.execute("SELECT id FROM films WHERE sha256 = ?", (sha256,)).fetchone()
        return row["id"] if row else None

    def newest_film(self, source: str) -> int:
        """Return the newest film of a source, 0 where there is none."""
        return self._db.execute("SELECT coalesce(max(id), 0) FROM films WHERE source = ?", (source,)).fetchone()[0]

    def last_milliseconds(self, limit: int) -> list[float]:
        """Return how long the newest films took that were read, in milliseconds."""
        rows = self._db.execute("SELECT milliseconds FROM results ORDER BY film_id DESC LIMIT ?", (limit,))
        return [row["milliseconds"] for row in rows]
