"""A film is scanned: the box's own camera, here the stand-in that plays photographs, from the button to the queue."""

import cv2
import numpy as np
import pytest
from cxrbox.cameras.board import PreviewBoard
from cxrbox.store import Store
from cxrbundle.phantom import draw_phantom


@pytest.fixture
def scanning(idle_box):
    """A box with the stand-in camera."""
    photographs = idle_box.folder / "photographs"
    photographs.mkdir()
    for seed in (1, 2):
        photo = np.full((900, 1200, 3), 30, np.uint8)
        photo[150:750, 300:900] = cv2.resize(draw_phantom(seed), (600, 600))[..., np.newaxis]
        assert cv2.imwrite(str(photographs / f"{seed}.png"), photo)
    idle_box.start("--from-camera", "--camera", f"folder:{photographs}")
    idle_box.wait_until(lambda: idle_box.json("/api/health"))
    return idle_box


def ask(box, task: str) -> dict:
    """Ask the station for something and return its answer."""
    store = Store(box.state)
    store.ask("camera", {"do": task, "token": task})
    answer = box.wait_until(lambda: (store.statuses().get("camera") or {}).get("answer"))
    assert answer["token"] == task
    return answer


def test_a_scan_becomes_a_film_of_the_camera(scanning):
    assert ask(scanning, "scan") == {"token": "scan", "done": True, "sentence": "the film was taken"}
    film = scanning.wait_until(lambda: [film for film in scanning.list_films() if film["source"] == "camera"])[0]
    assert film["name"].startswith("scan ")


def test_the_preview_comes_while_somebody_looks(scanning):
    board = PreviewBoard(scanning.state)
    assert not board.picture_path.exists()

    def seen():
        board.look()
        return board.picture_path.exists() and board.coaching()

    coaching = scanning.wait_until(seen)
    assert {"code", "sentence", "corners", "frame"} <= set(coaching)


def test_a_box_without_a_named_camera_says_so(cxrbox, tmp_path):
    folders = ["--films", tmp_path / "f", "--state", tmp_path / "s"]
    done = cxrbox("intake", "--from-camera", "--camera", "none", *folders)
    assert done.returncode == 2
    assert "from_camera is on and camera is none" in done.stderr
