"""The seam to the runtime: pixels go in, features come out, whatever does it."""

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Protocol

import numpy as np

# Films over which the pace is the median: enough to forget one slow film, few enough to follow a hot processor.
PACE_FILMS = 31


@dataclass(frozen=True)
class BodyStatus:
    """How films are read now; the page shows it, and the banner if it is degraded.

    Attributes
    ----------
    backend : str
        What reads films now, with the version of its runtime.
    wanted : str
        What should read them: `cpu`, `edge-tpu` or `stand-in`.
    degraded : bool
        Whether another one reads than should.
    reason : str
        One sentence for people; empty where there is nothing to say.
    resets : int
        How often the wanted one was in service and was lost, since the start.
    last_reset : float or None
        When it was lost last, in seconds since 1970.
    expected_ms : float or None
        Milliseconds that the body alone takes for a film on what reads now, a moving median; None before the first.
    retry_seconds : float or None
        Time until it is opened again; None if it is in service or being opened.
    """

    backend: str
    wanted: str
    degraded: bool = False
    reason: str = ""
    resets: int = 0
    last_reset: float | None = None
    expected_ms: float | None = None
    retry_seconds: float | None = None


class Body(Protocol):
    """Turns one film's input into its feature map; several threads may call it at once.

    Attributes
    ----------
    backend : str
        What answered the calling thread's last film, named in its result.
    """

    backend: str

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return features, float32 (height, width, channels), for pixels, uint8 (1, side, side, 3)."""

    def check(self, prove: "Prove") -> bool:
        """Prove all that reads films; return False if some went out of service, raise BackendError if none is left."""

    def take_failed(self) -> list[str]:
        """Return the backends that failed a proof since this was asked last."""

    def status(self) -> BodyStatus:
        """Return how films are read now."""

    def wait_until_tried(self, seconds: float) -> bool:
        """Wait until what should read films was tried for the first time; return whether it was."""

    def close(self) -> None:
        """Let the device and its process go."""


# Reads the golden films with a body; raises BackendError if it does not answer as on the day the bundle was made.
Prove = Callable[[Body], None]


class Pace:
    """How long a film takes, as a moving median.

    Attributes
    ----------
    median : float or None
        Milliseconds; None before the first film.
    """

    def __init__(self):
        self._milliseconds: deque[float] = deque(maxlen=PACE_FILMS)
        self._lock = threading.Lock()
        self.median: float | None = None

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count what is done inside as one film, unless it raises."""
        started = time.perf_counter()
        yield
        with self._lock:
            self._milliseconds.append((time.perf_counter() - started) * 1000)
            self.median = median(self._milliseconds)
