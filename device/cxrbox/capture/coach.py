"""Live coaching: what to do next, told from a downscaled frame of the preview."""

from dataclasses import dataclass

import cv2
import numpy as np

from cxrbox.capture.corners import find_film
from cxrbox.capture.gate import LEAST_SIDE, check_capture, check_lungs
from cxrbox.capture.rectify import rectify
from cxrbox.capture.upright import tell_hanging

# Longer side of the frame that is looked at, and of the film in it, in pixels.
FRAME_SIDE = 640
FILM_SIDE = 128
READY = "ready"


@dataclass(frozen=True)
class Coaching:
    """What to do next.

    Attributes
    ----------
    code : str
        "ready" or a key of `cxrbox.refusals.CAPTURE_ADVICE`.
    sentence : str
        What is wrong and what to do about it.
    corners : ndarray of float64, shape (4, 2), or None
        Of the film, in pixels of the frame, to be drawn over the preview.
    """

    code: str
    sentence: str
    corners: np.ndarray | None


def coach(frame: np.ndarray) -> Coaching:
    """Tell what to do before a frame of the preview is worth a scan.

    Parameters
    ----------
    frame : ndarray of uint8, shape (height, width, 3) or (height, width)
    """
    share = min(1.0, FRAME_SIDE / max(frame.shape[:2]))
    small = cv2.resize(frame, None, fx=share, fy=share, interpolation=cv2.INTER_AREA) if share < 1 else frame
    found = find_film(small)
    fault = check_capture(small, found, LEAST_SIDE * share)
    if fault is None:
        fault = check_lungs(found, tell_hanging(rectify(small, found.points, FILM_SIDE)))
    corners = (
        None if found is None else (found.points + 0.5) * (np.array(frame.shape[1::-1]) / small.shape[1::-1]) - 0.5
    )
    if fault is None:
        return Coaching(READY, "hold still and scan", corners)
    return Coaching(fault.code, fault.sentence, corners)
