"""A box that may not use something says what, and goes on where it can. Root may use all, so it gives that right up."""

import shutil
import subprocess
import sys
import time

import pytest
from cxrbox.store import Store
from running_box import is_root
from stored_films import keep_phantoms

# Without these even root has to keep to the rights of files and folders.
PLAIN = ["setpriv", "--bounding-set=-dac_override,-dac_read_search,-fowner"] if is_root() else []


@pytest.fixture
def locked(tmp_path):
    """Return a folder that may not be entered."""
    folder = tmp_path / "locked"
    folder.mkdir(mode=0o000)
    yield folder
    folder.chmod(0o700)


@pytest.fixture
def start(tmp_path):
    """Return a function that starts a command of the box without root's rights; all of them are ended afterwards."""
    if PLAIN and not shutil.which("setpriv"):
        pytest.skip("root cannot give its rights up here, setpriv is not installed")
    started = []

    def start(*words) -> subprocess.Popen:
        command = [*PLAIN, sys.executable, "-m", "cxrbox", *map(str, words), "--config", "/dev/null"]
        started.append(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def said(process: subprocess.Popen) -> str:
    """Return the one sentence with which a command ended, status 2."""
    text, _ = process.communicate(timeout=60)
    assert process.returncode == 2 and text.startswith("cxrbox: ") and text.count("\n") == 1, text
    return text


def test_a_bundle_that_may_not_be_looked_at_is_named(start, locked):
    assert f"{locked / 'bundle'} cannot be read (Permission denied)" in said(
        start("selftest", "--bundle", locked / "bundle")
    )


def test_a_state_folder_that_may_not_be_looked_at_is_named(start, locked):
    assert f"{locked / 'state'} may not be looked at" in said(start("verify-log", "--state", locked / "state"))


def test_a_lock_that_may_not_be_used_is_named(start, tmp_path):
    Store(tmp_path / "state").close()
    (tmp_path / "state" / "intake.lock").touch(mode=0o000)
    assert "intake.lock may not be used (Permission denied)" in said(
        start("migrate", "--to", 2, "--state", tmp_path / "state")
    )


def test_a_database_that_may_not_be_written_is_called_so(start, tmp_path):
    Store(tmp_path / "state").close()
    (tmp_path / "state" / "box.sqlite").chmod(0o444)
    text, _ = start("retain", "--state", tmp_path / "state").communicate(timeout=60)
    assert "run it as the user of the box" in text and "free some space" not in text


def test_intake_goes_on_where_the_folder_of_films_may_not_be_entered(start, locked, tmp_path):
    stick = tmp_path / "media" / "ward-a"
    stick.mkdir(parents=True)
    (stick / "letter.txt").write_text("no film")
    state, places = ("--state", tmp_path / "state"), ("--films", locked / "films", "--sticks", tmp_path / "media")
    process = start("intake", *state, *places, "--from-stick", "--settle-seconds", 0)
    deadline = time.monotonic() + 60
    store = Store(tmp_path / "state")
    while not store.list_films(1) or not store.statuses().get("intake", {}).get("troubles"):
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    assert store.list_films(1)[0]["name"] == "ward-a/letter.txt"
    assert store.statuses()["intake"]["troubles"] == ["a folder cannot be listed (Permission denied)"]
    store.close()


def test_one_original_that_may_not_be_removed_keeps_no_other(start, tmp_path):
    store = Store(tmp_path / "state")
    keep_phantoms(store, 1, 4, 5, 6)
    for film in range(1, 5):
        store._db.execute("UPDATE films SET state = 'refused', refusal_code = 'blank' WHERE id = ?", (film,))
        store._db.execute("UPDATE films SET original_at = '2025-06-01' WHERE id = ?", (film,))
    mine, *others = [store.original_path(store.film(film)["sha256"]) for film in (2, 1, 3, 4)]
    mine.parent.chmod(0o500)
    process = start("retain", "--state", tmp_path / "state", "--retention-free-mb", 10**8)
    text, _ = process.communicate(timeout=60)
    mine.parent.chmod(0o700)
    assert process.returncode == 2 and "the originals of 3 films were removed" in text
    assert "1 originals of" in text and "are another user's and cannot be removed" in text
    assert mine.exists() and not any(path.exists() for path in others)
    assert [film["original_at"] is None for film in store.all_films()] == [True, False, True, True]
    store.close()
