"""The seam to the camera: a preview to look at, a still to read, and an exposure that can be held."""

from typing import Protocol

import numpy as np

# Width of what is asked of a camera for the preview, in pixels; the coach looks at less.
PREVIEW_WIDTH = 960

# What was locked and at which value, in the camera's own units; a name that is missing cannot be locked.
Exposure = dict[str, float]


class Camera(Protocol):
    """A camera; whatever it cannot do raises CameraError, and then it is to be closed and opened again.

    Attributes
    ----------
    name : str
        Maker's name once it was open; a flat field belongs to it.
    """

    name: str

    def open(self) -> None:
        """Start the camera with automatic exposure and white balance."""

    def preview(self) -> np.ndarray:
        """Return what it sees now: uint8, shape (height, width, 3), blue, green and red."""

    def still(self) -> np.ndarray:
        """Return what it sees now at its largest size: uint8, shape (height, width, 3), blue, green and red."""

    def lock(self, exposure: Exposure | None = None) -> Exposure:
        """Hold exposure and white balance, as they are now or as they were locked before; return the values."""

    def unlock(self) -> None:
        """Let the camera choose exposure and white balance again."""

    def close(self) -> None:
        """Let the camera go; closing one that is lost or was never open does nothing."""
