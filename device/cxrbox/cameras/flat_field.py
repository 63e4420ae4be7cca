"""The flat field: how evenly the empty light box is lit and the lens sees it, so that a still can be made even."""

import io
import json
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from cxrbox.cameras.board import replace_file
from cxrbox.cameras.seam import Exposure
from cxrbox.errors import FlatFieldError

# Longer side of the field that is kept, in pixels: light and lens change slowly across the picture.
SIDE = 256
# Longer side at which it is judged whether the box is empty, in pixels.
JUDGED = 64
# Level, of 255, that the empty box has after correction: short of what the capture gate calls burnt out.
WHITE = 235
# Levels, of 255, between which a camera sees a lit box; more of it than this share must not be brighter.
LEAST_LEVEL, MOST_LEVEL, MOST_BURNT = 60, 250, 0.01
# The darkest place of the box may be this share of the brightest, in the camera's tones.
LEAST_EVEN = 0.4
# No colour may be darker than this anywhere, of 255: more than tenfold gain shows nothing but noise.
LEAST_COLOUR = 24
# A film or a hand lies on the box where places differ so far, as a share, from an even slope of light.
MOST_BUMPY = 0.08
ADVICE = "clear the light box, switch it on, let it fill the picture, and take the flat field again"


@dataclass(frozen=True)
class FlatField:
    """The empty light box as one camera saw it at one exposure.

    Attributes
    ----------
    camera : str
        Name of the camera.
    exposure : dict of str to float
        What was locked; stills must be taken with the same.
    size : tuple of 2 int
        Height and width of the stills, in pixels.
    light : ndarray of float32, shape (height, width, 3)
        Its levels, of 255, at most 256 pixels on a side.
    """

    camera: str
    exposure: Exposure
    size: tuple[int, int]
    light: np.ndarray

    def apply(self, still: np.ndarray) -> np.ndarray:
        """Return a still as under even, white light: uint8, of the same shape.

        Both pictures are in the camera's tones, about light ** (1 / 2.2), so their quotient is what the film lets
        through, in the same tones.

        Parameters
        ----------
        still : ndarray of uint8, shape (height, width, 3)

        Raises
        ------
        FlatFieldError
            If the still has another size.
        """
        if still.shape[:2] != self.size:
            raise FlatFieldError(
                f"the flat field is of {self.size[1]} x {self.size[0]} pixels and the camera's stills have"
                f" {still.shape[1]} x {still.shape[0]}; take the flat field again"
            )
        even = np.empty_like(still)
        # One colour at a time: a gain for each pixel takes four bytes.
        for colour in range(3):
            gain = WHITE / np.maximum(self.light[..., colour], LEAST_COLOUR)
            gain = cv2.resize(gain, still.shape[1::-1], interpolation=cv2.INTER_LINEAR)
            even[..., colour] = cv2.multiply(still[..., colour], gain, dtype=cv2.CV_8U)
        return even

    def save(self, path: Path) -> None:
        """Keep it as an npz file, whole or not at all."""
        packed = io.BytesIO()
        facts = json.dumps({"camera": self.camera, "exposure": self.exposure, "size": self.size})
        np.savez_compressed(packed, light=self.light.astype(np.float16), facts=np.array(facts))
        replace_file(path, packed.getvalue(), durable=True)


def load_flat_field(path: Path, camera: str) -> FlatField | None:
    """Return the flat field that was kept, None where there is none.

    Raises
    ------
    FlatFieldError
        If it is another camera's, or the file is damaged.
    """
    try:
        # Read before it is unpacked: numpy leaves a damaged file open.
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as packed:
            light, facts = packed["light"].astype(np.float32), json.loads(str(packed["facts"]))
            field = FlatField(facts["camera"], facts["exposure"], tuple(facts["size"]), light)
    except FileNotFoundError:
        return None
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as err:
        raise FlatFieldError("the flat field that was kept cannot be read; take it again") from err
    if field.camera != camera:
        raise FlatFieldError(f"the flat field is of the {field.camera}, not of the {camera}; take it again")
    return field


def measure_flat_field(stills: Iterable[np.ndarray], camera: str, exposure: Exposure) -> FlatField:
    """Return the flat field of an empty light box, the mean of several stills.

    Parameters
    ----------
    stills : iterable of ndarray of uint8, shape (height, width, 3)
        At least one; all of the same size.
    camera : str
    exposure : dict of str to float
        What was locked while they were taken.

    Raises
    ------
    FlatFieldError
        If they do not show an empty, lit light box.
    """
    size, smalls = None, []
    for still in stills:
        if still.shape[:2] != (size or still.shape[:2]):
            raise FlatFieldError("the camera changed the size of its stills meanwhile; take the flat field again")
        size = still.shape[:2]
        sound = cv2.countNonZero(cv2.inRange(still, (0, 0, 0), (MOST_LEVEL,) * 3))
        if sound < (1 - MOST_BURNT) * still.shape[0] * still.shape[1]:
            raise FlatFieldError("the light box is too bright for the camera; dim it and take the flat field again")
        smalls.append(_shrink(still, SIDE))
    light = np.mean(smalls, axis=0, dtype=np.float32)
    _check_empty(light)
    return FlatField(camera, exposure, size, light)


def _check_empty(light: np.ndarray) -> None:
    """Refuse light that is not that of an empty box: dark, uneven, or with something before it."""
    levels = _shrink(light, JUDGED)
    grey = levels.mean(axis=2, dtype=np.float64)
    brightest = np.percentile(grey, 95)
    if brightest < LEAST_LEVEL:
        raise FlatFieldError(f"the light box is dark; {ADVICE}")
    if grey.min() < LEAST_EVEN * brightest or levels.min() < LEAST_COLOUR:
        raise FlatFieldError(f"parts of the picture are dark; {ADVICE}")
    slope = _even_slope(grey)
    if (np.abs(grey - slope) / slope).max() > MOST_BUMPY:
        raise FlatFieldError(f"something lies on the light box, or its light is uneven; {ADVICE}")


def _even_slope(grey: np.ndarray) -> np.ndarray:
    """Return the polynomial of the fourth degree nearest to a picture: lamps fall off and lenses darken like that."""
    height, width = grey.shape
    y, x = np.meshgrid(np.linspace(-1, 1, height), np.linspace(-1, 1, width), indexing="ij")
    terms = np.stack([x**i * y**j for i in range(5) for j in range(5 - i)], axis=-1).reshape(-1, 15)
    factors, *_ = np.linalg.lstsq(terms, grey.ravel(), rcond=None)
    return np.maximum((terms @ factors).reshape(grey.shape), 1.0)


def _shrink(picture: np.ndarray, side: int) -> np.ndarray:
    share = min(1.0, side / max(picture.shape[:2]))
    return cv2.resize(picture, None, fx=share, fy=share, interpolation=cv2.INTER_AREA) if share < 1 else picture
