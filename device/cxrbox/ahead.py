"""Decoding the film that comes next while another is read: one core decodes, the other runs the body."""

import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from cxrbox.decoding.film import DecodedFilm, decode_film
from cxrbox.errors import RefusedError
from cxrbox.identity import read_patient_id


@dataclass(frozen=True)
class Decoded:
    """What a film's file holds.

    Attributes
    ----------
    film : DecodedFilm
    patient_id : str or None
        Of a DICOM header, where it was wanted and there is one.
    milliseconds : float
        What decoding it took.
    """

    film: DecodedFilm
    patient_id: str | None
    milliseconds: float


class Ahead:
    """Decodes at most one film beside the one that is read; no other thread may decode while it does.

    Nothing rests on it: a film that could not be decoded beside another one is decoded again with nothing beside it,
    and only what comes of that counts.

    Parameters
    ----------
    with_patient_id : bool
        Whether to read from a DICOM header whom it shows.
    """

    def __init__(self, with_patient_id: bool):
        self._with_patient_id = with_patient_id
        self._next: tuple[int, Future[Decoded | None]] | None = None

    @property
    def film(self) -> int | None:
        """The number of the film that is decoded, or was; None where there is none."""
        return self._next and self._next[0]

    def begin(self, film: int, path: Path) -> None:
        """Begin to decode a film, on a thread that keeps nobody from ending."""
        decoded: Future[Decoded | None] = Future()
        self._next = film, decoded
        Thread(target=self._answer, args=(decoded, path), name="decoding", daemon=True).start()

    def take(self, film: int, path: Path) -> Decoded:
        """Return a film decoded; what was begun for another one is waited for and dropped.

        Raises
        ------
        RefusedError
            If the file holds no film that can be decoded.
        MemoryError
            If decoding it, and nothing else, takes more memory than there is.
        """
        wanted, decoded = self.film == film, self.drop()
        return decoded if wanted and decoded else self._decode(path)

    def drop(self) -> Decoded | None:
        """Wait until nothing is decoded, and forget it; return what came of it, None where that was nothing."""
        begun, self._next = self._next, None
        return begun and begun[1].result()

    def _decode(self, path: Path) -> Decoded:
        started = time.perf_counter()
        film = decode_film(path)
        patient_id = read_patient_id(path) if self._with_patient_id and film.source == "dicom" else None
        return Decoded(film, patient_id, (time.perf_counter() - started) * 1000)

    def _answer(self, decoded: Future[Decoded | None], path: Path) -> None:
        """Decode a film on a thread, and let whoever waits know what came of it."""
        try:
            decoded.set_result(self._decode(path))
        except (RefusedError, MemoryError):
            # Not the error itself: it would hold on to all that was decoded so far.
            decoded.set_result(None)
        except BaseException as err:
            decoded.set_exception(err)
