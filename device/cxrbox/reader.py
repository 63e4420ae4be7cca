"""The part that reads: a process of its own, which needs no network and whose memory is bounded."""

import ctypes
import resource
from collections.abc import Callable

from cxrbundle.errors import BundleError

from cxrbox.desk import Desk
from cxrbox.errors import BoxError
from cxrbox.notify import Watchdog, ready
from cxrbox.reading import make_reader
from cxrbox.settings import Settings
from cxrbox.store import Store

IDLE_SECONDS = 0.1
# A reader that a film ended has begun anew, and answered the golden films, within so long.
START_SECONDS = 120.0
# Of mallopt(3): from how many bytes on memory is taken for one purpose only, and how much of the rest stays for the
# next film. Who gives back what a usual film takes, and takes it again, has the kernel clear it: 6 % of all time.
M_MMAP_THRESHOLD, LARGE = -3, 4 << 20
M_TRIM_THRESHOLD, KEPT = -1, 8 << 20


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
    ready(settings.film_seconds + START_SECONDS)
    watchdog = Watchdog("desk")
    try:
        while not stopped():
            if not desk.work():
                store.wait_for_news(IDLE_SECONDS)
            watchdog.saw("desk")
        desk.close()
    finally:
        desk.reader.body.close()


def _bound_memory(mebibytes: int) -> None:
    """Bound what this process may still allocate, so that a hostile film cannot take the machine's memory."""
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (mebibytes << 20, hard))
    # What a large film took is given back at once; glibc would keep it for the thread that took it.
    libc = ctypes.CDLL(None)
    libc.mallopt(M_MMAP_THRESHOLD, LARGE)
    libc.mallopt(M_TRIM_THRESHOLD, KEPT)
