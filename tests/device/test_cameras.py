"""Which camera a setting names, the stand-in, and the errors of cameras that are not there."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from cxrbox.cameras.choice import choose_camera
from cxrbox.cameras.folder import NEXT, FolderCamera
from cxrbox.cameras.seam import PREVIEW_WIDTH
from cxrbox.cameras.v4l2 import V4l2Camera
from cxrbox.errors import BoxError, CameraError, ConfigError


def put(folder: Path, name: str, level: int, size: tuple[int, int] = (60, 80)) -> None:
    folder.mkdir(exist_ok=True)
    assert cv2.imwrite(str(folder / name), np.full((*size, 3), level, np.uint8))


@pytest.fixture
def folder(tmp_path):
    for place, level in enumerate((10, 20, 30)):
        put(tmp_path / "photographs", f"{place}.png", level)
    return tmp_path / "photographs"


def test_the_setting_chooses_the_camera(tmp_path):
    assert choose_camera("none") is None
    assert choose_camera(f"folder:{tmp_path}").name == "stand-in camera"
    assert choose_camera("/dev/video7").name == "camera at /dev/video7"
    assert choose_camera("picamera2").name == "Pi camera"


@pytest.mark.parametrize("setting", ["", "folder:", "webcam", "dev/video0"])
def test_a_setting_that_names_no_camera_is_refused_with_what_it_may_be(setting):
    with pytest.raises(ConfigError, match="must be none, picamera2, a device"):
        choose_camera(setting)


def test_a_camera_error_is_of_the_box_and_of_the_system():
    assert issubclass(CameraError, BoxError) and issubclass(CameraError, OSError)


def test_the_stand_in_plays_photographs_in_order_of_name_one_a_still(folder):
    camera = FolderCamera(folder)
    camera.open()
    assert [camera.preview()[0, 0, 0], camera.preview()[0, 0, 0]] == [10, 10]
    assert [camera.still()[0, 0, 0] for _ in range(4)] == [10, 20, 30, 10]
    assert camera.preview()[0, 0, 0] == 20


def test_the_stand_in_goes_on_at_a_sign(folder):
    camera = FolderCamera(folder)
    (folder / NEXT).touch()
    assert [camera.preview()[0, 0, 0], camera.preview()[0, 0, 0]] == [20, 20]
    assert not (folder / NEXT).exists()


def test_the_stand_in_sees_photographs_that_come_and_change(folder):
    camera = FolderCamera(folder)
    assert camera.preview()[0, 0, 0] == 10
    put(folder, "0.png", 99, (50, 80))
    assert camera.preview()[0, 0, 0] == 99
    (folder / "a note.txt").write_text("no photograph")
    for photograph in folder.glob("*.png"):
        photograph.unlink()
    assert camera.preview().max() == camera.still().max() == 0


def test_a_preview_of_the_stand_in_is_no_wider_than_a_camera_gives(folder):
    put(folder, "0.png", 10, (3000, 4000))
    camera = FolderCamera(folder)
    assert camera.preview().shape == (720, PREVIEW_WIDTH, 3)
    assert camera.still().shape == (3000, 4000, 3)


def test_the_stand_in_is_unplugged_with_its_folder_and_comes_back_with_it(folder, tmp_path):
    camera = FolderCamera(folder)
    camera.open()
    folder.rename(tmp_path / "away")
    for use in (camera.preview, camera.still, camera.open):
        with pytest.raises(CameraError, match="put back"):
            use()
    camera.close()
    (tmp_path / "away").rename(folder)
    camera.open()
    assert camera.preview()[0, 0, 0] == 10


def test_a_photograph_that_cannot_be_decoded_is_an_error_of_the_camera(folder):
    (folder / "0.png").write_bytes(b"no picture")
    with pytest.raises(CameraError, match="cannot decode"):
        FolderCamera(folder).preview()


def test_a_device_that_is_not_plugged_in_is_named():
    camera = V4l2Camera(Path("/dev/video77"))
    with pytest.raises(CameraError, match="no camera at /dev/video77; plug it in"):
        camera.open()
    with pytest.raises(CameraError, match="sends no pictures"):
        camera.preview()
    camera.close()


def test_a_device_that_is_no_camera_is_told_by_opencv():
    camera = V4l2Camera(Path("/dev/null"))
    with pytest.raises(CameraError, match="/dev/null cannot be opened as a camera"):
        camera.open()
    with pytest.raises(CameraError, match="sends no pictures"):
        camera.still()
    assert camera.lock() == {}
    camera.close()
    camera.close()


def test_a_plugged_in_camera_shows_and_takes_the_same_scene():
    devices = sorted(Path("/dev").glob("video*"))
    if not devices:
        pytest.skip("no camera is plugged in: there is no /dev/video*")
    camera = V4l2Camera(devices[0])
    try:
        camera.open()
    except CameraError as err:
        pytest.skip(str(err))
    preview, still = camera.preview(), camera.still()
    assert preview.dtype == still.dtype == np.uint8 and still.size >= preview.size
    assert abs(still.shape[1] / still.shape[0] - preview.shape[1] / preview.shape[0]) < 0.4
    locked = camera.lock()
    assert camera.lock(locked).keys() == locked.keys()
    camera.unlock()
    camera.close()


def run_python(code: str, *paths: Path) -> subprocess.CompletedProcess:
    environment = {"PYTHONPATH": ":".join(map(str, paths)), "PATH": "/usr/bin:/bin"}
    return subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


def test_no_library_of_a_camera_is_imported_before_it_is_chosen():
    done = run_python("import sys, cxrbox.cameras.choice, cxrbox.cameras.board; print('cv2' in sys.modules)")
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_without_picamera2_the_error_says_what_to_install(tmp_path):
    (tmp_path / "picamera2.py").write_text("raise ImportError('no libcamera here')")
    code = "from cxrbox.cameras.pi import PiCamera; PiCamera().open()"
    done = run_python(code, tmp_path)
    assert done.returncode == 1
    assert "CameraError: picamera2 is not installed for this Python; install python3-picamera2" in done.stderr


def test_a_pi_without_a_camera_is_told_which_cable_to_look_at(tmp_path):
    (tmp_path / "picamera2.py").write_text("def Picamera2():\n    raise IndexError('list index out of range')\n")
    done = run_python("from cxrbox.cameras.pi import PiCamera; PiCamera().open()", tmp_path)
    assert "CameraError: the Pi finds no free camera" in done.stderr


# Behaves as picamera2 does where the back end relies on it: a change of mode forgets every control that the
# configuration does not bring, no call works before start(), and a loose cable never answers.
PICAMERA2 = """
import json, os
import numpy as np


