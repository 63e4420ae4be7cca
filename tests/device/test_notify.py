"""Real parts of the box tell a real socket, like that of systemd, that they are ready and get on; hung ones do not."""

import os
import resource
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest
from cxrbox.notify import Watchdog, notify
from running_box import free_port


class Listener:
    """The end of the socket at which systemd listens."""

    def __init__(self, path: Path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))

    def heard(self, seconds: float) -> str | None:
        """Return the next message, None where there is none within a time."""
        self.socket.settimeout(seconds)
        try:
            return self.socket.recv(4096).decode()
        except TimeoutError:
            return None

    def wait_for(self, line: str, seconds: float = 60) -> str:
        """Return the first message that has a line."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            message = self.heard(1)
            if message and line in message.splitlines():
                return message
        raise TimeoutError(line)

    def is_silent(self, seconds: float) -> bool:
        """Return whether nothing is said any more; what was said before is passed over."""
        while self.heard(0.05):
            pass
        return self.heard(seconds) is None


@pytest.fixture
def listener(tmp_path):
    listener = Listener(tmp_path / "notify")
    yield listener
    listener.socket.close()


@pytest.fixture
def part(tmp_path, listener):
    """Return a function that starts a part of the box as its unit does; all its processes are ended afterwards."""
    started = []

    def start(name: str, *options: str) -> subprocess.Popen:
        words = ["--config", "/dev/null", "--films", str(tmp_path / "films"), "--state", str(tmp_path / "state")]
        environment = os.environ | {"NOTIFY_SOCKET": str(listener.path)}
        command = [sys.executable, "-m", "cxrbox", name, *words, "--threads", "1", *options]
        with (tmp_path / "log").open("a") as log:
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True))
        return started[-1]

    (tmp_path / "films").mkdir()
    yield start
    for process in started:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def child_of(process: subprocess.Popen) -> int:
    return int(Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()[0])


def test_nobody_is_told_where_nobody_listens(monkeypatch, listener):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    assert listener.heard(0.1) is None


def test_a_message_goes_out_as_one_datagram_also_to_an_abstract_address(monkeypatch, listener):
    monkeypatch.setenv("NOTIFY_SOCKET", str(listener.path))
    notify("READY=1", "STATUS=fine")
    assert listener.heard(1) == "READY=1\nSTATUS=fine"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as abstract:
        abstract.bind(f"\0cxrbox-test-{os.getpid()}")
        abstract.settimeout(1)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@cxrbox-test-{os.getpid()}")
        notify("WATCHDOG=1")
        assert abstract.recv(99) == b"WATCHDOG=1"


def test_a_systemd_that_does_not_listen_ends_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    notify("READY=1")


def test_all_that_should_get_on_must_for_a_ping(monkeypatch, listener):
    monkeypatch.setenv("NOTIFY_SOCKET", str(listener.path))
    watchdog = Watchdog("films", "camera")
    watchdog.saw("films")
    watchdog.saw("films")
    assert listener.heard(0.1) is None
    watchdog.saw("camera")
    assert listener.heard(0.1) == "WATCHDOG=1"
    watchdog.saw("camera")
    watchdog.saw("films")
    assert listener.heard(0.1) is None, "systemd is not woken more than once a second"


def test_the_intake_pings_while_it_looks(part, listener):
    process = part("intake")
    assert listener.wait_for("READY=1").splitlines() == ["READY=1", "WATCHDOG_USEC=180000000"]
    listener.wait_for("WATCHDOG=1")
    process.send_signal(signal.SIGSTOP)
    assert listener.is_silent(2)
    process.send_signal(signal.SIGCONT)
    listener.wait_for("WATCHDOG=1")


def test_an_intake_that_hangs_in_a_look_does_not_ping(part, listener, tmp_path):
    part("intake", "--settle-seconds", "0")
    listener.wait_for("WATCHDOG=1")
    # Somebody else has the database, so what it found cannot be entered.
    with closing(sqlite3.connect(tmp_path / "state" / "box.sqlite", isolation_level=None)) as db:
        db.execute("BEGIN EXCLUSIVE")
        (tmp_path / "films" / "letter.txt").write_text("no film")
        time.sleep(1)
        assert listener.is_silent(2)
        db.execute("ROLLBACK")
    listener.wait_for("WATCHDOG=1")


def test_the_reader_is_ready_once_it_read_the_golden_films_and_its_child_pings(part, listener, tmp_path):
    process = part("reader", "--film-seconds", "30")
    told = listener.wait_for("READY=1").splitlines()
    assert "golden films on cpu" in (tmp_path / "log").read_text()
    assert told == ["READY=1", "WATCHDOG_USEC=150000000"], "a longer film gets a longer watchdog"
    listener.wait_for("WATCHDOG=1")
    child = child_of(process)
    os.kill(child, signal.SIGSTOP)
    assert listener.is_silent(2), "the process above it must not ping for it"
    os.kill(child, signal.SIGKILL)
    listener.wait_for("READY=1")
    listener.wait_for("WATCHDOG=1")
    assert child_of(process) != child


def test_a_reader_that_cannot_read_is_never_ready(part, listener, tmp_path):
    process = part("reader", "--bundle", str(tmp_path / "none.cxrbundle"))
    assert process.wait(60) == 2
    assert listener.heard(0.1) is None


def test_the_page_pings_only_while_it_answers(part, listener, tmp_path):
    process = part("web", "--port", str(free_port()))
    assert listener.wait_for("READY=1").splitlines() == ["READY=1", "WATCHDOG_USEC=90000000"]
    listener.wait_for("WATCHDOG=1")
    _, most = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    # It can accept nobody any more.
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (3, most))
    assert listener.is_silent(5)
    assert "does not answer itself" in (tmp_path / "log").read_text()
    resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (most, most))
    listener.wait_for("WATCHDOG=1")
    process.send_signal(signal.SIGTERM)
    assert process.wait(20) == 0
