"""What systemd is told of a part (sd_notify(3)): that it is ready, and that it gets on; one datagram each.

Nobody is told where systemd did not start the box.
"""

import os
import socket
import time
from contextlib import suppress

# Time between two pings, in seconds; each wakes systemd.
PING_SECONDS = 1.0


def notify(*lines: str) -> None:
    """Tell systemd something, `READY=1` say; a systemd that does not listen ends nothing here."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        # An abstract address is written with @ in place of its first byte, which is zero.
        address = "\0" + address[1:] if address.startswith("@") else address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
            unix.sendto("\n".join(lines).encode(), address)


class Watchdog:
    """Pings systemd's watchdog only while everything that should get on does.

    Parameters
    ----------
    *names : str
        What should get on; each may be a thread of its own.
    """

    def __init__(self, *names: str):
        self._names, self._seen = frozenset(names), set()
        self._next = 0.0

    def saw(self, name: str) -> None:
        """Note that one of them got on; once all of them did since the last ping, there is another."""
        self._seen.add(name)
        if self._seen >= self._names and time.monotonic() >= self._next:
            self._seen.clear()
            self._next = time.monotonic() + PING_SECONDS
            notify("WATCHDOG=1")