class Picamera2:
    sensor_resolution = 1640, 1232
    camera_properties = {"Model": "imx219"}
    camera_controls = {"AeEnable": None, "AfMode": None}

    def __init__(self):
        self._config, self._running, self.calls = None, False, []

    def create_preview_configuration(self, main, raw, controls):
        assert raw["size"] == self.sensor_resolution
        return {"size": main["size"], "format": main["format"], "controls": dict(controls)}

    def create_still_configuration(self, main, controls):
        return {"size": self.sensor_resolution, "format": main["format"], "controls": dict(controls)}

    def configure(self, config):
        assert not self._running
        self._config = config

    def start(self):
        self._running = True

    def stop(self):
        self._running = False

    def _see(self, config):
        assert self._running and config["format"] == "RGB888" and config["size"][1] % 2 == 0
        if "LOOSE" in os.environ:
            raise TimeoutError
        picture = np.zeros((config["size"][1], config["size"][0], 3), np.uint8)
        locked = config["controls"].get("AeEnable") is False
        picture[...] = (1, 2, 200 if locked else 3)
        return picture

    def capture_array(self, name, wait):
        assert name == "main" and wait > 0
        return self._see(self._config)

    def switch_mode_and_capture_array(self, config, name, wait):
        assert name == "main" and wait > 0
        return self._see(config)

    def capture_metadata(self, wait):
        return {"ExposureTime": 9000, "AnalogueGain": 1.5, "ColourGains": (1.2, 2.1), "LensPosition": 3.0, "Lux": 400}

    def cancel_all_and_flush(self):
        print("flushed")

    def close(self):
        print("closed")
"""


def test_the_pi_camera_shows_all_of_the_sensor_and_holds_its_exposure_over_stills(tmp_path):
    (tmp_path / "picamera2.py").write_text(PICAMERA2)
    code = """
from cxrbox.cameras.choice import choose_camera
camera = choose_camera("picamera2")
camera.open()
print(camera.name, camera.preview().shape, camera.still().shape, camera.preview()[0, 0].tolist())
exposure = camera.lock()
print(sorted(exposure.items()))
print(camera.preview()[0, 0].tolist(), camera.still()[0, 0].tolist(), camera.preview()[0, 0].tolist())
camera.unlock()
print(camera.still()[0, 0].tolist())
print(camera.lock(exposure) == exposure, camera.still()[0, 0].tolist())
camera.close()
camera.close()
"""
    done = run_python(code, tmp_path)
    assert done.stdout.splitlines() == [
        "Pi camera imx219 (722, 960, 3) (1232, 1640, 3) [1, 2, 3]",
        "[('AnalogueGain', 1.5), ('BlueGain', 2.1), ('ExposureTime', 9000.0), ('LensPosition', 3.0), ('RedGain', 1.2)]",
        "[1, 2, 200] [1, 2, 200] [1, 2, 200]",
        "[1, 2, 3]",
        "True [1, 2, 200]",
        "flushed",
        "closed",
    ], done.stderr


def test_a_pi_camera_with_a_loose_cable_is_an_error_and_can_be_closed(tmp_path):
    (tmp_path / "picamera2.py").write_text(PICAMERA2)
    code = """
import os
from cxrbox.cameras.pi import PiCamera
from cxrbox.errors import CameraError
camera = PiCamera()
camera.open()
os.environ["LOOSE"] = "1"
for use in camera.preview, camera.still:
    try:
        use()
    except CameraError as err:
        print(err)
camera.close()
try:
    camera.lock()
except CameraError as err:
    print(err)
"""
    loose = "the Pi camera imx219 does not answer; switch the box off and seat both ends of the camera's cable"
    assert run_python(code, tmp_path).stdout.splitlines() == [
        loose,
        loose,
        "flushed",
        "closed",
        "the Pi camera is not open; open it first",
    ]
