"""What the tests of all rooms share: real films where they are, drawn ones everywhere, and a real box."""

import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from cxrbox.store import Store
from cxrbundle.phantom import draw_phantom
from cxrbundle.shipped import shipped_bundle
from running_box import RunningBox, free_port

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


@pytest.fixture
def store(tmp_path):
    """Return the store of a state folder that is new."""
    store = Store(tmp_path / "state")
    yield store
    store.close()


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
