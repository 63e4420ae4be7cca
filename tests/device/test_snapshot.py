"""`cxrbox snapshot`: what it refuses to make, and what the proof of one finds."""

import pytest
from cxrbox import command_snapshot
from cxrbox.settings import Settings
from cxrbox.store import Store
from stored_films import keep_phantoms


@pytest.fixture
def state(tmp_path):
    """Return a state folder with two films."""
    store = Store(tmp_path / "state")
    keep_phantoms(store, 1, 2)
    store.close()
    return tmp_path / "state"


@pytest.fixture
def snapshot(state, cxrbox, tmp_path):
    """Return a snapshot of it."""
    assert cxrbox("snapshot", "--state", state, tmp_path / "snapshot").returncode == 0
    return tmp_path / "snapshot"


def test_a_sound_snapshot_is_proven(snapshot, cxrbox):
    done = cxrbox("snapshot", "--check", snapshot)
    assert done.returncode == 0 and "damaged" not in done.stdout


def test_an_original_that_was_damaged_before_is_named_and_the_rest_stays_of_use(state, cxrbox, tmp_path):
    original = next(path for path in (state / "originals").rglob("*") if path.is_file())
    original.write_bytes(original.read_bytes()[:-1])
    assert cxrbox("snapshot", "--state", state, tmp_path / "snapshot").returncode == 0
    done = cxrbox("snapshot", "--check", tmp_path / "snapshot")
    assert done.returncode == 0
    name = original.relative_to(state)
    assert f"originals that were damaged before the backup was made: 1, the first is {name}\n" in done.stdout


def test_an_original_that_was_missing_before_is_named_and_the_rest_stays_of_use(state, cxrbox, tmp_path):
    next(path for path in (state / "originals").rglob("*") if path.is_file()).unlink()
    assert cxrbox("snapshot", "--state", state, tmp_path / "snapshot").returncode == 0
    done = cxrbox("snapshot", "--check", tmp_path / "snapshot")
    assert done.returncode == 0 and "films whose originals were missing when the backup was made: " in done.stdout


def test_an_original_that_came_while_the_database_was_copied_is_there(state, tmp_path, monkeypatch):
    copy = command_snapshot._copy_database

    def copy_late(*folders) -> None:
        store = Store(state)
        keep_phantoms(store, 3)
        store.close()
        copy(*folders)

    monkeypatch.setattr(command_snapshot, "_copy_database", copy_late)
    command_snapshot.make_snapshot(Settings(state=state), tmp_path / "snapshot")
    store = Store(tmp_path / "snapshot")
    assert [store.original_path(film["sha256"]).is_file() for film in store.all_films()] == [True] * 3
    store.close()


def test_a_snapshot_inside_the_state_folder_is_refused(state, cxrbox):
    done = cxrbox("snapshot", "--state", state, state / "originals" / "copy")
    assert done.returncode == 2 and "lies inside the state folder" in done.stderr
    assert not (state / "originals" / "copy").exists()


def test_a_list_that_is_no_text_is_told(snapshot, cxrbox):
    (snapshot / "SHA256SUMS").write_bytes(b"\xff\xfe\x00")
    done = cxrbox("snapshot", "--check", snapshot)
    assert done.returncode == 2 and "the snapshot's list of its files is damaged" in done.stderr


@pytest.mark.parametrize("command", ["snapshot", "demo"])
def test_a_file_in_the_way_of_a_folder_is_named(state, cxrbox, tmp_path, command):
    (tmp_path / "file").write_text("in the way")
    done = cxrbox(command, tmp_path / "file", *(("--state", state) if command == "snapshot" else ()))
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert f"{tmp_path / 'file'} cannot be made a folder (File exists); name another" in done.stderr
