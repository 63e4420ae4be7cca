"""What the tests of all rooms share: real films where they are, drawn ones everywhere, and a real box."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import cv2
import pytest
from cxrbundle.phantom import draw_phantom
from cxrbundle.shipped import shipped_bundle

REPOSITORY = Path(__file__).resolve().parents[1]
SHARED_FILMS = REPOSITORY.parent / "shared" / "cxr"


@pytest.fixture(scope="session")
def repository() -> Path:
    """Return the root of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_films() -> Path:
    """Return the folder of real films that is never part of the repository."""
    if not SHARED_FILMS.is_dir():
        pytest.skip("the real films of ../shared/cxr are not on this machine")
    return SHARED_FILMS


@pytest.fixture(scope="session")
def bundle_folder() -> Path:
    """Return the shipped bundle."""
    return shipped_bundle()


@pytest.fixture
def phantom_png(tmp_path):
    """Return a function that writes a drawn film as PNG and returns its path."""

    def write(seed: int, folder: Path = tmp_path, name: str | None = None) -> Path:
        path = folder / (name or f"phantom-{seed}.png")
        assert cv2.imwrite(str(path), draw_phantom(seed))
        return path

    return write


@dataclass
class RunningBox:
    """A real `cxrbox run` on a folder of its own.

    Attributes
    ----------
    folder : Path
        Holds films/ (watched) and state/.
    """

    folder: Path
    port: int
    process: subprocess.Popen | None = None

    @property
    def films(self) -> Path:
        return self.folder / "films"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self, *options: str) -> None:
        """Start the process; its log goes to a file beside the films."""
        command = [sys.executable, "-m", "cxrbox", "run", "--films", str(self.films), "--state", str(self.state)]
        with (self.folder / "box.log").open("a") as log:
            self.process = subprocess.Popen([*command, "--port", str(self.port), *options], stderr=log, stdout=log)

    @property
    def state(self) -> Path:
        return self.folder / "state"

    @property
    def log(self) -> str:
        return (self.folder / "box.log").read_text()

    def kill(self) -> None:
        """Kill the supervising process as a power cut would: without a word."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> int:
        """Stop the box as systemd would and return its exit status."""
        self.process.terminate()
        return self.process.wait(20)

    def get(self, path: str) -> bytes:
        with urllib.request.urlopen(self.url + path, timeout=10) as answer:
            return answer.read()

    def json(self, path: str) -> dict:
        return json.loads(self.get(path))

    def list_films(self) -> list[dict]:
        return self.json("/api/films")["films"]

    def wait_until(self, condition, seconds: float = 60):
        """Return what `condition()` returns once it is true."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                if result := condition():
                    return result
            except (urllib.error.URLError, ConnectionError, TimeoutError):
                pass
            assert self.process.poll() is None, self.log
            time.sleep(0.05)
        raise AssertionError(f"not within {seconds} s; the box's log:\n{self.log}")

    def wait_for(self, *names: str, seconds: float = 60) -> list[dict]:
        """Return the films of these names once all are read or refused."""

        def finished():
            films = {film["name"]: film for film in self.list_films() if film["state"] in ("read", "refused")}
            return [films[name] for name in names] if set(names) <= set(films) else None

        return self.wait_until(finished, seconds)


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def idle_box(tmp_path):
    """Return a box that is not started yet; whatever a test left running is ended."""
    box = RunningBox(tmp_path, free_port())
    box.films.mkdir()
    yield box
    if box.process and box.process.poll() is None:
        box.stop()


@pytest.fixture
def box(idle_box):
    """Return a running box whose page answers."""
    idle_box.start()
    idle_box.wait_until(lambda: idle_box.json("/api/health"))
    return idle_box


@pytest.fixture
def cxrbox():
    """Return a function that runs the command `cxrbox` and returns the finished process."""

    def run(*arguments, **options) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "cxrbox", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, **options)

    return run


def is_root() -> bool:
    """Return whether the tests run as root, who may read everything."""
    return os.geteuid() == 0
