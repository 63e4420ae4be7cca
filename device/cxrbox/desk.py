"""Where films are read: the next of the queue, one after the other, and what becomes of each is kept."""

import logging
import signal
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from cxrbox.ahead import IN_HAND, Ahead
from cxrbox.bodies.cpu import usable_threads
from cxrbox.bodies.golden import GoldenWatch
from cxrbox.errors import BackendError, RefusedError
from cxrbox.filing import Filing, Outcome
from cxrbox.operating_points import SOURCES
from cxrbox.reading import Again, Reader
from cxrbox.refusals import refuse
from cxrbox.results import Refusal, Result, read_queued
from cxrbox.settings import Settings
from cxrbox.store import MOST_CRASHES, QueuedFilm, Store

log = logging.getLogger(__name__)
# One part in so many of the reader's memory may hold decoded films; decoding takes a few times as much.
DECODED_SHARE = 8
# The page is told how films are read, and asked what it wants, as often as that; not with each film.
LOOK_SECONDS = 0.1
# Films that wait to be looked at again, moved a little; of a long queue only the last ones are.
MOST_UNSHIFTED = 64


class Desk:
    """Reads films as long as the golden films are answered as they should be.

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
        outcome = self._watch.check(reader.body)
        # The last entry before which nobody doubts a backend: one that fails the golden films may have failed any film
        # after it, also in the hands of an earlier reader.
        self._begun, self._proven = store.last_entry(), store.statuses().get("proven", {}).get("entries", {})
        if outcome.passed:
            self._vouch(outcome.backend)
        self._next_look = 0.0
        # Those that an interrupted box left; results come before pictures that nobody looks at.
        self._undrawn = deque(store.without_picture())
        # Films that cannot be drawn though nothing else was in hand: their originals are damaged, or the reader died
        # on them each time. The page says so.
        self._undrawable: list[int] = []
        # The film that the last reader died drawing, and how many did.
        died = store.statuses().get("drawing")
        self._fatal, self._deaths = (died["film"], died["deaths"] + 1) if died else (None, 0)
        if self._deaths >= MOST_CRASHES:
            self._undrawable.append(self._fatal)
        store.put_status("pictures", {"undrawable": self._undrawable})
        self._filing = Filing(store.state)
        self._outcome: Outcome | None = None
        decoded_bytes, threads = (settings.memory_mb << 20) // DECODED_SHARE, usable_threads(settings.threads)
        self._ahead = Ahead(self._read, threads, decoded_bytes)
        # Films to be read with nothing beside them: among those is what ended the last reader.
        self._alone = IN_HAND * threads if store.has_suspects() else 0
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
        self._withdraw_failed()
        asked_for = self._look_at_board()
        film = None if self.unfit or asked_for else self.store.claim(self._ahead.first)
        self._hand_over()
        if self.unfit:
            return False
        if asked_for:
            self._draw(*asked_for)
        elif film:
            with self._in_time():
                self.read(film)
        elif self._unshifted:
            self._filing.wait()
            number, again = self._unshifted.popleft()
            self.store.add_stability(number, self.reader.find_unstable(again))
        elif self._undrawn:
            self._draw(self._undrawn.pop())
        else:
            return False
        return True

    def close(self) -> None:
        """File what was read, and end."""
        self._ahead.close()
        self._hand_over()
        self._filing.close()

    def read(self, film: QueuedFilm) -> None:
        """Read one claimed film, and begin the next ones beside it; whatever happens to it is kept."""
        self._look_ahead(film)
        try:
            outcome = self._ahead.take(film)
        except RefusedError as refusal:
            outcome = Refusal(refusal)
        except MemoryError:
            outcome = Refusal(refuse("out_of_memory", "reading the film takes more memory than the box has"))
        self._set_aside(film, outcome)
        if isinstance(outcome, Result):
            self._unshifted.append((film.id, outcome.again))

    def _read(self, film: QueuedFilm) -> Result | Refusal:
        """Read a film; while others wait, its picture does as well."""
        outcome = self._read_whole(film)
        return outcome.small() if isinstance(outcome, Result) and self._ahead.crowded else outcome

    def _read_whole(self, film: QueuedFilm) -> Result | Refusal:
        return read_queued(self.reader, self.settings, film, self.store.original_path(film.sha256))

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """Do what waits for films within the time that a film has.

        Decoders are C code that may hang where no Python runs: the kernel then ends this process, its parent starts it
        again, and the film in hand is refused when that happens twice.
        """
        signal.setitimer(signal.ITIMER_REAL, self.settings.film_seconds)
        yield
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _look_ahead(self, film: QueuedFilm) -> None:
        """Begin to read a film and those that come next; one that may have ended a reader is alone in hand."""
        if film.suspect or self._alone > 0:
            self._alone -= 1
            return
        self._ahead.begin(film)
        if not self._ahead.scarce:
            return
        for upcoming in self.store.upcoming(self._ahead.most):
            if upcoming.suspect:
                return
            self._ahead.begin(upcoming)

    def _set_aside(self, film: QueuedFilm, outcome: Result | Refusal) -> None:
        """Keep an outcome until the next film is claimed: a claim would wait for the filing."""

        def then() -> None:
            log.info("film %d %s", film.id, outcome)
            if outcome.pictures is None:
                self._undrawn.append(film)
            else:
                outcome.pictures.draw(self.store, film.sha256)

        self._hand_over()
        self._outcome = Outcome(lambda store: outcome.keep(store, film), then, self._ahead.crowded)

    def _hand_over(self) -> None:
        """Have the outcome that was set aside filed, where there is one."""
        outcome, self._outcome = self._outcome, None
        if outcome:
            self._filing.put(outcome)

    def _prove_in_time(self) -> None:
        """Read the golden films where that is due; a body that fails them reads no film until it passes again."""
        if not self._watch.due():
            return
        self._hand_over()
        self._filing.wait()
        # What a body read that is found unfit now does not count.
        with self._in_time():
            self._ahead.drop()
        try:
            outcome = self._watch.check(self.reader.body)
        except BackendError as err:
            if str(err) != self.unfit:
                log.error("%s", err)
            self.unfit = str(err)
            self._withdraw(None)
            return
        self.unfit = ""
        if outcome.passed:
            self._vouch(outcome.backend)

    def _withdraw_failed(self) -> None:
        """Withdraw what a device answered that failed the golden films now, or when it was opened again."""
        for backend in self.reader.body.take_failed():
            self._hand_over()
            self._filing.wait()
            with self._in_time():
                self._ahead.drop()
            self._withdraw(backend)

    def _vouch(self, backend: str) -> None:
        """Note that a backend passed the golden films after all that it has answered so far."""
        self._proven[backend] = self.store.last_entry()
        self.store.put_status("proven", {"entries": self._proven})

    def _withdraw(self, backend: str | None) -> None:
        """Queue again what was answered, by that backend or by any, since it last passed the golden films."""
        # A film would wait for a second look that shows what counts no more.
        self._unshifted.clear()
        after = self._proven.get(backend, self._begun) if backend else max(self._proven.values(), default=self._begun)
        if withdrawn := self.store.withdraw(after, backend):
            log.warning("%d films are read again: what read them failed the golden films", withdrawn)

    def _look_at_board(self) -> list[QueuedFilm]:
        """Tell the page how films are read, where it is time to, and return the film whose picture it waits for."""
        if time.monotonic() < self._next_look:
            return []
        self._next_look = time.monotonic() + LOOK_SECONDS
        self._tell()
        return [] if self.unfit else self._asked_for()

    def _tell(self) -> None:
        """Tell the page how films are read; what changes all the time is left out or rounded, to spare the disk."""
        status = dict(vars(self.reader.body.status()))
        del status["retry_seconds"]
        status["expected_ms"] = status["expected_ms"] and round(status["expected_ms"])
        golden = self._watch.last and vars(self._watch.last)
        self.store.put_status("reader", self._used | status | {"unfit": self.unfit, "golden": golden})

    def _asked_for(self) -> list[QueuedFilm]:
        """Return the film whose picture somebody waits for, where there is one that can be drawn."""
        request = self.store.take_request("picture")
        if request is None or request["film"] in self._undrawable:
            return []
        return self.store.without_picture(request["film"])

    def _draw(self, film: QueuedFilm) -> None:
        """Draw the picture that was left for later, unless it was asked for before or the original is gone."""
        if film.id in self._undrawable or not self.store.without_picture(film.id):
            return
        self.store.begin_drawing(film.id, self._deaths if film.id == self._fatal else 0)
        with self._in_time():
            try:
                outcome = self._read_whole(film)
                # Another bundle may refuse what was read; its picture is due all the same.
                if isinstance(outcome, Refusal):
                    outcome = self._read_whole(replace(film, overridden=True))
            except (RefusedError, MemoryError):
                outcome = None
        self.store.end_drawing()
        if isinstance(outcome, Result):
            outcome.pictures.draw(self.store, film.sha256)
        elif not self._ahead.crowded:
            self._undrawable.append(film.id)
            self.store.put_status("pictures", {"undrawable": self._undrawable})
            log.warning("film %d was read before and cannot be drawn now", film.id)
