"""A stand-in for a camera: plays the photographs of a folder.

They are shown in order of name, the next one after each still, or once there is a file `.next` in the folder (it is
removed). Photographs may come and go meanwhile; an empty folder is darkness. A folder that is not there is a camera
that was unplugged, and comes back with it.
"""

from pathlib import Path

import cv2
import numpy as np

from cxrbox.cameras.seam import PREVIEW_WIDTH, Exposure
from cxrbox.errors import CameraError

NEXT = ".next"
KINDS = {".png", ".jpg", ".jpeg"}
# Height and width of the darkness that an empty folder shows, in pixels.
DARK = 960, 1280


class FolderCamera:
    """Plays photographs; see `cxrbox.cameras.seam.Camera`.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path):
        self.name = "stand-in camera"
        self._folder = folder
        self._place = 0
        # The file that was decoded last, as it was then, with its still and its preview.
        self._decoded: tuple[object, np.ndarray, np.ndarray] | None = None

    def open(self) -> None:
        """Look whether the folder is there."""
        self._photographs()

    def preview(self) -> np.ndarray:
        """Return the photograph in its turn, smaller."""
        if (self._folder / NEXT).exists():
            (self._folder / NEXT).unlink(missing_ok=True)
            self._place += 1
        return self._see()[1].copy()

    def still(self) -> np.ndarray:
        """Return the photograph in its turn; the next one follows."""
        still = self._see()[0]
        self._place += 1
        return still.copy()

    def lock(self, exposure: Exposure | None = None) -> Exposure:
        """Return an exposure; a photograph has the one it was taken with."""
        return exposure or {"exposure": 1.0, "white_balance": 1.0}

    def unlock(self) -> None:
        """Change nothing."""

    def close(self) -> None:
        """Forget the photograph that was decoded."""
        self._decoded = None

    def _photographs(self) -> list[Path]:
        try:
            return sorted(path for path in self._folder.iterdir() if _is_photograph(path))
        except OSError as err:
            raise CameraError(
                f"the stand-in camera has no folder to play ({err.strerror}); put back {self._folder}"
            ) from err

    def _see(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the photograph in its turn and its preview, decoded once."""
        photographs = self._photographs()
        if not photographs:
            dark = np.zeros((*DARK, 3), np.uint8)
            return dark, _shrink(dark)
        path = photographs[self._place % len(photographs)]
        key = path, _signature(path)
        if self._decoded is None or self._decoded[0] != key:
            still = cv2.imread(str(path), cv2.IMREAD_COLOR)
            if still is None:
                raise CameraError("the stand-in camera cannot decode the photograph in its turn; take it out")
            self._decoded = key, still, _shrink(still)
        return self._decoded[1:]


def _is_photograph(path: Path) -> bool:
    return path.suffix.lower() in KINDS and not path.name.startswith(".")


def _signature(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError as err:
        raise CameraError(f"the stand-in camera lost a photograph ({err.strerror}); put it back") from err
    return found.st_mtime_ns, found.st_size


def _shrink(still: np.ndarray) -> np.ndarray:
    share = min(1.0, PREVIEW_WIDTH / still.shape[1])
    return cv2.resize(still, None, fx=share, fy=share, interpolation=cv2.INTER_AREA) if share < 1 else still
