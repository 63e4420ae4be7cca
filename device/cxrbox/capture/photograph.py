"""From a photograph to the film in it: the one entry for what a camera or a phone took."""

from dataclasses import dataclass

import numpy as np

from cxrbox.capture.corners import find_film, find_roughly
from cxrbox.capture.gate import Fault, check_capture, check_lungs
from cxrbox.capture.networks import see_frame
from cxrbox.capture.rectify import crop_margins, longest_side, rectify
from cxrbox.capture.upright import Hanging, hang_upright, tell_hanging

# Odds, as a logit, above which a grey picture is taken for a photograph of a film, where a film is then found in it.
PHOTOGRAPH = 5.0
# Longer side of the film that is kept, in pixels, at most; no more than the photograph shows.
FILM_SIDE = 1024


@dataclass(frozen=True)
class Captured:
    """A film taken out of a photograph, and what was done to it.

    Attributes
    ----------
    film : ndarray of uint8, shape (height, width)
        Upright, bone bright, without margins.
    size : tuple of int
        Width and height of the photograph, in pixels.
    corners : ndarray of float64, shape (4, 2)
        Of the film as the photograph shows it: top left, top right, bottom right, bottom left; x, y in pixels.
    rotation : int
        Degrees anticlockwise that the film hung turned by: 0, 90, 180 or 270. It was turned back.
    mirrored : str
        "yes" (it was mirrored back), "no", or "ask" (it was left as it hung).
    negative : bool
        Bone was dark; it was inverted.
    margins : tuple of 4 int
        Pixels cropped from the film: top, right, bottom, left.
    steps : tuple of str
        What was done, in order, for the film's page.
    overridden : Fault or None
        What the gate would have refused.
    """

    film: np.ndarray
    size: tuple[int, int]
    corners: np.ndarray
    rotation: int
    mirrored: str
    negative: bool
    margins: tuple[int, int, int, int]
    steps: tuple[str, ...]
    overridden: Fault | None = None


def is_photograph(grey: np.ndarray) -> bool:
    """Tell whether a grey picture, uint8 (height, width), shows a film and what is around it, rather than being one.

    A phone in black and white, a copier or a program for documents leaves no colours to tell a photograph by. Read as
    the film itself it would be too small, askew, and mirrored or turned as it was taken.
    """
    return see_frame(grey) > PHOTOGRAPH and find_roughly(grey) is not None


def read_photograph(photo: np.ndarray, override: bool = False) -> Captured:
    """Return the film that a photograph shows.

    Parameters
    ----------
    photo : ndarray of uint8, shape (height, width, 3) or (height, width)
        Blue, green and red, or grey.
    override : bool
        Go on where the gate would refuse; the fault is kept in the answer. Without a film nothing can go on.

    Raises
    ------
    RefusedError
        With a code of `cxrbox.refusals.CAPTURE_ADVICE`.
    """
    found = find_film(photo)
    fault = check_capture(photo, found)
    if found is None or (fault and not override):
        raise fault.refusal()
    straight = rectify(photo, found.points, min(FILM_SIDE, round(longest_side(found.points))))
    hanging = tell_hanging(straight)
    fault = fault or check_lungs(found, hanging)
    if fault and not override:
        raise fault.refusal()
    film, margins = crop_margins(hang_upright(straight, hanging))
    steps = _tell_steps(hanging, margins)
    return Captured(
        np.ascontiguousarray(film),
        photo.shape[1::-1],
        found.points,
        90 * hanging.turns,
        hanging.mirrored,
        hanging.negative,
        margins,
        steps,
        fault,
    )


def _tell_steps(hanging: Hanging, margins: tuple[int, int, int, int]) -> tuple[str, ...]:
    """Return what was done, as the film's page tells it."""
    done = {
        "cut the film out of the photograph and straightened it": True,
        f"turned it by {90 * hanging.turns} degrees clockwise": hanging.turns != 0,
        "mirrored it, because the heart stood on the wrong side": hanging.mirrored == "yes",
        "left its sides as they were: check left and right by the marker": hanging.mirrored == "ask",
        "inverted it, because bone was dark": hanging.negative,
        "cropped its empty margins": any(margins),
    }
    return tuple(step for step, was_done in done.items() if was_done)
