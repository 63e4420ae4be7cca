"""The Pi's own camera, through picamera2 of Raspberry Pi OS (`apt install python3-picamera2`)."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np

from cxrbox.cameras.seam import PREVIEW_WIDTH, Exposure
from cxrbox.errors import CameraError

# Seconds. A camera whose cable is loose never answers.
FRAME_SECONDS, STILL_SECONDS = 5.0, 15.0
# picamera2's name for 8-bit blue, green, red in memory.
BGR = "RGB888"
AF_MANUAL, AF_CONTINUOUS = 0, 2
# Controls of one value: microseconds, a factor, and dioptres where the lens moves.
SINGLE = "ExposureTime", "AnalogueGain", "LensPosition"


class PiCamera:
    """The Pi's camera; see `cxrbox.cameras.seam.Camera`.

    Preview and still are configured with the sensor's full size, so that both show the same.
    """

    def __init__(self):
        self.name = "Pi camera"
        self._camera: Any = None
        self._still: dict[str, Any] = {}

    def open(self) -> None:
        """Import picamera2, find the camera and start its preview."""
        try:
            from picamera2 import Picamera2
        except ImportError as err:
            raise CameraError(
                "picamera2 is not installed for this Python; install python3-picamera2 and let the environment see it"
                " (--system-site-packages), or set camera to another"
            ) from err
        try:
            self._camera = Picamera2()
        except (RuntimeError, IndexError) as err:
            raise CameraError(
                "the Pi finds no free camera; end what else uses it, or switch off and seat both ends of its cable"
            ) from err
        self.name = f"Pi camera {self._camera.camera_properties.get('Model', '')}".strip()
        self.unlock()

    def preview(self) -> np.ndarray:
        """Return the next picture of the stream."""
        with self._answering() as camera:
            return np.ascontiguousarray(camera.capture_array("main", wait=FRAME_SECONDS))

    def still(self) -> np.ndarray:
        """Switch to the still configuration for one picture."""
        with self._answering() as camera:
            still = camera.switch_mode_and_capture_array(self._still, "main", wait=STILL_SECONDS)
            return np.ascontiguousarray(still)

    def lock(self, exposure: Exposure | None = None) -> Exposure:
        """Start the stream anew with fixed values, by default those of the latest picture."""
        with self._answering() as camera:
            exposure = exposure or _exposure_of(camera.capture_metadata(wait=FRAME_SECONDS))
            self._start(_controls_for(exposure))
        return exposure

    def unlock(self) -> None:
        """Start the stream anew with everything automatic."""
        with self._answering() as camera:
            self._start({"AfMode": AF_CONTINUOUS} if "AfMode" in camera.camera_controls else {})

    def close(self) -> None:
        """Release the camera, also one that does not answer."""
        if self._camera is not None:
            with suppress(RuntimeError, OSError):
                # A request that is never answered would keep the camera from being closed.
                self._camera.cancel_all_and_flush()
                self._camera.close()
        self._camera = None

    def _start(self, controls: dict[str, Any]) -> None:
        """Configure preview and still with the same controls, which a change of mode would forget."""
        camera = self._camera
        width, height = camera.sensor_resolution
        size = PREVIEW_WIDTH, round(PREVIEW_WIDTH * height / width / 2) * 2
        preview = camera.create_preview_configuration(
            main={"format": BGR, "size": size}, raw={"size": camera.sensor_resolution}, controls=controls
        )
        self._still = camera.create_still_configuration(main={"format": BGR}, controls=controls)
        camera.stop()
        camera.configure(preview)
        camera.start()

    @contextmanager
    def _answering(self) -> Iterator[Any]:
        """Give the camera; whatever goes wrong with it is one error."""
        if self._camera is None:
            raise CameraError("the Pi camera is not open; open it first")
        try:
            yield self._camera
        except (RuntimeError, OSError) as err:
            raise CameraError(
                f"the {self.name} does not answer; switch the box off and seat both ends of the camera's cable"
            ) from err


def _exposure_of(metadata: dict[str, Any]) -> Exposure:
    """Return the exposure of a picture from what libcamera says of it."""
    red, blue = metadata["ColourGains"]
    exposure = {name: float(metadata[name]) for name in SINGLE if name in metadata}
    return exposure | {"RedGain": float(red), "BlueGain": float(blue)}


def _controls_for(exposure: Exposure) -> dict[str, Any]:
    """Return the controls of libcamera that hold an exposure."""
    controls = {
        "AeEnable": False,
        "AwbEnable": False,
        "ExposureTime": int(exposure["ExposureTime"]),
        "AnalogueGain": exposure["AnalogueGain"],
        "ColourGains": (exposure["RedGain"], exposure["BlueGain"]),
    }
    if "LensPosition" in exposure:
        controls |= {"AfMode": AF_MANUAL, "LensPosition": exposure["LensPosition"]}
    return controls
