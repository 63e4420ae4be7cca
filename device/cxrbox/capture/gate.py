"""The capture gate: what is wrong with a photograph of a film, where, and what to do about it."""

from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from cxrbox.capture.corners import MAP_SIDE, FilmCorners
from cxrbox.capture.rectify import longest_side, rectify
from cxrbox.capture.upright import Hanging
from cxrbox.errors import RefusedError
from cxrbox.refusals import CAPTURE_ADVICE, refuse

# Shortest long side of the film in the photograph, in pixels: the readers see at least 224.
LEAST_SIDE = 320
# Opposite sides that differ by more than this are seen from too far aside: at 25 degrees they differ by 1.6.
MOST_TAPER = 2.2
# The brightest hundredth of the film is darker than this, of 255: underexposed.
LEAST_WHITE = 60
# Burnt out is a pixel brighter than this; overexposed a film with more than this share of it.
BURNT = 250
MOST_BURNT = 0.35
# Share of the film that glare may hide.
MOST_GLARE = 0.006
# Fine by coarse detail of a film of `SMALL` pixels: .49 and more on sharp photographs, .42 and less on blurred ones.
LEAST_DETAIL = 0.45
SMALL = 256
SIDES = "top", "right", "bottom", "left"


@dataclass(frozen=True)
class Fault:
    """What is wrong with a photograph.

    Attributes
    ----------
    code : str
        A key of `CAPTURE_ADVICE`.
    reason : str
        Half a sentence.
    """

    code: str
    reason: str

    @property
    def sentence(self) -> str:
        """What is wrong and what to do about it."""
        return f"{self.reason}; {CAPTURE_ADVICE[self.code]}"

    def refusal(self) -> RefusedError:
        """Return the refusal of the photograph, to be raised."""
        return refuse(self.code, self.reason)


def check_capture(photo: np.ndarray, found: FilmCorners | None, least_side: float = LEAST_SIDE) -> Fault | None:
    """Return the first thing that is wrong with a photograph of a film, or None.

    Parameters
    ----------
    photo : ndarray of uint8, shape (height, width, 3) or (height, width)
    found : FilmCorners or None
        As `find_film` found it.
    least_side : float
        Least length of the film's longer side, in pixels of this photograph.
    """
    if found is None:
        return Fault("no_film", "no film is seen")
    if fault := _check_place(found, least_side):
        return fault
    film = rectify(photo, found.points, SMALL)
    return _check_light(film) or _check_glare(photo, found) or _check_sharpness(film)


def check_lungs(found: FilmCorners, hanging: Hanging) -> Fault | None:
    """Return what is wrong if a lung is not all there: the photograph cut it, or the film never had it."""
    if not hanging.lungs_cut:
        return None
    sides = [side for side, at_frame in zip(SIDES, found.at_frame, strict=True) if at_frame]
    if sides:
        return Fault("film_cut", f"the film runs out of the picture ({' and '.join(sides)})")
    return Fault("lungs_cut", "the lungs are not seen whole")


def _check_place(found: FilmCorners, least_side: float) -> Fault | None:
    if found.films > 1:
        return Fault("several_films", f"{found.films} films are seen")
    if longest_side(found.points) < least_side:
        return Fault("film_far", "the film is too small in the picture")
    sides = np.linalg.norm(np.roll(found.points, -1, axis=0) - found.points, axis=1)
    if max(max(pair) / min(pair) for pair in (sides[::2], sides[1::2])) > MOST_TAPER:
        return Fault("film_tilted", "the film is seen from too far aside")
    return None


def _check_light(film: np.ndarray) -> Fault | None:
    if np.percentile(film, 99) < LEAST_WHITE:
        return Fault("underexposed", "the film is too dark")
    if (film > BURNT).mean() > MOST_BURNT:
        return Fault("overexposed", "large parts of the film are burnt out")
    return None


def _check_glare(photo: np.ndarray, found: FilmCorners) -> Fault | None:
    covered = cv2.fillConvexPoly(np.zeros((MAP_SIDE, MAP_SIDE), np.uint8), _on_map(photo, found).astype(np.int32), 1)
    if found.glare.sum() > MOST_GLARE * covered.sum():
        return Fault("glare", f"glare hides the film ({_where(photo, found)})")
    return None


def _on_map(photo: np.ndarray, found: FilmCorners) -> np.ndarray:
    return ((found.points + 0.5) * MAP_SIDE / np.array(photo.shape[1::-1]) - 0.5).round()


def _where(photo: np.ndarray, found: FilmCorners) -> str:
    """Return where on the film the glare is, as people say it: "top left", "middle"."""
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], np.float32)
    to_film = cv2.getPerspectiveTransform(_on_map(photo, found).astype(np.float32), square)
    middle = np.argwhere(found.glare).mean(axis=0)[::-1]
    x, y = cv2.perspectiveTransform(middle.reshape(1, 1, 2), to_film.astype(np.float64))[0, 0]
    row = "top" if y < 1 / 3 else "bottom" if y > 2 / 3 else ""
    column = "left" if x < 1 / 3 else "right" if x > 2 / 3 else ""
    return f"{row} {column}".strip() or "middle"


def _check_sharpness(film: np.ndarray) -> Fault | None:
    """Compare what a film shows two and four pixels wide: blur takes the former, noise is finer than both."""
    smooth = [cv2.GaussianBlur(film.astype(np.float32), (0, 0), sigma) for sigma in (1.4, 2.8, 5.6)]
    fine, coarse = (float(np.abs(a - b).mean()) for a, b in pairwise(smooth))
    if fine < LEAST_DETAIL * coarse:
        return Fault("blurred", "the picture is blurred")
    return None
