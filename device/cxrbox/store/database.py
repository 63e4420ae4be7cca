"""The state folder and the connection to its database."""

import sqlite3
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from cxrbox.errors import ConfigError, FilmError
from cxrbox.store.migrate import FIRST_VERSION, SCHEMA_VERSION, change, migrate, schema_version

DATABASE = "box.sqlite"
# Another part of the box may hold the file for so long (seconds) before an error is raised.
BUSY_SECONDS = 20.0
# How soon a part that waits for work sees that there is some.
NEWS_SECONDS = 0.02
# What a film that changes is given, so that the live list sees it.
NEXT_VERSION = "(SELECT coalesce(max(changed), 0) + 1 FROM films)"


class Database:
    """One connection to the state folder; every process and thread opens its own.

    Parameters
    ----------
    state : Path
        The state folder; it is made where it is missing, and brought to this release's schema where it is older.

    Raises
    ------
    ConfigError
        If the folder cannot be written or belongs to a newer release.
    """

    def __init__(self, state: Path):
        self.state = state
        self.originals = state / "originals"
        self.pictures = state / "pictures"
        self.incoming = state / "incoming"
        try:
            for folder in (self.originals, self.pictures, self.incoming):
                folder.mkdir(parents=True, exist_ok=True)
        except OSError as err:
            raise _unusable(state, err) from err
        self._db = connect(state)
        self._seen = 0
        version = schema_version(self._db)
        # Asked before the file is locked: the page opens it for every request.
        if version < SCHEMA_VERSION:
            migrate(self._db, SCHEMA_VERSION)
        elif version > SCHEMA_VERSION:
            self._db.close()
            raise ConfigError(
                f"the state folder is of schema {version}, this release works with {SCHEMA_VERSION}; take it back with"
                f" `cxrbox migrate --to {SCHEMA_VERSION}` of the newer release, or update the software"
            )

    def close(self) -> None:
        """Close the connection."""
        self._db.close()

    def original_path(self, sha256: str) -> Path:
        """Return where the original with this content lies."""
        return self.originals / sha256[:2] / sha256

    def picture_path(self, sha256: str) -> Path:
        """Return where the picture of a film for the page lies."""
        return self.pictures / f"{sha256}.jpg"

    def photograph_path(self, sha256: str) -> Path:
        """Return where the picture of the photograph lies that a film was taken out of."""
        return self.pictures / f"{sha256}-photo.jpg"

    def has_picture(self, sha256: str) -> bool:
        """Return whether the picture of a film is drawn; a power cut may leave an empty one."""
        try:
            return self.picture_path(sha256).stat().st_size > 0
        except FileNotFoundError:
            return False

    def _drop_pictures(self, sha256: str) -> None:
        for path in (self.picture_path(sha256), self.photograph_path(sha256)):
            path.unlink(missing_ok=True)

    def version(self) -> int:
        """Return a number that grows with every change of any film."""
        return self._db.execute("SELECT coalesce(max(changed), 0) FROM films").fetchone()[0]

    def wait_for_news(self, seconds: float) -> None:
        """Wait until another connection has changed something since this was asked last, or some seconds long."""
        until = time.monotonic() + seconds
        while not self._has_news() and time.monotonic() < until:
            time.sleep(NEWS_SECONDS)

    def _has_news(self) -> bool:
        """Return whether another connection has changed something since this was asked last; it costs no query."""
        last, self._seen = self._seen, self._db.execute("PRAGMA data_version").fetchone()[0]
        return self._seen != last

    def together(self) -> AbstractContextManager[None]:
        """Make several changes one: all of them are kept or none, and the disk is waited for once."""
        return change(self._db)

    def _change(self) -> AbstractContextManager[None]:
        return nullcontext() if self._db.in_transaction else change(self._db)

    def _touch(self, film: int) -> None:
        """Let the live list know that a film is not as it was."""
        self._db.execute(f"UPDATE films SET changed = {NEXT_VERSION} WHERE id = ?", (film,))

    def _requeue(self, film: int) -> None:
        """Queue a finished film again."""
        self._db.execute(
            "UPDATE films SET state = 'queued', crashes = 0, entry = NULL, finished_at = NULL, refusal_code = NULL,"
            " refusal_reason = NULL WHERE id = ?",
            (film,),
        )
        self._touch(film)

    def _known(self, film: int) -> sqlite3.Row:
        try:
            row = self._db.execute("SELECT * FROM films WHERE id = ?", (film,)).fetchone()
        except OverflowError:  # larger than any number of SQLite
            row = None
        if row is None:
            raise FilmError(f"there is no film {film} on this box; the list shows which there are")
        return row


def connect(state: Path) -> sqlite3.Connection:
    """Return a connection to the database of a state folder, whatever its schema."""
    try:
        db = sqlite3.connect(state / DATABASE, timeout=BUSY_SECONDS, isolation_level=None)
    except sqlite3.OperationalError as err:
        raise _unusable(state, err) from err
    db.row_factory = sqlite3.Row
    # WAL: readers never wait for the writer. FULL: what was committed survives a power cut.
    db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;")
    return db


def change_schema(state: Path, to: int) -> int:
    """Bring a state folder to a schema, forward or back; no part of the box may run. Return what it was before.

    Raises
    ------
    ConfigError
        If there is no state folder, or this release does not know its schema or the wanted one.
    """
    require_state(state)
    db = connect(state)
    try:
        version = schema_version(db)
        for wanted in (version, to):
            if not FIRST_VERSION <= wanted <= SCHEMA_VERSION:
                raise ConfigError(
                    f"this release knows the schemas {FIRST_VERSION} to {SCHEMA_VERSION}, not {wanted};"
                    " use the newest release that worked with the state folder"
                )
        migrate(db, to)
        return version
    finally:
        db.close()


def require_state(state: Path) -> None:
    """Refuse a folder that is no state folder, so that a command which only looks makes none."""
    try:
        found = (state / DATABASE).is_file()
    except PermissionError as err:
        raise ConfigError(f"{state} may not be looked at ({err.strerror}); run it as the user of the box") from err
    if not found:
        raise ConfigError(f"{state} is no state folder of a box; name it with --state")
    if not (state / DATABASE).stat().st_size:
        raise ConfigError(f"the database of {state} is empty; put a backup in its place, or name another with --state")


def _unusable(state: Path, err: Exception) -> ConfigError:
    return ConfigError(f"the state folder {state} cannot be used ({err}); name another with --state")
