"""Serve the page until the box stops."""

import logging
import threading
from collections.abc import Callable

import waitress

from cxrbox.errors import ConfigError
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


def run_web(settings: Settings, wait: Callable[[], object]) -> None:
    """Serve the page until `wait()` returns.

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
    wait()
    server.close()
