"""The way of a film: read the file once, tell its kind by content, hand it to the decoder of that kind."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cxrbox.decoding.levels import check_greys
from cxrbox.decoding.limits import SILENCE
from cxrbox.decoding.picture import decode_picture
from cxrbox.decoding.reading import read_once
from cxrbox.decoding.sniff import tell_kind


@dataclass(frozen=True)
class DecodedFilm:
    """A film in memory.

    Attributes
    ----------
    grey : ndarray of uint8, shape (height, width)
        Bone bright, the sense of MONOCHROME2; C-contiguous.
    format : str
        "png", "jpeg", "tiff", "bmp" or "dicom".
    source : str
        "dicom", whose header was checked, or "picture", of which nothing but the pixels is known.
    view : str or None
        "PA" or "AP" where a DICOM header says so.
    age : float or None
        The patient's in years, where a DICOM header tells it.
    colour : ndarray of uint8, shape (height, width, 3), or None
        Blue, green and red of a picture with colours, which is no flat film but a photograph of one.
    """

    grey: np.ndarray
    format: str
    source: str
    view: str | None = None
    age: float | None = None
    colour: np.ndarray | None = None

    @property
    def size(self) -> int:
        """The bytes of its pixels."""
        return self.grey.nbytes + (0 if self.colour is None else self.colour.nbytes)


def decode_film(path: Path) -> DecodedFilm:
    """Return the film of a file; the name and its suffix say nothing, the content decides.

    Raises
    ------
    RefusedError
        If the file holds no frontal chest film that can be decoded completely.
    """
    return decode_content(read_once(path))


def decode_content(content: bytes) -> DecodedFilm:
    """Return the film of a file's content; see `decode_film`."""
    kind = tell_kind(content)
    # Once for all that is distrusted below: setting the filters of warnings takes longer than most of it.
    with SILENCE:
        film = _decode(content, kind)
    check_greys(film.grey)
    return film


def _decode(content: bytes, kind: str) -> DecodedFilm:
    if kind == "dicom":
        # DICOM's dictionaries take 40 MiB: a box that is shown pictures alone does without.
        from cxrbox.decoding.dicom import decode_dicom

        grey, view, age = decode_dicom(content)
        return DecodedFilm(np.ascontiguousarray(grey), kind, "dicom", view, age)
    grey, colour = decode_picture(content, kind)
    return DecodedFilm(np.ascontiguousarray(grey), kind, "picture", colour=colour)
