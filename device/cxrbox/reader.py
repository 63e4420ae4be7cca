"""The part that reads: takes films from the queue one by one and keeps what the bundle says of them."""

import logging
import resource
import signal
import time

import cv2
import numpy as np

from cxrbox.errors import RefusedError
from cxrbox.maps import pack_maps
from cxrbox.reading import Reader, open_reader
from cxrbox.refusals import refuse
from cxrbox.settings import Settings
from cxrbox.store import QueuedFilm, Store

log = logging.getLogger(__name__)
IDLE_SECONDS = 0.1
# The page shows a film at this size at most, in pixels: enough for a screen, a tenth of the original's bytes.
PICTURE_SIDE = 1024


def run_reader(settings: Settings, stopped) -> None:
    """Read films until `stopped()`."""
    store = Store(settings.state)
    store.requeue_interrupted()
    reader = open_reader(settings)
    _bound_memory(settings.memory_mb)
    log.info("reading with %s (%s) on %s", reader.bundle.title, reader.trust, reader.body.backend)
    for film in store.without_picture():
        _redraw(store, reader, film)
    while not stopped():
        film = store.claim()
        if film is None:
            time.sleep(IDLE_SECONDS)
            continue
        # Decoders are C code that may hang where no Python runs: the kernel then ends this process, its parent
        # starts it again, and the film is refused when that happens twice.
        signal.setitimer(signal.ITIMER_REAL, settings.film_seconds)
        _read(store, reader, film)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _read(store: Store, reader: Reader, film: QueuedFilm) -> None:
    """Read one claimed film; whatever happens to it is kept."""
    started = time.perf_counter()
    try:
        reading = reader.read(store.original_path(film.sha256))
    except RefusedError as refusal:
        store.add_refusal(film.id, refusal)
        log.info("film %d refused: %s", film.id, refusal.code)
        return
    except MemoryError:
        store.add_refusal(film.id, refuse("out_of_memory", "reading the film takes more memory than the box has"))
        return
    milliseconds = (time.perf_counter() - started) * 1000
    store.add_result(
        film.id, reader.provenance() | {"findings": reading.findings}, pack_maps(reading.maps), milliseconds
    )
    log.info("film %d read in %.0f ms", film.id, milliseconds)
    _draw(store, film, reading.grey)


def _draw(store: Store, film: QueuedFilm, grey: np.ndarray) -> None:
    """Draw a film's picture for the page; it is complete or not there."""
    scale = PICTURE_SIDE / max(grey.shape)
    if scale < 1:
        grey = cv2.resize(grey, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    _, jpeg = cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 88])
    temporary = store.pictures / f"{film.sha256}.part"
    temporary.write_bytes(jpeg)
    temporary.replace(store.picture_path(film.sha256))


def _redraw(store: Store, reader: Reader, film: QueuedFilm) -> None:
    """Draw the picture that an interrupted box did not get to."""
    try:
        _draw(store, film, reader.read(store.original_path(film.sha256)).grey)
    except RefusedError as refusal:
        log.warning("film %d was read before and has no picture now: %s", film.id, refusal.code)


def _bound_memory(mebibytes: int) -> None:
    """Bound what this process may still allocate, so that a hostile film cannot take the machine's memory."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (mebibytes << 20, hard))
