"""The part that reads: takes films from the queue one by one and keeps what the bundle says of them."""

import ctypes
import logging
import resource
import signal
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

import cv2
import numpy as np
from cxrbundle.errors import BundleError

from cxrbox.ahead import Ahead
from cxrbox.bodies.cpu import usable_threads
from cxrbox.bodies.golden import GoldenWatch
from cxrbox.decoding.film import DecodedFilm, decode_film
from cxrbox.errors import BackendError, BoxError, RefusedError
from cxrbox.filing import Filing, Outcome
from cxrbox.identity import read_code
from cxrbox.maps import pack_maps
from cxrbox.notify import Watchdog, notify
from cxrbox.operating_points import SOURCES
from cxrbox.reading import Again, Reader, Reading, make_reader, photograph_of
from cxrbox.refusals import CAPTURE_ADVICE, refuse
from cxrbox.settings import Settings
from cxrbox.store import QueuedFilm, Store

log = logging.getLogger(__name__)
IDLE_SECONDS = 0.1
# A reader that a film ended has begun anew, and answered the golden films, within so long.
START_SECONDS = 120.0
# The page shows a film at this size at most, in pixels: enough for a screen, a tenth of the original's bytes.
PICTURE_SIDE = 1024
# Of mallopt(3), and from how many bytes on memory is taken for one purpose only.
M_MMAP_THRESHOLD, LARGE = -3, 4 << 20
# One part in so many of the reader's memory may hold films that wait decoded; decoding takes a few times as much.
DECODED_SHARE = 8
# Films that wait to be looked at again, moved a little; of a long queue only the last ones are.
MOST_UNSHIFTED = 64


def run_reader(settings: Settings, stopped: Callable[[], bool]) -> None:
    """Read films until `stopped()`."""
    store = Store(settings.state)
    try:
        desk = Desk(settings, store, make_reader(settings))
    except (BoxError, BundleError) as err:
        # Where the page runs on its own, nobody reads what this process says.
        store.put_status("reader", {"unfit": str(err)})
        raise
    _bound_memory(settings.memory_mb)
    notify("READY=1", f"WATCHDOG_USEC={round((settings.film_seconds + START_SECONDS) * 1e6)}")
    watchdog = Watchdog("desk")
    try:
        while not stopped():
            if not desk.work():
                time.sleep(IDLE_SECONDS)
            watchdog.saw("desk")
        desk.close()
    finally:
        desk.reader.body.close()


