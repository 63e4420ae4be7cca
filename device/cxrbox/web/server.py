"""Serve the page until the box stops."""

import http.client
import logging
import threading
from collections.abc import Callable
from contextlib import closing

import waitress

from cxrbox.errors import ConfigError
from cxrbox.notify import Watchdog, ready
from cxrbox.settings import Settings
from cxrbox.store import Store
from cxrbox.taking import clear_leftovers
from cxrbox.web.app import create_app
from cxrbox.web.spool import spool_into

log = logging.getLogger(__name__)
# Each open page asks once a second and is answered in about a millisecond.
THREADS = 8
# Bytes of an answer that wait for a slow reader in memory; what goes beyond would be written to the disk (1 MiB).
WAITING_BYTES = 1 << 19
# The page asks itself for something this often, and takes so long to answer at most; without an answer for the last it
# does not get on; all in seconds.
ASK_SECONDS, ANSWER_SECONDS, SILENCE_SECONDS = 3.0, 30.0, 90.0


def run_web(settings: Settings, wait: Callable[[float], bool]) -> None:
    """Serve the page until it is to stop.

    Parameters
    ----------
    settings : Settings
    wait : callable
        Waits so many seconds and returns whether the page is to stop.

    Raises
    ------
    ConfigError
        If the address cannot be listened on.
    """
    store = Store(settings.state)
    clear_leftovers(store, "upload")
    spool_into(store.incoming)
    store.close()
    try:
        server = waitress.create_server(
            create_app(settings),
            host=settings.host,
            port=settings.port,
            threads=THREADS,
            ident="CXR Box",
            outbuf_high_watermark=WAITING_BYTES,
        )
    except OSError as err:
        raise ConfigError(
            f"the page cannot be served at {settings.host} port {settings.port} ({err.strerror});"
            " choose others with --host and --port"
        ) from err
    log.info("the page is at http://%s:%d", settings.host, settings.port)
    threading.Thread(target=server.run, daemon=True).start()
    ready(SILENCE_SECONDS)
    watchdog = Watchdog("page")
    while not wait(ASK_SECONDS):
        if _answers(settings):
            watchdog.saw("page")
    server.close()


def _answers(settings: Settings) -> bool:
    """Return whether the page answers a request, whatever it says: a store that is out of order is no fault of it."""
    with closing(http.client.HTTPConnection(settings.host, settings.port, timeout=ANSWER_SECONDS)) as connection:
        try:
            connection.request("GET", "/notices")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException) as err:
            log.warning("the page does not answer itself (%s)", err)
            return False
    return True
