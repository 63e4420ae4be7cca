"""`cxrbox snapshot`: a consistent copy of the state folder while the box runs, for a backup, and the proof of one.

The database is copied by SQLite. Originals and pictures never change once they are there, so they are linked, which
takes no space; the folder must lie on the disk of the state folder.
"""

import hashlib
import os
import shutil
import sqlite3
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from cxrbox.errors import BoxError
from cxrbox.folders import make_folder
from cxrbox.settings import Settings
from cxrbox.store import open_store
from cxrbox.store.database import DATABASE, require_state

LINKED = ("originals", "pictures")
# What else is worth keeping; a box without a camera has none of it.
COPIED = ("flat-field.npz",)
# As `sha256sum --check` reads it.
SUMS = "SHA256SUMS"
# The numbers of the films, one a line, whose originals were missing when the snapshot was made: what else is
# missing later was lost since. Another backup would not bring them back, and the rest is worth having.
MISSING = "missing-originals.txt"
AGAIN = "take another backup"


class SnapshotError(BoxError, ValueError):
    """A snapshot cannot be made, or is not whole."""


def make_snapshot(settings: Settings, folder: Path) -> int:
    """Lay the state folder's films, pictures and database into a folder, with their hashes; return 0.

    Raises
    ------
    ConfigError
        If there is no state folder, or the other cannot be made.
    SnapshotError
        If the folder is not empty, lies on another disk, or inside the state folder.
    """
    require_state(settings.state)
    if folder.resolve().is_relative_to(settings.state.resolve()):
        raise SnapshotError(f"{folder} lies inside the state folder {settings.state}; name one outside of it")
    make_folder(folder)
    if any(folder.iterdir()):
        raise SnapshotError(f"{folder} is not empty; name a new folder")
    # Retention may remove a film and intake may add one meanwhile: what the database tells of was there either before
    # it was copied or after.
    _link(settings.state, folder)
    _copy_database(settings.state, folder)
    _link(settings.state, folder)
    for name in COPIED:
        with suppress(FileNotFoundError):
            shutil.copyfile(settings.state / name, folder / name)
    if lost := _count_films(folder)[1]:
        (folder / MISSING).write_text("".join(f"{film}\n" for film in lost), "utf-8")
        print(f"films whose originals are missing: {', '.join(map(str, lost))}")
    lines = [f"{_sha256(path)}  {name}\n" for name, path in _files(folder)]
    (folder / SUMS).write_text("".join(lines), "utf-8")
    print(f"{len(lines)} files lie in {folder}")
    return 0


def check_snapshot(folder: Path) -> int:
    """Prove a snapshot: every file is as it was, the database and the ledger are sound; return 0.

    Raises
    ------
    ConfigError
        If there is no database, or it is a newer release's.
    SnapshotError
        If anything is missing, altered or too much; the first such thing is named.
    """
    found = dict(_files(folder))
    try:
        lines = (folder / SUMS).read_text("utf-8").splitlines()
    except OSError as err:
        raise SnapshotError(f"the snapshot has no list of its files ({err.strerror}); {AGAIN}") from err
    except UnicodeDecodeError as err:
        raise SnapshotError(f"the snapshot's list of its files is damaged; {AGAIN}") from err
    sums = {name: digest for digest, _, name in (line.partition("  ") for line in lines)}
    if unlike := sorted(sums.keys() ^ found.keys()):
        raise SnapshotError(f"{len(unlike)} files are missing or too many, the first is {unlike[0]}; {AGAIN}")
    for name, digest in sums.items():
        if _sha256(found[name]) != digest:
            raise SnapshotError(f"{name} is not as it was when the backup was made; {AGAIN}")
    films, lost = _check_database(folder)
    print(f"{films} films and {len(sums)} files, all as they were; the ledger is sound")
    if lost:
        print(f"films whose originals were missing when the backup was made: {', '.join(map(str, lost))}")
    damaged = [name for name, digest in sums.items() if name.startswith("originals/") and Path(name).name != digest]
    if damaged:
        print(f"originals that were damaged before the backup was made: {len(damaged)}, the first is {damaged[0]}")
    return 0


def _check_database(folder: Path) -> tuple[int, list[int]]:
    """Prove the database, its ledger and that no original was lost since; return the number of films, and the lost."""
    require_state(folder)
    with closing(sqlite3.connect(folder / DATABASE)) as db:
        answer = db.execute("PRAGMA integrity_check").fetchone()[0]
    if answer != "ok":
        raise SnapshotError(f"the database is damaged ({answer}); {AGAIN}")
    films, lost = _count_films(folder, prove=True)
    note = folder / MISSING
    known = note.read_text("utf-8").split() if note.is_file() else []
    if since := [film for film in lost if str(film) not in known]:
        raise SnapshotError(f"the originals of {len(since)} films are missing, the first is {since[0]}; {AGAIN}")
    return films, lost


def _count_films(folder: Path, prove: bool = False) -> tuple[int, list[int]]:
    """Return how many films a snapshot's database has, and those whose originals should be there and are not.

    A copy is opened: a store writes to its database, and may bring it to a newer schema.

    Raises
    ------
    SnapshotError
        If the ledger is to be proven as well, and is not sound.
    """
    kept = {name for name, _ in _files(folder / "originals")} if (folder / "originals").is_dir() else set()
    films, lost = 0, []
    with TemporaryDirectory(dir=folder.parent) as scratch:
        shutil.copyfile(folder / DATABASE, Path(scratch) / DATABASE)
        with closing(open_store(Path(scratch))) as store:
            if prove and (fault := store.find_fault()):
                raise SnapshotError(f"entry {fault.number} of the ledger is wrong: {fault.reason}; {AGAIN}")
            # One after the other: all of them with their results would not fit into a Pi's memory.
            for film in store.all_films():
                films += 1
                if film["original_at"] and f"{film['sha256'][:2]}/{film['sha256']}" not in kept:
                    lost.append(film["id"])
    return films, lost


def _link(state: Path, folder: Path) -> None:
    """Link what never changes, all that is not linked yet; what is half written ends in .part."""
    for kind in LINKED:
        for name, path in _files(state / kind):
            target = folder / kind / name
            if target.exists() or path.suffix == ".part":
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                target.hardlink_to(path)
            except FileNotFoundError:  # retention was quicker
                continue
            except OSError as err:
                why = f"{folder} cannot hold links to the originals ({err.strerror})"
                raise SnapshotError(f"{why}; name a folder on the disk of {state}") from err


def _copy_database(state: Path, folder: Path) -> None:
    with closing(sqlite3.connect(state / DATABASE)) as db, closing(sqlite3.connect(folder / DATABASE)) as copy:
        db.backup(copy)
        # One file without a log beside it.
        copy.execute("PRAGMA journal_mode=DELETE")


def _files(folder: Path) -> list[tuple[str, Path]]:
    """Return all files of a snapshot but its list, by name; anything that is neither file nor folder is refused."""
    paths = [Path(root) / name for root, folders, names in os.walk(folder) for name in names + folders]
    # Retention may have removed one meanwhile.
    paths = [path for path in paths if os.path.lexists(path)]
    if odd := [path for path in paths if path.is_symlink() or not (path.is_file() or path.is_dir())]:
        raise SnapshotError(f"{odd[0]} is neither a file nor a folder; a state folder has no such thing")
    named = ((path.relative_to(folder).as_posix(), path) for path in paths if path.is_file())
    return sorted((name, path) for name, path in named if name != SUMS)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
