"""The state folder of another release: taken over, given back, and never half changed."""

import json
import signal
import sqlite3
import subprocess
import sys
from importlib.resources import files

import pytest
from cxrbox.settings import Settings
from cxrbox.store import SCHEMA_VERSION, Store
from cxrbox.supervise import state_locks

READING = {"bundle": "cxr 1", "bundle_sha256": "b" * 64, "backend": "cpu", "code": "0.1.0", "findings": {"Mass": {}}}


def open_raw(state) -> sqlite3.Connection:
    db = sqlite3.connect(state / "box.sqlite", isolation_level=None)
    db.row_factory = sqlite3.Row
    return db


def add_as_release_one(db: sqlite3.Connection, film: int, state: str) -> None:
    """Write a film as the release of schema 1 does, statement by statement."""
    db.execute(
        "INSERT INTO films (id, sha256, name, bytes, received_at, state, changed) VALUES (?, ?, ?, 9, ?, ?, ?)",
        (film, f"{film:064}", f"ward {film}.png", "2026-11-02T08:00:00.000+00:00", state, film),
    )
    if state == "read":
        db.execute("INSERT INTO results VALUES (?, ?, ?, ?)", (film, json.dumps(READING), b"maps", 12.5))
    if state == "refused":
        db.execute("UPDATE films SET refusal_code = 'damaged', refusal_reason = 'cut off' WHERE id = ?", (film,))
    db.execute("INSERT INTO sightings VALUES (?, 'signature', ?)", (f"ward {film}.png", film))


@pytest.fixture
def state(tmp_path):
    """Return a state folder of schema 1 with a film that was read, one that was refused and one that waits."""
    db = open_raw(tmp_path)
    db.executescript("PRAGMA journal_mode=WAL;" + (files("cxrbox.store") / "migrations/0001_forward.sql").read_text())
    for film, in_state in enumerate(("read", "refused", "queued"), 1):
        add_as_release_one(db, film, in_state)
    db.execute("PRAGMA user_version = 1")
    db.close()
    return tmp_path


def dump(state) -> list[str]:
    """Return all rows that schema 1 can hold."""
    db = open_raw(state)
    rows = [
        str(tuple(row))
        for query in (
            "SELECT id, sha256, name, bytes, received_at, state, crashes, finished_at, refusal_code, refusal_reason,"
            " changed FROM films",
            "SELECT film_id, reading, maps, milliseconds FROM results",
            "SELECT * FROM sightings",
        )
        for row in db.execute(query)
    ]
    db.close()
    return rows


def schema_of(state) -> tuple[int, list[str]]:
    """Return the version, and the columns of the tables of schema 1."""
    db = open_raw(state)
    columns = [row["name"] for table in ("films", "results") for row in db.execute(f"PRAGMA table_info({table})")]
    version = db.execute("PRAGMA user_version").fetchone()[0]
    db.close()
    return version, columns


def test_a_folder_of_schema_one_is_taken_over_with_all_its_films(state):
    before = dump(state)
    store = Store(state)
    assert dump(state) == before
    film = store.film(1)
    assert film["reading"] == READING
    assert (film["source"], film["identity_kind"], film["original_at"]) == ("folder", "unknown", film["received_at"])
    assert store.claim().id == 3
    store.close()


def test_results_without_a_ledger_are_entered_so_that_they_cannot_be_altered_from_now_on(state):
    store = Store(state)
    assert [(entry.kind, entry.film) for entry in store.ledger()] == [("result", 1), ("refusal", 2)]
    assert store.find_fault() is None
    store._db.execute("UPDATE results SET milliseconds = 1, reading = '{}' WHERE film_id = 1")
    assert store.find_fault().number == 1
    store.close()


def test_the_way_back_and_forward_again_loses_nothing_of_either_schema(state, cxrbox):
    untouched = schema_of(state)
    store = Store(state)
    store.set_identity(1, "P-17", "typed")
    store.add_result(store.claim().id, READING, b"maps", 3.0, [0.25] * 14)
    before, shown, entries = dump(state), store.list_films(10), list(store.ledger())
    store.close()

    done = cxrbox("migrate", "--to", 1, "--state", state)
    assert (done.returncode, done.stdout) == (0, "the state folder was of schema 2 and is of schema 1 now\n")
    assert schema_of(state) == untouched and dump(state) == before
    db = open_raw(state)
    add_as_release_one(db, 4, "read")
    db.close()

    assert cxrbox("migrate", "--to", 2, "--state", state).returncode == 0
    store = Store(state)
    assert store.list_films(10)[1:] == shown
    assert list(store.ledger())[: len(entries)] == entries
    assert [entry.film for entry in store.ledger()][len(entries) :] == [4]
    assert store.find_fault() is None and store.last_result(3).facts["logits"] == [0.25] * 14
    store.close()