class Desk:
    """Where films are read, one after the other, as long as the golden films are answered as they should be.

    Parameters
    ----------
    settings : Settings
    store : Store
    reader : Reader

    Raises
    ------
    BackendError
        If the golden films are not answered as they should be.

    Attributes
    ----------
    unfit : str
        Why no film may be read now; empty where films are read.
    """

    def __init__(self, settings: Settings, store: Store, reader: Reader):
        self.settings, self.store, self.reader = settings, store, reader
        self.unfit = ""
        self._watch = GoldenWatch(reader.prove, settings.golden_seconds)
        # At the start whoever started it is told; a body that drifts later is shown on the page.
        self._watch.check(reader.body)
        self._undrawn = store.without_picture()
        self._filing = Filing(store.state)
        self._outcome: Outcome | None = None
        waiting_bytes = (settings.memory_mb << 20) // DECODED_SHARE
        self._ahead = Ahead(settings.dicom_identity, usable_threads(settings.threads), waiting_bytes)
        # What came with the queue is read once; where it is empty there is time to look again.
        self._unshifted: deque[tuple[int, Again]] = deque(maxlen=MOST_UNSHIFTED)
        log.info("reading with %s (%s) on %s", reader.bundle.title, reader.trust, reader.body.backend)
        self._used = {"bundle": reader.bundle.title, "bundle_sha256": reader.bundle.digest, "trust": reader.trust}
        thresholds = {source: reader.points.sha256(source) for source in SOURCES}
        store.note_bundle(self._used | {"thresholds_sha256": thresholds})

    def work(self) -> bool:
        """Do what is next; return False where there was nothing to do."""
        self._filing.check()
        self._prove_in_time()
        self._tell()
        film = None if self.unfit or self._undrawn else self.store.claim(self._ahead.first)
        self._hand_over()
        if self.unfit:
            return False
        if self._undrawn:
            self._redraw(self._undrawn.pop())
        elif film:
            self._read_in_time(film)
        elif self._unshifted:
            self._filing.wait()
            number, again = self._unshifted.popleft()
            self.store.add_stability(number, self.reader.find_unstable(again))
        else:
            return False
        return True

    def close(self) -> None:
        """File what was read, and end."""
        self._hand_over()
        self._filing.close()

    def _set_aside(self, outcome: Outcome) -> None:
        """Keep an outcome until the next film is claimed: a claim would wait for the filing."""
        self._hand_over()
        self._outcome = outcome

    def _hand_over(self) -> None:
        """Have the outcome that was set aside filed, where there is one."""
        outcome, self._outcome = self._outcome, None
        if outcome:
            self._filing.put(outcome)

    def _prove_in_time(self) -> None:
        """Read the golden films where that is due; a body that fails them reads no film until it passes again."""
        if not self._watch.due():
            return
        try:
            self._watch.check(self.reader.body)
        except BackendError as err:
            if str(err) != self.unfit:
                log.error("%s", err)
            self.unfit = str(err)
        else:
            self.unfit = ""

    def _tell(self) -> None:
        """Tell the page how films are read; what changes all the time is left out or rounded, to spare the disk."""
        status = asdict(self.reader.body.status())
        del status["retry_seconds"]
        status["expected_ms"] = status["expected_ms"] and round(status["expected_ms"])
        golden = self._watch.last and asdict(self._watch.last)
        self.store.put_status("reader", self._used | status | {"unfit": self.unfit, "golden": golden})

    def _read_in_time(self, film: QueuedFilm) -> None:
        """Read a film within its time.

        Decoders are C code that may hang where no Python runs: the kernel then ends this process, its parent starts it
        again, and the film is refused when that happens twice.
        """
        signal.setitimer(signal.ITIMER_REAL, self.settings.film_seconds)
        self.read(film)
        signal.setitimer(signal.ITIMER_REAL, 0)

    def read(self, film: QueuedFilm) -> None:
        """Read one claimed film; whatever happens to it is kept."""
        photograph = None
        try:
            decoded = self._ahead.take(film.id, self.store.original_path(film.sha256))
            self._look_ahead(film)
            started = time.perf_counter()
            photograph = photograph_of(decoded.film, film.source)
            reading = self._read_decoded(film, decoded.film)
        except RefusedError as refusal:
            self._refuse(film, refusal, photograph)
        except MemoryError:
            self._refuse(film, refuse("out_of_memory", "reading the film takes more memory than the box has"))
        else:
            milliseconds = decoded.milliseconds + (time.perf_counter() - started) * 1000
            identity = self._identity(decoded.patient_id, photograph)
            self._keep(film, reading, photograph, identity, milliseconds)

    def _read_decoded(self, film: QueuedFilm, decoded: DecodedFilm) -> Reading:
        """Read a decoded film; once more, and alone, where the memory did not do for two."""
        with suppress(MemoryError):
            return self.reader.read_decoded(decoded, film.source, film.overridden)
        self._ahead.drop()
        return self.reader.read_decoded(decoded, film.source, film.overridden)

    def _look_ahead(self, film: QueuedFilm) -> None:
        """Begin to decode the next films beside this one; a film that may have ended a reader is alone in hand."""
        if film.suspect:
            return
        for upcoming in self.store.upcoming(self._ahead.most):
            if upcoming.suspect:
                return
            self._ahead.begin(upcoming.id, self.store.original_path(upcoming.sha256))

    def _refuse(self, film: QueuedFilm, refusal: RefusedError, photograph: np.ndarray | None = None) -> None:
        """File a refusal, with the photograph where it may be overridden."""
        shown = fit_page(photograph) if refusal.code in CAPTURE_ADVICE else None

        def keep(store: Store) -> bool:
            return store.add_refusal(film.id, refusal)

        def then() -> None:
            log.info("film %d refused: %s", film.id, refusal.code)
            self._draw(film, None, shown)

        self._set_aside(Outcome(keep, then))

    def _keep(
        self,
        film: QueuedFilm,
        reading: Reading,
        photograph: np.ndarray | None,
        identity: tuple[str, str] | None,
        milliseconds: float,
    ) -> None:
        """File a reading, with the film and the photograph as the page shows them."""
        told, logits = self.reader.describe(reading), reading.logits.tolist()
        maps, pictures = pack_maps(reading.maps), (fit_page(reading.film.grey), fit_page(photograph))

        def keep(store: Store) -> bool:
            return store.add_result(film.id, told, maps, milliseconds, logits, identity)

        def then() -> None:
            log.info("film %d read in %.0f ms", film.id, milliseconds)
            self._draw(film, *pictures)

        self._set_aside(Outcome(keep, then))
        self._unshifted.append((film.id, reading.again))

    def _redraw(self, film: QueuedFilm) -> None:
        """Draw the picture that an interrupted box did not get to."""
        try:
            decoded = decode_film(self.store.original_path(film.sha256))
            reading = self.reader.read_decoded(decoded, film.source, film.overridden)
        except RefusedError as refusal:
            log.warning("film %d was read before and has no picture now: %s", film.id, refusal.code)
            return
        self._draw(film, fit_page(reading.film.grey), fit_page(photograph_of(decoded, film.source)))

    def _draw(self, film: QueuedFilm, picture: np.ndarray | None, photograph: np.ndarray | None) -> None:
        """Draw a film as it was read and the photograph as it came, where there are any."""
        for path, shown in (
            (self.store.picture_path(film.sha256), picture),
            (self.store.photograph_path(film.sha256), photograph),
        ):
            if shown is not None:
                draw_picture(path, shown)

    def _identity(self, patient_id: str | None, photograph: np.ndarray | None) -> tuple[str, str] | None:
        """Return whom the film says it shows and how that is known, where it says so and the settings allow."""
        if patient_id:
            return patient_id, "dicom"
        code = read_code(photograph) if photograph is not None and self.settings.barcode_identity else None
        return (code, "barcode") if code else None


def fit_page(picture: np.ndarray | None) -> np.ndarray | None:
    """Return a film or a photograph, where there is one, no larger than the page shows it."""
    if picture is None:
        return None
    scale = PICTURE_SIDE / max(picture.shape)
    return cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else picture


def draw_picture(path: Path, picture: np.ndarray) -> None:
    """Draw a picture for the page; it is complete or not there."""
    _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 88])
    temporary = path.with_suffix(".part")
    temporary.write_bytes(jpeg)
    temporary.replace(path)


def _bound_memory(mebibytes: int) -> None:
    """Bound what this process may still allocate, so that a hostile film cannot take the machine's memory."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (mebibytes << 20, hard))
    # What a large film took is given back at once; glibc would keep it for the thread that took it.
    ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE)
