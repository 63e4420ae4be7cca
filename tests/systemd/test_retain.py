"""What the timer runs removes as the whole box does; a reader that is a service of its own leaves it to the timer."""

import subprocess
import sys
import time

import cv2
import pytest
from cxrbox.store import Store
from cxrbox.taking import take_still
from cxrbundle.phantom import draw_phantom
from running_box import free_port

# More than any disk has, so that every original that may go goes.
NO_ROOM = ("--retention-free-mb", "100000000")


@pytest.fixture
def store(tmp_path):
    """Return a store with a film that was read and one that waits."""
    store = Store(tmp_path / "state")
    for seed in (1, 2):
        assert take_still(store, cv2.imencode(".png", draw_phantom(seed))[1].tobytes())
    store.add_result(store.claim().id, {"findings": {}}, b"", 1.0)
    yield store
    store.close()


def kept(store) -> list[int]:
    return [film["id"] for film in store.all_films() if film["original_at"]]


def test_the_command_removes_originals_once_and_says_how_many(store, cxrbox, tmp_path):
    done = cxrbox("retain", "--state", tmp_path / "state", *NO_ROOM)
    assert done.returncode == 0 and done.stdout.startswith("the originals of 1 films were removed")
    assert kept(store) == [2], "a film that waits is kept"
    assert cxrbox("retain", "--state", tmp_path / "state", *NO_ROOM).stdout == ""


def test_a_folder_that_is_no_state_folder_is_not_made_one(cxrbox, tmp_path):
    assert cxrbox("retain", "--state", tmp_path).returncode == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("command", "left"), [("reader", [1, 2]), ("run", [2])])
def test_only_the_whole_box_removes_originals_itself(store, tmp_path, command, left):
    (tmp_path / "films").mkdir()
    folders = ["--films", tmp_path / "films", "--state", tmp_path / "state", "--port", str(free_port())]
    words = [sys.executable, "-m", "cxrbox", command, "--config", "/dev/null", "--threads", "1", *folders]
    process = subprocess.Popen([*words, *NO_ROOM], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while store.counts()["queued"] + store.counts()["reading"] and time.monotonic() < deadline:
        time.sleep(0.1)
    process.terminate()
    assert process.wait(20) == 0
    assert kept(store) == left
