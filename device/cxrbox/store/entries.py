"""Entering into the ledger; every function runs inside the transaction of what it records."""

import json
import secrets
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from cxrbox.ledger import Entry, canonical, make_entry, sha256_text

COLUMNS = "number, kind, film_id, entry, hash"


def now() -> str:
    """Return the time as it is kept: UTC, ISO 8601, to the millisecond."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def enter(db: sqlite3.Connection, kind: str, film: int | None, facts: dict[str, Any]) -> int:
    """Append an entry and return its number."""
    row = db.execute(f"SELECT {COLUMNS} FROM ledger ORDER BY number DESC LIMIT 1").fetchone()
    entry = make_entry(Entry(*row) if row else None, kind, film, facts | {"at": now()})
    db.execute(
        f"INSERT INTO ledger ({COLUMNS}) VALUES (?, ?, ?, ?, ?)",
        (entry.number, entry.kind, entry.film, entry.text, entry.hash),
    )
    return entry.number


def entries(db: sqlite3.Connection, which: str = "1", *values: Any) -> Iterator[Entry]:
    """Yield entries in order, those for which an SQL condition holds."""
    for row in db.execute(f"SELECT {COLUMNS} FROM ledger WHERE {which} ORDER BY number", values):
        yield Entry(*row)


def enter_outcome(db: sqlite3.Connection, film: int, refused_by: dict[str, Any] | None = None) -> None:
    """Enter a film's result or refusal, as it stands in the tables now, and by what it was refused."""
    row = outcome_row(db, film)
    kind, facts = "result" if row["state"] == "read" else "refusal", (refused_by or {}) | outcome_facts(row)
    db.execute("UPDATE films SET entry = ? WHERE id = ?", (enter(db, kind, film, facts), film))


def outcome_facts(row: sqlite3.Row) -> dict[str, Any]:
    """Return what is entered of a film with its result, as `outcome_row` gives it."""
    facts = _result(row) if row["state"] == "read" else _refusal(row)
    return facts | {
        "film_sha256": row["sha256"],
        "source": row["source"],
        "received": row["received_at"],
        "started": row["started_at"],
        "finished": row["finished_at"],
        "overridden": bool(row["overridden"]),
    }


def outcome_row(db: sqlite3.Connection, film: int) -> sqlite3.Row:
    """Return a film with its result."""
    return db.execute(
        "SELECT films.*, reading, maps, milliseconds, logits FROM films LEFT JOIN results ON film_id = id WHERE id = ?",
        (film,),
    ).fetchone()


def _result(row: sqlite3.Row) -> dict[str, Any]:
    """Return what is entered of a result: how it came about, its logits, and hashes of what is kept of it."""
    provenance = {key: value for key, value in json.loads(row["reading"]).items() if key != "findings"}
    return (
        provenance
        | {
            "logits": json.loads(row["logits"]) if row["logits"] else None,
            "milliseconds": row["milliseconds"],
        }
        | {"reading_sha256": sha256_text(row["reading"]), "maps_sha256": sha256_text(row["maps"].hex())}
    )


def _refusal(row: sqlite3.Row) -> dict[str, Any]:
    return {"refusal": row["refusal_code"], "reason_sha256": sha256_text(row["refusal_reason"])}


def enter_identity(db: sqlite3.Connection, film: int, text: str | None, kind: str) -> None:
    """Give a film an identity; the ledger gets a salted hash, since short numbers can be guessed."""
    salt = secrets.token_hex(16)
    number = enter(db, "identity", film, {"identity_kind": kind, "identity_sha256": identity_hash(salt, text, kind)})
    db.execute("INSERT INTO identities VALUES (?, ?, ?, ?, ?)", (number, film, kind, text, salt))
    db.execute("UPDATE films SET identity = ?, identity_kind = ? WHERE id = ?", (text, kind, film))


def identity_hash(salt: str, text: str | None, kind: str) -> str:
    """Return what the ledger says of an identity."""
    return sha256_text(canonical([salt, kind, text]))


def enter_earlier_outcomes(db: sqlite3.Connection) -> None:
    """Enter the results of a release that kept no ledger; from now on they cannot be altered unseen."""
    which = "SELECT id FROM films WHERE state IN ('read', 'refused') AND entry IS NULL ORDER BY id"
    for row in db.execute(which).fetchall():
        enter_outcome(db, row["id"])
