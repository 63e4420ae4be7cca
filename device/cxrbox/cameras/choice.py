"""Which camera the setting `camera` names; its library is imported only then."""

from pathlib import Path

from cxrbox.cameras.seam import Camera
from cxrbox.errors import ConfigError

NONE, PI, FOLDER = "none", "picamera2", "folder:"


def choose_camera(setting: str) -> Camera | None:
    """Return the camera that a setting names, not open yet; None where there is to be none.

    Parameters
    ----------
    setting : str
        "none", "picamera2", the path of a V4L2 device ("/dev/video0", "/dev/v4l/by-id/..."), or "folder:PATH" for
        the stand-in.

    Raises
    ------
    ConfigError
        If it is none of these.
    """
    if setting == NONE:
        return None
    if setting == PI:
        from cxrbox.cameras.pi import PiCamera

        return PiCamera()
    if setting.startswith("/dev/"):
        from cxrbox.cameras.v4l2 import V4l2Camera

        return V4l2Camera(Path(setting))
    if setting.startswith(FOLDER) and setting != FOLDER:
        from cxrbox.cameras.folder import FolderCamera

        return FolderCamera(Path(setting.removeprefix(FOLDER)))
    raise ConfigError(f"camera is {setting!r}; it must be none, picamera2, a device (/dev/video0) or folder:PATH")
