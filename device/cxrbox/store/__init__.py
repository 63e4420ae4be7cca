"""The box's memory: the queue of films and their results in one SQLite file, and the originals beside it."""

from pathlib import Path

from cxrbox.store.database import change_schema, require_state
from cxrbox.store.intake_side import IntakeSide
from cxrbox.store.migrate import SCHEMA_VERSION
from cxrbox.store.notices import Notices
from cxrbox.store.page_side import PageSide
from cxrbox.store.proof_side import ProofSide
from cxrbox.store.reader_side import MOST_CRASHES, QueuedFilm, ReaderSide
from cxrbox.store.record_side import RecordSide

__all__ = ["MOST_CRASHES", "SCHEMA_VERSION", "QueuedFilm", "Store", "change_schema", "open_store"]


class Store(IntakeSide, ReaderSide, PageSide, RecordSide, ProofSide, Notices):
    """All that the parts of the box do with the state folder; see `cxrbox.store.database.Database`."""


def open_store(state: Path) -> Store:
    """Return the store of a state folder that is there; raise ConfigError where there is none."""
    require_state(state)
    return Store(state)
