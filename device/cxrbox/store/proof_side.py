"""The proof of the record: the chain is whole, every row is as it was entered, and every entry has its row."""

import json

from cxrbox.ledger import Fault, canonical, find_fault
from cxrbox.store.database import Database
from cxrbox.store.entries import entries, identity_hash, outcome_facts, outcome_row

# What an earlier release did not enter cannot be held against its entries.
LATER = {"reason_sha256"}


class ProofSide(Database):
    """What was altered past the box is found."""

    def find_fault(self) -> Fault | None:
        """Return the first entry of the ledger that is wrong, or to which the rows kept beside it do not belong."""
        looks = (
            lambda: find_fault(entries(self._db)),
            self._find_altered_outcome,
            self._find_missing_film,
            self._find_exchanged_outcome,
            self._find_altered_stability,
            self._find_altered_identity,
            self._find_missing_identity,
            self._find_exchanged_identity,
        )
        # One transaction: what is written meanwhile is not seen in part.
        self._db.execute("BEGIN")
        try:
            return next((fault for look in looks if (fault := look())), None)
        finally:
            self._db.execute("COMMIT")

    def _find_altered_outcome(self) -> Fault | None:
        """Return the first entry whose film or result says something else, or which was cut off the end."""
        finished = "SELECT id, entry FROM films WHERE state IN ('read', 'refused') ORDER BY entry"
        for film, number in self._db.execute(finished):
            entry = next(entries(self._db, "number = ?", number), None)
            if entry is None:
                return Fault(number or 0, f"it is missing, film {film} had its result from it")
            try:
                told = {"film": film} | outcome_facts(outcome_row(self._db, film))
            except (AttributeError, TypeError, ValueError):  # a row that is gone, or is no JSON
                told = {"film": None}
            told = {fact: value for fact, value in told.items() if fact in entry.facts or fact not in LATER}
            if not told.items() <= entry.facts.items():
                return Fault(number, f"the result of film {film} was altered after it was entered")
        return None

    def _find_missing_film(self) -> Fault | None:
        """Return the first entry about a film that is not there any more; films are never removed."""
        row = self._db.execute(
            "SELECT number, film_id FROM ledger WHERE film_id IS NOT NULL AND film_id NOT IN (SELECT id FROM films)"
            " ORDER BY number LIMIT 1"
        ).fetchone()
        return row and Fault(row["number"], f"film {row['film_id']} was removed after it was entered")

    def _find_exchanged_outcome(self) -> Fault | None:
        """Return the last entry of the first film that stands as if it had another outcome, or none yet.

        A refused film may wait again without an entry, one that was read only after it was withdrawn.
        """
        last = "SELECT max(number) FROM ledger WHERE film_id = films.id"
        last += " AND kind IN ('result', 'refusal', 'withdrawal', 'override')"
        row = self._db.execute(
            f"SELECT films.id, number FROM films JOIN ledger ON number = ({last})"
            " WHERE CASE WHEN state IN ('read', 'refused') THEN films.entry IS NOT number ELSE kind = 'result' END"
            " ORDER BY films.id LIMIT 1"
        ).fetchone()
        return row and Fault(row["number"], f"film {row['id']} stands as if it had not had this outcome last")

    def _find_altered_stability(self) -> Fault | None:
        """Return the first entry whose film has other unstable findings, or none, since its result."""
        which = "film_id = ? AND kind = 'stability' AND number > ?"
        read = (
            "SELECT id, films.entry, unstable FROM films JOIN results ON film_id = id WHERE state = 'read' ORDER BY id"
        )
        for film, result, unstable in self._db.execute(read):
            found = [*entries(self._db, which, film, result)]
            last = found[-1] if found else None
            if (last and canonical(last.facts["unstable"])) != (unstable and _canonical_text(unstable)):
                number = last.number if last else result
                return Fault(number, f"what is unstable in film {film} was altered after it was entered")
        return None

    def _find_altered_identity(self) -> Fault | None:
        """Return the first entry whose identity is another one, or which was cut off the end."""
        for row in self._db.execute("SELECT * FROM identities ORDER BY number"):
            entry = next(entries(self._db, "number = ?", row["number"]), None)
            if entry is None:
                return Fault(row["number"], f"it is missing, film {row['film_id']} had an identity from it")
            told = {"film": row["film_id"], "identity_sha256": identity_hash(row["salt"], row["text"], row["kind"])}
            if not told.items() <= entry.facts.items():
                return Fault(entry.number, f"the identity of film {row['film_id']} was altered after it was entered")
        return None

    def _find_missing_identity(self) -> Fault | None:
        row = self._db.execute(
            "SELECT number, film_id FROM ledger WHERE kind = 'identity'"
            " AND number NOT IN (SELECT number FROM identities) ORDER BY number LIMIT 1"
        ).fetchone()
        return row and Fault(row["number"], f"the identity of film {row['film_id']} was removed after it was entered")

    def _find_exchanged_identity(self) -> Fault | None:
        """Return the entry of the first film that is shown under another identity than it was given last."""
        row = self._db.execute(
            "SELECT id, coalesce(number, 0) AS number FROM films LEFT JOIN identities AS given ON film_id = id"
            " AND number = (SELECT max(number) FROM identities WHERE film_id = films.id)"
            " WHERE identity IS NOT given.text OR identity_kind IS NOT coalesce(given.kind, 'unknown')"
            " ORDER BY id LIMIT 1"
        ).fetchone()
        return row and Fault(row["number"], f"film {row['id']} is shown under another identity than it was given")


def _canonical_text(text: str) -> str:
    """Return the canonical form of a JSON text, the text itself where it is none."""
    try:
        return canonical(json.loads(text))
    except ValueError:
        return text
