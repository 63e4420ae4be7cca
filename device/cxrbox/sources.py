"""The part that takes films in: from a folder, from memory sticks, from the camera above the light box."""

import logging
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from cxrbox.errors import ConfigError
from cxrbox.intake import Intake
from cxrbox.notify import Watchdog, ready
from cxrbox.settings import Settings
from cxrbox.sticks import Sticks
from cxrbox.store import Store
from cxrbox.taking import clear_leftovers, queue_forgotten, take_still

log = logging.getLogger(__name__)
# Looking at thousands of known films takes a moment: pause so many times that long, to leave the processor to others,
# whatever the settings say; and a look that cost so little that this is less than they say is followed sooner.
IDLE_SHARE, EASY_SHARE = 9, 99
# But no longer than that, in seconds: the watchdog waits for the next look.
LONGEST = 30.0
# One batch of films from a slow stick, or one wait for a busy disk, may take nearly so long, in seconds.
SILENCE_SECONDS = 180.0
# No sooner than that, in seconds.
SOONEST = 0.1


def run_intake(settings: Settings, stopped: Callable[[], bool]) -> None:
    """Take films in until `stopped()`; folders, sticks and cameras may come and go.

    Raises
    ------
    ConfigError
        If films are to come from a camera and the settings name none.
    OSError, sqlite3.OperationalError
        If the state folder cannot be written.
    """
    # A read lease that is broken while it is tried sends SIGIO, which would end this process.
    signal.signal(signal.SIGIO, signal.SIG_IGN)
    store = Store(settings.state)
    for source in ("folder", "stick", "camera"):
        clear_leftovers(store, source)
    station = open_station(settings)
    watchdog = Watchdog("films", "camera") if station else Watchdog("films")
    sources = open_sources(settings, store, partial(watchdog.saw, "films"))
    log.info("taking films in")
    ready(SILENCE_SECONDS)
    for _ in queue_forgotten(store):
        watchdog.saw("films")
        watchdog.saw("camera")
    # A camera may keep its caller waiting for seconds, so it has a thread of its own.
    ended = threading.Event()
    with ThreadPoolExecutor(1) as pool:

        def station_stopped() -> bool:
            watchdog.saw("camera")
            return ended.is_set() or stopped()

        running = pool.submit(station, station_stopped) if station else None
        try:
            while not stopped():
                if running and running.done():
                    running.result()
                _look(sources, settings.look_seconds)
                store.put_status("intake", _status(settings, sources))
                watchdog.saw("films")
        finally:
            ended.set()


def _status(settings: Settings, sources: list[Intake | Sticks]) -> dict[str, Any]:
    """Return what the page is told: what is looked at, and why some of it cannot be taken in."""
    troubles = [why for source in sources for why in source.troubles]
    sticks = [stick for source in sources if isinstance(source, Sticks) for stick in source.progress]
    return {"folder": settings.from_folder, "stick": settings.from_stick, "troubles": troubles, "sticks": sticks}


def _look(sources: list[Intake | Sticks], pause: float) -> None:
    """Look at every source once, and pause; a film that was taken is followed by the next look soon."""
    started = time.monotonic()
    taken = sum(source.look() for source in sources)
    took = 0 if taken else time.monotonic() - started
    time.sleep(max(min(LONGEST, IDLE_SHARE * took), min(pause, max(SOONEST, EASY_SHARE * took))))


def open_sources(settings: Settings, store: Store, took: Callable[[], None]) -> list[Intake | Sticks]:
    """Return what is looked at again and again; it calls `took` after each film, as one look may find thousands."""
    sources: list[Intake | Sticks] = []
    if settings.from_folder:
        sources.append(Intake(settings.films, store, settings.settle_seconds, took=took))
    if settings.from_stick:
        sources.append(Sticks(settings, store, took))
    return sources


def open_station(settings: Settings) -> Callable[[Callable[[], bool]], None] | None:
    """Return what runs the scan station until a function says to stop; None where there is to be no camera."""
    if not settings.from_camera:
        return None
    # OpenCV is large, and a box without a camera does not need it here.
    from cxrbox.cameras.choice import choose_camera
    from cxrbox.cameras.station import ScanStation

    camera = choose_camera(settings.camera)
    if camera is None:
        raise ConfigError("from_camera is on and camera is none; name the camera, or switch from_camera off")

    def run(stopped: Callable[[], bool]) -> None:
        store = Store(settings.state)
        ScanStation(
            camera,
            settings.state,
            keep=partial(take_still, store),
            take_request=partial(store.take_request, "camera"),
            report=partial(store.put_status, "camera"),
        ).run(stopped)

    return run
