"""The schema of the state folder, forward and back: numbered files of SQL, each step of which can be undone.

Migration N leads from schema N - 1 to N (`N_forward.sql`) and back (`N_back.sql`).
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import files

from cxrbox.store.entries import enter_earlier_outcomes

SCHEMA_VERSION = 2
# The first release laid this one; there is no way back from it.
FIRST_VERSION = 1
# What SQL cannot do, after a step forward.
THEN = {2: enter_earlier_outcomes}


def schema_version(db: sqlite3.Connection) -> int:
    """Return the schema of a database, 0 where it is new."""
    return db.execute("PRAGMA user_version").fetchone()[0]


def migrate(db: sqlite3.Connection, to: int) -> None:
    """Bring a database to a schema, from wherever it is, in one transaction: a power cut leaves the old or the new."""
    with change(db):
        version = schema_version(db)
        for step in range(version + 1, to + 1):
            _execute(db, f"{step:04}_forward.sql")
            THEN.get(step, lambda _: None)(db)
        for step in range(version, to, -1):
            _execute(db, f"{step:04}_back.sql")
        db.execute(f"PRAGMA user_version = {to}")


@contextmanager
def change(db: sqlite3.Connection) -> Iterator[None]:
    """Run a change as one transaction: all of it is kept or nothing."""
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
        db.execute("COMMIT")
    except BaseException:
        # SQLite itself has rolled back where the disk is full.
        if db.in_transaction:
            db.execute("ROLLBACK")
        raise


def _execute(db: sqlite3.Connection, name: str) -> None:
    """Execute a file statement by statement: `executescript` would commit what was done before."""
    statement = ""
    for line in files("cxrbox.store").joinpath("migrations", name).read_text("utf-8").splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            db.execute(statement)
            statement = ""
