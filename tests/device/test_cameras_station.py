"""The scan station with the stand-in camera: previews for whoever looks, films on request, and no fault ends it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import photographed
import pytest
from cxrbox.cameras.board import FRESH_SECONDS, PreviewBoard, replace_file
from cxrbox.cameras.flat_field import WHITE, load_flat_field
from cxrbox.cameras.folder import NEXT, FolderCamera
from cxrbox.cameras.station import FLAT_FIELD, PACE_PICTURES, ScanStation
from cxrbox.cameras.status import StationStatus, Timing
from cxrbox.capture.coach import READY
from cxrbox.refusals import CAPTURE_ADVICE as ADVICE
from cxrbundle.phantom import draw_phantom
from tpu_faults import wait_for

AT_ONCE = Timing(picture=0, idle=0, rest=0, first_pause=0, longest_pause=0)
PATIENT = Timing(picture=0, idle=0, rest=3600, first_pause=3600, longest_pause=3600)
# Height and width of the photographs, in pixels.
SIZE = 960, 1280


def take_photograph(path: Path, seed: int = 1) -> None:
    """Photograph a drawn film on a light box into a file."""
    photo = photographed.photograph(draw_phantom(seed), np.random.default_rng(seed), SIZE, "box").photo
    assert cv2.imwrite(str(path), photo)


def put(path: Path, picture: np.ndarray) -> None:
    assert cv2.imwrite(str(path), picture)


class Rig:
    """A station on a real state folder, with a folder of photographs for a camera.

    Attributes
    ----------
    kept : list of ndarray
        The stills it handed on, decoded.
    requests : list of dict
        What it is asked next.
    """

    def __init__(self, folder: Path):
        self.photographs, self.state = folder / "photographs", folder / "state"
        self.photographs.mkdir()
        self.state.mkdir()
        self.kept, self.requests, self.reports, self.disk_full = [], [], [], False
        self.page = PreviewBoard(self.state)

    def start(self, timing: Timing = PATIENT) -> ScanStation:
        self.station = ScanStation(
            FolderCamera(self.photographs),
            self.state,
            self.keep,
            lambda: self.requests.pop(0) if self.requests else None,
            self.reports.append,
            timing,
        )
        return self.station

    def keep(self, content: bytes, source: str) -> bool:
        if self.disk_full:
            raise OSError(28, "No space left on device")
        self.kept.append(cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR))
        assert source == "camera" and content.startswith(b"\xff\xd8")
        return len(self.kept) == 1

    def ask(self, do: str, token: str = "7") -> dict:
        """Ask the station and return its answer."""
        self.requests.append({"do": do, "token": token})
        self.station.tick()
        answer = self.status["answer"]
        assert answer.pop("token") == token
        return answer

    @property
    def status(self) -> dict:
        return json.loads(json.dumps(self.reports[-1]))

    def shown(self) -> np.ndarray | None:
        """Return the preview that the page would show."""
        path = self.page.picture_path
        return cv2.imread(str(path)) if path.exists() else None


@pytest.fixture
def rig(tmp_path):
    return Rig(tmp_path)


def even(level: int) -> np.ndarray:
    return np.full((*SIZE, 3), level, np.uint8)


def test_nothing_is_shown_or_coached_while_nobody_looks(rig):
    take_photograph(rig.photographs / "1.png")
    station = rig.start()
    for _ in range(3):
        station.tick()
    assert rig.shown() is None and rig.page.coaching() is None
    assert rig.status["working"] and not rig.status["resting"] and rig.status["fps"] is None


def test_whoever_looks_sees_the_preview_and_what_the_coach_says(rig):
    take_photograph(rig.photographs / "1.png")
    station = rig.start()
    station.tick()
    rig.page.look()
    station.tick()
    assert rig.shown().shape == (720, 960, 3)
    coaching = rig.page.coaching()
    assert coaching["code"] in {READY, *ADVICE} and coaching["sentence"]
    assert coaching["frame"] == 1 and np.shape(coaching["corners"]) == (4, 2)
    assert -0.1 < np.min(coaching["corners"]) < np.max(coaching["corners"]) < 1.1


def test_a_preview_that_a_hung_station_left_is_not_shown(rig):
    take_photograph(rig.photographs / "1.png")
    station = rig.start()
    station.tick()
    rig.page.look()
    station.tick()
    assert rig.page.fresh() and rig.page.coaching()
    long_ago = time.time() - 2 * FRESH_SECONDS
    os.utime(rig.state / "preview" / "coaching.json", (long_ago, long_ago))
    assert not rig.page.fresh() and rig.page.coaching() is None


def test_the_coach_says_what_to_do_when_there_is_no_film(rig):
    put(rig.photographs / "1.png", even(235))
    station = rig.start()
    station.tick()
    rig.page.look()
    station.tick()
    coaching = rig.page.coaching()
    assert (coaching["code"], coaching["corners"]) == ("no_film", None) and ADVICE["no_film"] in coaching["sentence"]


def test_a_camera_that_nobody_looks_at_is_let_go_and_wakes_at_a_look(rig):
    station = rig.start(AT_ONCE)
    station.tick()
    station.tick()
    assert rig.status["resting"] and rig.status["working"]
    station.tick()
    assert rig.status["resting"]
    rig.page.look()
    station.tick()
    station.tick()
    assert not rig.status["resting"] and rig.shown() is not None


def test_a_look_from_before_the_start_does_not_count(rig):
    rig.page.look()
    station = rig.start()
    station.tick()
    station.tick()
    assert rig.shown() is None


def test_a_look_counts_whatever_the_clock_says(rig):
    station = rig.start()
    station.tick()
    rig.page.look()
    os.utime(rig.state / "preview" / "looked", (0, 0))
    station.tick()
    assert rig.shown() is not None


def test_a_station_that_starts_takes_off_what_a_killed_one_left(rig):
    rig.page.look()
    rig.page.put(b"somebody's film", {"code": READY})
    rig.page.picture_path.with_name(".picture.jpg.new").write_bytes(b"half of somebody's film")
    rig.start()
    assert [path.name for path in (rig.state / "preview").iterdir()] == ["looked"]
    assert rig.page.coaching() is None


def test_the_pace_is_told_once_there_were_enough_previews(rig):
    station = rig.start()
    station.tick()
    for _ in range(PACE_PICTURES + 1):
        rig.page.look()
        station.tick()
    assert rig.status["fps"] >= 1
    assert len({report["fps"] for report in rig.reports}) == 2


def test_a_scan_hands_on_the_still_at_full_size_and_says_so(rig):
    put(rig.photographs / "1.png", even(80))
    put(rig.photographs / "2.png", even(160))
    rig.start().tick()
    assert rig.ask("scan", "a") == {"done": True, "sentence": "the film was taken"}
    assert rig.ask("scan", "b") == {"done": True, "sentence": "this very picture was taken before"}
    assert [still.shape for still in rig.kept] == [(*SIZE, 3)] * 2
    assert [round(still.mean()) for still in rig.kept] == [80, 160]


def test_a_scan_wakes_a_camera_that_rests(rig):
    put(rig.photographs / "1.png", even(80))
    station = rig.start(AT_ONCE)
    station.tick()
    station.tick()
    assert rig.status["resting"]
    assert rig.ask("scan")["done"] and not rig.status["resting"]


def test_a_still_that_cannot_be_kept_is_answered_and_can_be_taken_again(rig):
    put(rig.photographs / "1.png", even(80))
    rig.start().tick()
    rig.disk_full = True
    assert rig.ask("scan") == {
        "done": False,
        "sentence": "it could not be kept (No space left on device); free some space and try again",
    }
    rig.disk_full = False
    assert rig.ask("scan")["done"] and rig.status["working"]


def test_an_unknown_request_is_answered(rig):
    rig.start().tick()
    answer = rig.ask("dance")
    assert answer == {"done": False, "sentence": "the camera can do scan, flat-field, unlock; ask for one of them"}


def test_an_unplugged_camera_is_reported_once_and_comes_back_by_itself(rig, caplog):
    put(rig.photographs / "1.png", even(80))
    station = rig.start(AT_ONCE)
    station.tick()
    rig.page.look()
    station.tick()
    assert rig.shown() is not None
    away = rig.photographs.rename(rig.photographs.with_name("away"))
    for _ in range(3):
        station.tick()
        assert not rig.status["working"] and "put back" in rig.status["reason"]
        assert rig.shown() is None
    assert len(caplog.records) == 1
    away.rename(rig.photographs)
    station.tick()
    station.tick()
    assert rig.status["working"] and rig.status["reason"] == "" and rig.shown() is not None


def test_a_lost_camera_is_not_opened_before_its_pause_is_over_unless_it_is_needed(rig):
    rig.photographs.rmdir()
    station = rig.start(PATIENT)
    station.tick()
    rig.photographs.mkdir()
    rig.page.look()
    station.tick()
    assert not rig.status["working"]
    assert rig.ask("scan")["done"] and rig.status["working"]


def test_a_scan_without_a_camera_is_answered_with_the_reason(rig):
    rig.photographs.rmdir()
    rig.start().tick()
    answer = rig.ask("scan")
    assert not answer["done"] and answer["sentence"] == rig.status["reason"] != ""
    assert rig.kept == []


def test_a_flat_field_evens_out_every_still_from_then_on(rig):
    slope = np.tile(np.linspace(150, 230, SIZE[1]).astype(np.uint8), (SIZE[0], 1))
    put(rig.photographs / "1.png", cv2.merge([slope] * 3))
    rig.start().tick()
    assert rig.status["flat_field"] == "none" and rig.status["locked"] == []
    assert rig.ask("flat-field") == {"done": True, "sentence": "the flat field was taken"}
    assert rig.status["flat_field"] == "in use" and rig.status["locked"] == ["exposure", "white_balance"]
    assert rig.ask("scan")["done"]
    assert np.abs(rig.kept[0].astype(int) - WHITE).max() <= 3
    rig.start().tick()
    assert rig.status["flat_field"] == "in use" and rig.status["locked"]


def test_a_frame_that_shows_a_film_is_refused_and_the_old_flat_field_stays(rig):
    put(rig.photographs / "1.png", even(200))
    rig.start().tick()
    assert rig.ask("flat-field")["done"]
    kept = (rig.state / FLAT_FIELD).read_bytes()
    take_photograph(rig.photographs / "1.png")
    answer = rig.ask("flat-field")
    assert not answer["done"] and "clear the light box" in answer["sentence"]
    assert (rig.state / FLAT_FIELD).read_bytes() == kept
    assert rig.status["flat_field"] == "in use" and rig.status["locked"] and rig.status["working"]


def test_a_frame_that_is_refused_leaves_no_exposure_held(rig):
    rig.start().tick()
    assert not rig.ask("flat-field")["done"]
    assert rig.status["flat_field"] == "none" and rig.status["locked"] == []


def test_a_camera_lost_while_the_flat_field_is_taken_is_answered(rig):
    put(rig.photographs / "1.png", even(200))
    rig.start().tick()
    rig.photographs.rename(rig.photographs.with_name("away"))
    answer = rig.ask("flat-field")
    assert not answer["done"] and "put back" in answer["sentence"]
    assert not rig.status["working"] and load_flat_field(rig.state / FLAT_FIELD, "stand-in camera") is None


def test_a_flat_field_of_another_size_is_told_and_the_film_is_taken_without_it(rig):
    put(rig.photographs / "1.png", even(200))
    rig.start().tick()
    assert rig.ask("flat-field")["done"]
    put(rig.photographs / "1.png", even(100)[:600, :800])
    assert rig.ask("scan")["done"]
    assert round(rig.kept[0].mean()) == 100
    assert "take the flat field again" in rig.status["flat_field"] and rig.status["locked"] == []


def test_a_damaged_flat_field_is_told_and_does_not_keep_the_camera_from_working(rig):
    (rig.state / FLAT_FIELD).write_bytes(b"damaged")
    rig.start().tick()
    assert rig.status["working"] and "cannot be read" in rig.status["flat_field"]


def test_unlock_forgets_the_flat_field(rig):
    put(rig.photographs / "1.png", even(200))
    rig.start().tick()
    rig.ask("flat-field")
    assert rig.ask("unlock")["done"]
    assert rig.status["flat_field"] == "none" and rig.status["locked"] == []
    assert not (rig.state / FLAT_FIELD).exists()


def test_a_preview_that_cannot_be_written_is_told_and_the_next_one_is_tried(rig):
    station = rig.start()
    station.tick()
    rig.page.look()
    rig.page.picture_path.mkdir()
    station.tick()
    assert not rig.status["working"] and rig.status["reason"].startswith("the preview cannot be written")
    rig.page.picture_path.rmdir()
    station.tick()
    assert rig.status["working"] and rig.shown() is not None


def test_every_status_has_all_that_the_page_is_told(rig):
    rig.start().tick()
    assert set(rig.status) == set(StationStatus.__dataclass_fields__)


def test_a_file_that_cannot_be_replaced_stays_and_leaves_nothing_beside_it(tmp_path):
    target = tmp_path / "picture.jpg"
    target.mkdir()
    with pytest.raises(IsADirectoryError):
        replace_file(target, b"new", durable=True)
    assert [path.name for path in tmp_path.iterdir()] == ["picture.jpg"]


STATION = """
import sys, cv2
from pathlib import Path
from cxrbox.cameras.choice import choose_camera
from cxrbox.cameras.station import ScanStation
from cxrbox.cameras.status import Timing
from cxrbox.store import Store