@pytest.mark.parametrize(("now", "to"), [(1, 2), (2, 1)])
def test_a_power_cut_leaves_the_old_schema_or_the_new(state, now, to):
    if now == 2:
        Store(state).close()
    before, rows = schema_of(state), dump(state)
    cut = f"""
import os, signal, sqlite3, sys
from pathlib import Path
from cxrbox.store import migrate
from cxrbox.store.database import change_schema, connect
old = migrate._execute
def execute(db, name):
    old(db, name)
    os.kill(os.getpid(), signal.SIGKILL)
migrate._execute = execute
change_schema(Path({str(state)!r}), {to})
"""
    assert subprocess.run([sys.executable, "-c", cut], check=False).returncode == -signal.SIGKILL
    assert schema_of(state) == before and dump(state) == rows
    store = Store(state)
    assert schema_of(state)[0] == SCHEMA_VERSION and store.find_fault() is None
    store.close()


def test_two_parts_that_start_at_once_migrate_once(state):
    code = f"from pathlib import Path; from cxrbox.store import Store; Store(Path({str(state)!r})).close()"
    parts = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(4)]
    assert [part.wait(60) for part in parts] == [0] * 4
    store = Store(state)
    assert len(list(store.ledger())) == 2 and store.find_fault() is None
    store.close()


def test_a_newer_folder_is_refused_with_the_way_back(state, cxrbox):
    db = open_raw(state)
    db.execute("PRAGMA user_version = 3")
    db.close()
    for command in (["verify-log"], ["run", "--port", 1]):
        done = cxrbox(*command, "--state", state)
        assert done.returncode == 2 and len(done.stderr.splitlines()) == 1
        assert "schema 3" in done.stderr and "`cxrbox migrate --to 2` of the newer release" in done.stderr


@pytest.mark.parametrize("to", [0, 3])
def test_a_schema_that_this_release_does_not_know_is_refused(state, cxrbox, to):
    done = cxrbox("migrate", "--to", to, "--state", state)
    assert done.returncode == 2 and f"knows the schemas 1 to 2, not {to}" in done.stderr
    assert schema_of(state)[0] == 1


@pytest.mark.parametrize("part", ["reader", "intake", "web"])
def test_a_folder_that_a_box_works_with_is_left_alone(state, cxrbox, part):
    with state_locks(Settings(state=state), [part]):
        done = cxrbox("migrate", "--to", 1, "--state", state)
    assert done.returncode == 2 and "another box works with the state folder" in done.stderr


def test_a_folder_that_is_no_state_folder_is_not_made_one(tmp_path, cxrbox):
    for command in (["migrate", "--to", 2], ["verify-log"], ["export", "--csv"]):
        done = cxrbox(*command, "--state", tmp_path / "typo")
        assert done.returncode == 2 and "is no state folder" in done.stderr
    assert not (tmp_path / "typo").exists()


def test_a_database_that_a_power_cut_left_empty_is_not_called_sound(tmp_path, cxrbox):
    (tmp_path / "box.sqlite").touch()
    for command in (["verify-log"], ["export", "--csv"], ["retain"], ["migrate", "--to", 1]):
        done = cxrbox(*command, "--state", tmp_path)
        assert done.returncode == 2 and f"the database of {tmp_path} is empty; put a backup in its place" in done.stderr
    assert (tmp_path / "box.sqlite").stat().st_size == 0


@pytest.mark.parametrize("part", ["run", "intake", "reader", "web"])
def test_a_file_in_the_place_of_the_state_folder_is_named(tmp_path, cxrbox, part):
    (tmp_path / "state").write_text("in the way")
    done = cxrbox(part, "--state", tmp_path / "state")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"{tmp_path / 'state'} c" in done.stderr and "name another" in done.stderr
