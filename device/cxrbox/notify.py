"""What is told of a part (sd_notify(3)): that it is ready, and that it gets on; one datagram each.

systemd listens where the part is a service, else the supervisor of the whole box (`watch.py`), else nobody.
"""

import os
import socket
import time
from contextlib import suppress

# Time between two pings, in seconds; each wakes who listens.
PING_SECONDS = 1.0
# Who listens and was stopped, so that the messages wait, keeps a part waiting no longer than that, in seconds.
TELL_SECONDS = 1.0


def notify(*lines: str) -> None:
    """Tell something, `READY=1` say; where nobody listens, nothing ends here."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        # An abstract address is written with @ in place of its first byte, which is zero.
        address = "\0" + address[1:] if address.startswith("@") else address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unix:
            unix.settimeout(TELL_SECONDS)
            unix.sendto("\n".join(lines).encode(), address)


def ready(silence: float) -> None:
    """Tell that a part is ready, and after how many seconds without a ping it does not get on."""
    notify("READY=1", f"WATCHDOG_USEC={round(silence * 1e6)}")


class Watchdog:
    """Pings only while everything that should get on does.

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
