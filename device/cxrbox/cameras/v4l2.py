"""Any camera that Linux drives as /dev/videoN, through OpenCV."""

from pathlib import Path

import cv2
import numpy as np

from cxrbox.cameras.seam import PREVIEW_WIDTH, Exposure
from cxrbox.errors import CameraError

SYSFS = Path("/sys/class/video4linux")
# The driver answers with the largest size it has (VIDIOC_S_FMT takes the nearest).
LARGEST = 10000, 10000
# Pictures thrown away after the size was changed: the stream starts anew, and exposure needs a moment.
WARM_UP = 8
# V4L2_CID_EXPOSURE_AUTO: V4L2_EXPOSURE_MANUAL and V4L2_EXPOSURE_APERTURE_PRIORITY, the two that USB cameras have.
MANUAL, AUTOMATIC = 1, 3
# What is locked: the switch of its automatism, off and on, and its value.
LOCKS = {
    "exposure": (cv2.CAP_PROP_AUTO_EXPOSURE, MANUAL, AUTOMATIC, cv2.CAP_PROP_EXPOSURE),
    "white_balance": (cv2.CAP_PROP_AUTO_WB, 0, 1, cv2.CAP_PROP_WB_TEMPERATURE),
    "focus": (cv2.CAP_PROP_AUTOFOCUS, 0, 1, cv2.CAP_PROP_FOCUS),
}


class V4l2Camera:
    """A V4L2 device; see `cxrbox.cameras.seam.Camera`.

    Parameters
    ----------
    device : Path
        Such as /dev/video0; a link below /dev/v4l/by-id stays the same when it is plugged in elsewhere.
    """

    def __init__(self, device: Path):
        self.name = f"camera at {device}"
        self._device = device
        self._capture: cv2.VideoCapture | None = None
        self._preview_size = LARGEST

    def open(self) -> None:
        """Open the device and start its preview."""
        if not self._device.exists():
            raise CameraError(f"there is no camera at {self._device}; plug it in, or set camera to another device")
        self._capture = cv2.VideoCapture(str(self._device), cv2.CAP_V4L2)
        if not self._capture.isOpened():
            raise CameraError(
                f"{self._device} cannot be opened as a camera; end what else uses it, or set camera to another device"
            )
        self.name = _maker_name(self._device) or self.name
        # A picture that waited in a queue shows what was there before.
        self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        self._capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter_fourcc(*"MJPG"))
        width, height = self._resize(LARGEST)
        # The same proportions, so that preview and still show the same.
        self._preview_size = PREVIEW_WIDTH, round(PREVIEW_WIDTH * height / max(width, 1))
        self._resize(self._preview_size)
        self.unlock()
        self.preview()

    def preview(self) -> np.ndarray:
        """Return the next picture of the stream."""
        if self._capture is not None:
            read, frame = self._capture.read()
            if read and frame is not None and frame.size:
                return frame
        raise CameraError(f"the camera at {self._device} sends no pictures; look at its plug")

    def still(self) -> np.ndarray:
        """Switch to the largest size for one picture."""
        self._resize(LARGEST)
        for _ in range(WARM_UP):
            self.preview()
        still = self.preview()
        self._resize(self._preview_size)
        return still

    def lock(self, exposure: Exposure | None = None) -> Exposure:
        """Switch the automatisms off, each at its value; what the device does not have is left out."""
        exposure = exposure or {name: self._get(value) for name, (_, _, _, value) in LOCKS.items()}
        return {name: level for name, level in exposure.items() if self._hold(name, level)}

    def unlock(self) -> None:
        """Switch the automatisms on."""
        for switch, _, on, _ in LOCKS.values():
            self._set(switch, on)

    def close(self) -> None:
        """Release the device."""
        if self._capture is not None:
            self._capture.release()
        self._capture = None

    def _hold(self, name: str, level: float) -> bool:
        switch, off, _, value = LOCKS[name]
        return level >= 0 and self._set(switch, off) and self._set(value, level)

    def _resize(self, size: tuple[int, int]) -> tuple[int, int]:
        """Ask for a width and height in pixels; return those the driver gave."""
        for side, wanted in zip((cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT), size, strict=True):
            self._set(side, wanted)
        return int(self._get(cv2.CAP_PROP_FRAME_WIDTH)), int(self._get(cv2.CAP_PROP_FRAME_HEIGHT))

    def _set(self, name: int, value: float) -> bool:
        return self._capture is not None and self._capture.set(name, value)

    def _get(self, name: int) -> float:
        """Return a property; -1 where the device does not have it, as OpenCV says it."""
        return -1.0 if self._capture is None else self._capture.get(name)


def _maker_name(device: Path) -> str:
    """Return the name that the driver gives a device, empty where it gives none."""
    try:
        return (SYSFS / device.resolve().name / "name").read_text().strip()
    except OSError:
        return ""
