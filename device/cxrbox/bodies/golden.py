"""When the golden films are read again, and how they were answered."""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from cxrbox.bodies.seam import Body, Prove
from cxrbox.errors import BackendError

log = logging.getLogger(__name__)
GOLDEN_SECONDS = 3600.0
# When nothing is left that may read films, it is tried again after so long (seconds).
RETRY_SECONDS = 60.0


@dataclass(frozen=True)
class GoldenOutcome:
    """How the golden films were answered.

    Attributes
    ----------
    when : float
        In seconds since 1970.
    passed : bool
        Whether all that was in service answered as on the day the bundle was made.
    backend : str
        What was in service when they were read.
    """

    when: float
    passed: bool
    backend: str


class GoldenWatch:
    """Has a body prove itself at the start and then from time to time.

    Parameters
    ----------
    prove : Prove
    every_seconds : float
    clock : callable
        Returns seconds; it may not go back.

    Attributes
    ----------
    last : GoldenOutcome or None
        None before the first check.
    """

    def __init__(
        self, prove: Prove, every_seconds: float = GOLDEN_SECONDS, clock: Callable[[], float] = time.monotonic
    ):
        self._prove, self._every, self._clock = prove, every_seconds, clock
        self._next = clock()
        self.last: GoldenOutcome | None = None

    def due(self) -> bool:
        """Return whether the golden films should be read now."""
        return self._clock() >= self._next

    def check(self, body: Body) -> GoldenOutcome:
        """Read the golden films with all that is in service and keep how that went.

        Raises
        ------
        BackendError
            If nothing is left that may read films.
        """
        backend = body.status().backend
        self._next = self._clock() + self._every
        try:
            passed = body.check(self._prove)
        except BackendError:
            self.last = GoldenOutcome(time.time(), False, backend)
            self._next = self._clock() + min(self._every, RETRY_SECONDS)
            raise
        self.last = GoldenOutcome(time.time(), passed, backend)
        log.info("golden films on %s: %s", backend, "passed" if passed else "failed")
        return self.last
