"""The supervisor of a whole box hears its parts, and starts again what hangs."""

import os
import random
import signal
import socket
import time
from pathlib import Path

import pytest
from cxrbox.notify import notify, ready
from cxrbox.settings import Settings
from cxrbox.store import Store
from cxrbox.supervise import EXIT_STATE, _account_for_film
from cxrbox.watch import Watch
from stored_films import keep_phantoms


@pytest.fixture
def watch(monkeypatch):
    """Return a watch that this process can tell something."""
    watch = Watch()
    monkeypatch.setenv("NOTIFY_SOCKET", watch.address)
    yield watch
    watch.close()


def looked_at(watch: Watch, seconds: float) -> bool:
    """Return whether it calls its process stuck when it is looked at again and again for a time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if watch.is_stuck():
            return True
        time.sleep(0.02)
    return False


def test_who_is_silent_for_longer_than_it_said_is_stuck(watch):
    assert not watch.is_stuck()
    ready(0.3)
    assert not looked_at(watch, 0.2)
    notify("WATCHDOG=1")
    assert not looked_at(watch, 0.2)
    assert looked_at(watch, 1)


def test_a_process_is_not_blamed_for_a_time_in_which_nobody_looked(watch, monkeypatch):
    monkeypatch.setattr("cxrbox.watch.LONG_LOOK", 0.5)
    ready(0.3)
    assert not watch.is_stuck()
    time.sleep(0.6)
    assert not watch.is_stuck()
    assert looked_at(watch, 1)


def test_what_others_send_ends_nothing(watch):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as other:
        for message in (
            b"WATCHDOG_USEC=" + b"9" * 9000,
            b"WATCHDOG_USEC=soon",
            b"WATCHDOG_USEC=",
            random.Random(0).randbytes(99),
            b"",
        ):
            other.sendto(message, "\0" + watch.address[1:])
    assert not watch.is_stuck()


@pytest.mark.parametrize(("status", "crashes"), [(EXIT_STATE, 0), (-signal.SIGKILL, 1), (-signal.SIGSEGV, 1), (1, 1)])
def test_a_reader_that_could_not_write_blames_no_film(tmp_path, status, crashes):
    store = Store(tmp_path / "state")
    keep_phantoms(store, 1)
    store.claim()
    assert _account_for_film(status, Settings(), store)
    assert store.film(1)["crashes"] == crashes
    store.close()


def pid_of(box, name: str) -> int:
    """Return the process of a part."""
    parent = box.process.pid
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    words = {int(child): Path(f"/proc/{child}/cmdline").read_bytes().split(b"\0") for child in children}
    return next(child for child, line in words.items() if name.encode() in line)


@pytest.mark.parametrize("name", ["intake", "reader", "web"])
def test_a_part_that_hangs_is_started_again(box, phantom_png, name):
    phantom_png(1, box.films)
    box.wait_for("phantom-1.png")
    hung = pid_of(box, name)
    words = Path(f"/proc/{hung}/environ").read_bytes().split(b"\0")
    address = next(word.split(b"=")[1] for word in words if word.startswith(b"NOTIFY_SOCKET="))
    os.kill(hung, signal.SIGSTOP)
    # A test cannot wait for as long as the part said.
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
        unix.sendto(b"WATCHDOG_USEC=1000000", b"\0" + address[1:])
    box.wait_until(lambda: f"the {name} does not get on and is ended" in box.log)
    phantom_png(2, box.films)
    assert box.wait_for("phantom-2.png")[0]["state"] == "read"
    assert pid_of(box, name) != hung
