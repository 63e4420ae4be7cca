"""What becomes of one film, with all that is kept of it and nothing that is large: a result or a refusal."""

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import cv2
import numpy as np

from cxrbox.chest import SEEN_BY_BODY
from cxrbox.decoding.film import DecodedFilm, decode_content
from cxrbox.decoding.reading import read_once
from cxrbox.decoding.sniff import tell_kind
from cxrbox.errors import RefusedError
from cxrbox.identity import read_code
from cxrbox.maps import pack_maps
from cxrbox.reading import Again, Reader, photograph_of
from cxrbox.refusals import OVERRIDABLE, refuse
from cxrbox.settings import Settings
from cxrbox.store import QueuedFilm, Store

# The page shows a film at this size at most, in pixels: enough for a screen, a tenth of the original's bytes.
PICTURE_SIDE = 1024
# Bytes of a film that may wait as it is until its picture is drawn, after its result; a larger one is made small first.
MOST_HELD = 8 << 20


@dataclass(frozen=True)
class Pictures:
    """What the page shows of a film.

    Attributes
    ----------
    film : ndarray of uint8, or None
        As it was read.
    photograph : ndarray of uint8, or None
        As it came, where the film was taken out of a photograph.
    """

    film: np.ndarray | None = None
    photograph: np.ndarray | None = None

    def draw(self, store: Store, sha256: str) -> None:
        """Draw what there is, for the film with this content, no larger than the page shows it.

        The film comes last: where it is missing, both are drawn again.
        """
        for path, shown in (
            (store.photograph_path(sha256), self.photograph),
            (store.picture_path(sha256), self.film),
        ):
            if shown is not None:
                draw_picture(path, fit_page(shown))
        store.drop_pictures_of_removed(sha256)


@dataclass(frozen=True)
class Refusal:
    """A film that is not read.

    Attributes
    ----------
    error : RefusedError
        Why.
    pictures : Pictures
        The photograph, where it may be overridden.
    size : int
        Bytes of the decoded film, 0 where it could not be decoded.
    told : dict
        What refused it, as `cxrbox.reading.Reader.provenance` gives it; empty where no body saw it.
    identity : tuple of str, or None
        Whom the film says it shows, and how that is known.
    """

    error: RefusedError
    pictures: Pictures = Pictures()
    size: int = 0
    told: dict = field(default_factory=dict)
    identity: tuple[str, str] | None = None

    def keep(self, store: Store, film: QueuedFilm) -> bool:
        """Keep it in the store; return False where the film is in hand no more."""
        return store.add_refusal(film.id, self.error, self.told, self.identity)

    def __str__(self) -> str:
        return f"refused: {self.error.code}"


@dataclass(frozen=True)
class Result:
    """What a film was read as.

    Attributes
    ----------
    told : dict
        As `cxrbox.reading.Reader.describe` gives it.
    maps : bytes
        Packed class activation maps (`cxrbox.maps`).
    logits : sequence of float, of length findings
    identity : tuple of str, or None
        Whom the film says it shows, and how that is known.
    milliseconds : float
        From opening the film to its result.
    again : Again
        What is needed to read it once more.
    pictures : Pictures or None
        None where they are drawn later.
    size : int
        Bytes of the decoded film.
    """

    told: dict
    maps: bytes
    logits: Sequence[float]
    identity: tuple[str, str] | None
    milliseconds: float
    again: Again
    pictures: Pictures | None
    size: int

    def keep(self, store: Store, film: QueuedFilm) -> bool:
        """Keep it in the store; return False where the film is in hand no more."""
        return store.add_result(film.id, self.told, self.maps, self.milliseconds, self.logits, self.identity)

    def small(self) -> "Result":
        """Return it for a longer wait: its pictures are drawn later, but those of a photograph, which are made small.

        A photograph would have to be searched for its film anew.
        """
        film, photograph = self.pictures.film, self.pictures.photograph
        return replace(self, pictures=None if photograph is None else Pictures(fit_page(film), photograph))

    def __str__(self) -> str:
        return f"read in {self.milliseconds:.0f} ms"


def read_queued(reader: Reader, settings: Settings, film: QueuedFilm, path: Path) -> Result | Refusal:
    """Read a film of the queue from its original.

    Raises
    ------
    RefusedError
        If it is damaged, or not the film that came; that it must not be read is a refusal that is returned.
    MemoryError
        If it takes more memory than there is.
    """
    started = time.perf_counter()
    content = read_once(path)
    if hashlib.sha256(content).hexdigest() != film.sha256:
        raise refuse("damaged", "the copy of the film that the box keeps is damaged")
    try:
        decoded = decode_content(content)
    except RefusedError as refusal:
        # These may be for want of memory beside another film.
        if refusal.code in ("damaged", "out_of_memory", "unknown_format"):
            raise
        named = header_identity(path, settings) if tell_kind(content) == "dicom" else None
        return Refusal(RefusedError(refusal.code, refusal.reason), identity=named)
    photograph = photograph_of(decoded, film.source)
    try:
        reading = reader.read_decoded(decoded, photograph, film.overridden)
    except RefusedError as refusal:
        # Who may have it read all the same must see it.
        seen = decoded.grey if photograph is None else photograph
        shown = fit_page(seen) if refusal.code in OVERRIDABLE or photograph is not None else None
        # Not the error itself: it would hold on to the film.
        told = reader.provenance() if refusal.code in SEEN_BY_BODY else {}
        identity = _identity(decoded, path, photograph, settings)
        return Refusal(RefusedError(refusal.code, refusal.reason), Pictures(None, shown), decoded.size, told, identity)
    milliseconds = (time.perf_counter() - started) * 1000
    return Result(
        told=reader.describe(reading),
        maps=pack_maps(reading.maps),
        logits=reading.logits.tolist(),
        identity=_identity(decoded, path, photograph, settings),
        milliseconds=milliseconds,
        again=reading.again,
        pictures=_pictures(reading.film.grey, photograph),
        size=decoded.size,
    )


def _pictures(film: np.ndarray, photograph: np.ndarray | None) -> Pictures:
    """Return what the page shows of a film that was read; it may have to wait."""
    return Pictures(
        film if film.nbytes <= MOST_HELD else fit_page(film), None if photograph is None else fit_page(photograph)
    )


def _identity(
    film: DecodedFilm, path: Path, photograph: np.ndarray | None, settings: Settings
) -> tuple[str, str] | None:
    """Return whom the film says it shows and how that is known, where it says so and the settings allow."""
    if film.source == "dicom" and (named := header_identity(path, settings)):
        return named
    code = read_code(photograph) if photograph is not None and settings.barcode_identity else None
    return (code, "barcode") if code else None


def header_identity(path: Path, settings: Settings) -> tuple[str, str] | None:
    """Return whom the header of a DICOM file says it shows, where it says so and the settings allow."""
    if not settings.dicom_identity:
        return None
    # As in `cxrbox.decoding.film`: only who reads DICOM pays for it.
    from cxrbox.header_identity import read_patient_id

    patient_id = read_patient_id(path)
    return (patient_id, "dicom") if patient_id else None


def fit_page(picture: np.ndarray) -> np.ndarray:
    """Return a film or a photograph no larger than the page shows it."""
    scale = PICTURE_SIDE / max(picture.shape)
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture


def draw_picture(path: Path, picture: np.ndarray) -> None:
    """Draw a picture for the page; it is complete or not there, or empty after a power cut: it can be drawn again."""
    _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 88])
    temporary = path.with_suffix(".part")
    temporary.write_bytes(jpeg)
    temporary.replace(path)