cv2.setNumThreads(1)
state, photographs = map(Path, sys.argv[1:])
store = Store(state)
def keep(content, source):
    (state / f"{source}.jpg").write_bytes(content)
    return True
ScanStation(
    choose_camera(f"folder:{photographs}"), state, keep, lambda: store.take_request("camera"),
    lambda status: store.put_status("camera", status), Timing(picture=0.01, idle=0.01, first_pause=0.05),
).run(lambda: (state / "stop").exists())
"""


def test_the_page_never_reads_half_a_preview_and_is_answered_through_the_database(rig):
    from cxrbox.store import Store

    take_photograph(rig.photographs / "1.jpg")
    store = Store(rig.state)
    station = subprocess.Popen([sys.executable, "-c", STATION, rig.state, rig.photographs], stderr=subprocess.PIPE)
    try:

        def look() -> int:
            rig.page.look()
            coaching = rig.page.coaching()
            return coaching["frame"] if coaching else 0

        def status() -> dict:
            return store.statuses().get("camera", {"working": None, "answer": None})

        wait_for(look)
        frames = set()
        while len(frames) < 12:
            frames.add(look())
            assert cv2.imdecode(np.frombuffer(rig.page.picture_path.read_bytes(), np.uint8), 1).shape == (720, 960, 3)
        (rig.photographs / NEXT).touch()
        wait_for(lambda: look() and not (rig.photographs / NEXT).exists())
        away = rig.photographs.rename(rig.photographs.with_name("away"))
        wait_for(lambda: status()["working"] is False)
        away.rename(rig.photographs)
        wait_for(lambda: look() and status()["working"])
        store.ask("camera", {"do": "scan", "token": "mine"})
        wait_for(lambda: (status()["answer"] or {}).get("token") == "mine")
        assert status()["answer"]["done"]
        assert cv2.imread(str(rig.state / "camera.jpg")).shape == (*SIZE, 3)
        (rig.state / "stop").touch()
        assert station.wait(20) == 0, station.stderr.read()
        assert rig.shown() is None
    finally:
        station.kill()
        station.communicate()
        store.close()
