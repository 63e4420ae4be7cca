"""Filing what was read, on a thread of its own: the next film is read while the disk is waited for."""

import queue
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from cxrbox.store import Store

# Outcomes that may wait: as many films are in hand at once, and share one wait for the disk.
MOST_WAITING = 16
# Seconds that the first of them waits for others that are about to come.
LINGER_SECONDS = 0.05


@dataclass(frozen=True)
class Outcome:
    """What became of one film.

    Attributes
    ----------
    keep : callable
        Keeps it in the store; returns False where the film is in hand no more.
    then : callable
        What is done once it is safe on the disk.
    others_follow : bool
        Whether it may wait for them a moment.
    """

    keep: Callable[[Store], bool]
    then: Callable[[], None]
    others_follow: bool = False


class Filing:
    """Keeps outcomes in the order in which they come, all that wait in one transaction.

    Parameters
    ----------
    state : Path
        The state folder.
    """

    def __init__(self, state: Path):
        self._waiting: queue.Queue[Outcome | None] = queue.Queue(MOST_WAITING)
        self._hurry = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._work, args=(state,), name="filing", daemon=True)
        self._thread.start()

    def put(self, outcome: Outcome) -> None:
        """Hand an outcome over; waits while too many wait, and raises what has stopped the filing."""
        self.check()
        self._put(outcome)

    def wait(self) -> None:
        """Return once all that was handed over is filed; raise what has stopped the filing."""
        self._waiting.join()
        self.check()

    def check(self) -> None:
        """Raise what has stopped the filing, a full disk say."""
        if self._failure:
            raise self._failure

    def close(self) -> None:
        """File what waits, and end."""
        self._put(None)
        self._thread.join()
        self.check()

    def _put(self, outcome: Outcome | None) -> None:
        # With the one in hand and this one.
        enough = self._waiting.qsize() + 2 >= MOST_WAITING
        if outcome is None or not outcome.others_follow or enough:
            self._hurry.set()
        self._waiting.put(outcome)

    def _work(self, state: Path) -> None:
        store = None
        while True:
            batch = self._next()
            if not self._failure:
                # Whoever hands over next is told; until then what comes is dropped, and read again after a restart.
                try:
                    store = store or Store(state)
                    file(store, [outcome for outcome in batch if outcome])
                except BaseException as err:
                    self._failure = err
            for _ in batch:
                self._waiting.task_done()
            if None in batch:
                if store:
                    store.close()
                return

    def _next(self) -> list[Outcome | None]:
        """Wait for an outcome and return it with all others that wait or follow within a moment.

        The moment is waited for at once: who wakes with each film takes the processor from those who read.
        """
        batch = [self._waiting.get()]
        if batch[0] and batch[0].others_follow:
            self._hurry.wait(LINGER_SECONDS)
        self._hurry.clear()
        with suppress(queue.Empty):
            while len(batch) < MOST_WAITING:
                batch.append(self._waiting.get_nowait())
        return batch


def file(store: Store, outcomes: list[Outcome]) -> None:
    """Keep outcomes, all or none of them, and then do what follows for those that were kept."""
    with store.together():
        kept = [outcome for outcome in outcomes if outcome.keep(store)]
    for outcome in kept:
        outcome.then()
