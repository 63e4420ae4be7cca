"""Decoding the films that come next while one is read: decoding a film as hospitals keep it is most of the work."""

import time
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

from cxrbox.decoding.film import DecodedFilm, decode_film
from cxrbox.errors import RefusedError


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

    @property
    def size(self) -> int:
        """The bytes of its pixels."""
        return self.film.grey.nbytes + (0 if self.film.colour is None else self.film.colour.nbytes)


class Ahead:
    """Decodes films beside the one that is read, each on a thread; no other thread may decode while it does.

    Nothing rests on it: a film that could not be decoded beside others is decoded again with nothing beside it, and
    only what comes of that counts.

    Parameters
    ----------
    with_patient_id : bool
        Whether to read from a DICOM header whom it shows.
    most : int
        Films that may be decoded, or wait decoded, at once.
    memory : int
        Bytes that those may take; films that come together are taken to be as large as the last one.
    """

    def __init__(self, with_patient_id: bool, most: int, memory: int):
        self._with_patient_id = with_patient_id
        self._most, self._memory, self._last = most, memory, 1
        self._begun: dict[int, Future[Decoded | None]] = {}

    @property
    def most(self) -> int:
        """How many films there is room for, one at least."""
        return max(1, min(self._most, self._memory // self._last))

    @property
    def first(self) -> int | None:
        """The number of the film that was begun first; None where none is decoded."""
        return next(iter(self._begun), None)

    def begin(self, film: int, path: Path) -> None:
        """Begin to decode a film, unless that was begun, on a thread that keeps nobody from ending."""
        if film not in self._begun:
            decoded = self._begun[film] = Future()
            Thread(target=self._answer, args=(decoded, path), name="decoding", daemon=True).start()

    def take(self, film: int, path: Path) -> Decoded:
        """Return a film decoded; where that was not begun, or failed, all that was begun is waited for and dropped.

        Raises
        ------
        RefusedError
            If the file holds no film that can be decoded.
        MemoryError
            If decoding it, and nothing else, takes more memory than there is.
        """
        begun = self._begun.pop(film, None)
        decoded = begun and begun.result()
        if not decoded:
            self.drop()
            decoded = self._decode(path)
        self._last = decoded.size
        return decoded

    def drop(self) -> None:
        """Wait until nothing is decoded, and forget what came of it."""
        while self._begun:
            _, decoded = self._begun.popitem()
            decoded.result()

    def _decode(self, path: Path) -> Decoded:
        started = time.perf_counter()
        film = decode_film(path)
        patient_id = _read_patient_id(path) if self._with_patient_id and film.source == "dicom" else None
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


def _read_patient_id(path: Path) -> str | None:
    # As in `cxrbox.decoding.film`: only who reads DICOM pays for it.
    from cxrbox.header_identity import read_patient_id

    return read_patient_id(path)
