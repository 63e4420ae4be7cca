"""Reading the films that come next beside the one that is due: each core reads a film."""

import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import suppress
from itertools import starmap
from queue import Empty, SimpleQueue

from cxrbox.errors import RefusedError
from cxrbox.results import Refusal, Result
from cxrbox.store import QueuedFilm

# Whoever stops a box waits for it no longer than twice as long; a film takes some seconds at most.
CLOSE_SECONDS = 5.0
# Films in hand, read or not, for each thread.
IN_HAND = 4


class Ahead:
    """Reads films on threads of its own; what is read is taken film by film, in order.

    Nothing rests on it: a film that could not be read beside others, for lack of memory it may be, is read again with
    nothing beside it, and only what comes of that counts.

    Parameters
    ----------
    read : callable
        Reads one film; it may raise RefusedError and MemoryError.
    threads : int
        Films that are read at once. Three times as many wait, read or not, so that no thread has to: whoever takes them
        waits for the disk at times.
    memory : int
        Bytes that the decoded films may take; films that come together are taken to be as large as the last one. The
        first of all is read alone.
    """

    def __init__(self, read: Callable[[QueuedFilm], Result | Refusal], threads: int, memory: int):
        self._read, self._wanted, self._memory, self._last = read, IN_HAND * threads, memory, memory
        self._begun: dict[int, Future[Result | Refusal | None]] = {}
        self._waiting: SimpleQueue[tuple[QueuedFilm, Future] | None] = SimpleQueue()
        # They keep nobody from ending: a decoder may hang.
        self._threads = [threading.Thread(target=self._work, name="reading", daemon=True) for _ in range(threads)]
        for thread in self._threads:
            thread.start()

    @property
    def most(self) -> int:
        """How many films there is room for, one at least."""
        return max(1, min(self._wanted, self._memory // self._last))

    @property
    def scarce(self) -> bool:
        """Whether more films should be begun."""
        return len(self._begun) <= self.most // 2

    @property
    def crowded(self) -> bool:
        """Whether films wait behind the one that was begun first."""
        return len(self._begun) > 1

    @property
    def first(self) -> int | None:
        """The number of the film that was begun first; None where none was."""
        return next(iter(self._begun), None)

    def begin(self, film: QueuedFilm) -> None:
        """Begin to read a film, unless that was begun or there is no room for it."""
        if film.id not in self._begun and len(self._begun) < self.most:
            begun = self._begun[film.id] = Future()
            self._waiting.put((film, begun))

    def take(self, film: QueuedFilm) -> Result | Refusal:
        """Return what became of a film; where that was not begun, what was begun is dropped.

        Raises
        ------
        RefusedError
            If the film cannot be decoded.
        MemoryError
            If reading it, and nothing else, takes more memory than there is.
        """
        begun = self._begun.pop(film.id, None)
        if begun is None:
            self.drop()
        outcome = begun and begun.result()
        if outcome is None:
            self._wait()
            outcome = self._read(film)
        self._last = outcome.size or self._last
        return outcome

    def drop(self) -> None:
        """Wait until nothing is read, and forget what came of it."""
        self._wait()
        self._begun.clear()

    def close(self) -> None:
        """End the threads: what is not begun yet is not read, and what hangs is waited for no longer than a moment."""
        with suppress(Empty):
            while True:
                self._waiting.get_nowait()
        for _ in self._threads:
            self._waiting.put(None)
        deadline = time.monotonic() + CLOSE_SECONDS
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def _wait(self) -> None:
        for begun in self._begun.values():
            begun.exception()

    def _work(self) -> None:
        # Not a loop over the films: its variable would hold on to the last one while nothing comes.
        for _ in starmap(self._answer, iter(self._waiting.get, None)):
            pass

    def _answer(self, film: QueuedFilm, begun: Future[Result | Refusal | None]) -> None:
        """Read a film and let whoever waits know what came of it."""
        try:
            begun.set_result(self._read(film))
        except (RefusedError, MemoryError):
            begun.set_result(None)
        except BaseException as err:
            begun.set_exception(err)
