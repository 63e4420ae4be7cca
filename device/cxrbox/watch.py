"""Whether a part gets on, as the supervisor of a whole box sees it: it hears what systemd would (sd_notify(3))."""

import socket
import time

# A part that is not ready after so long, in seconds, never will be; the units of systemd/ give it no longer.
READY_SECONDS = 180.0
# Who did not look for so long, in seconds, was stopped, and the parts with it (Ctrl-Z, say): no fault of theirs.
LONG_LOOK = 5.0
MICROSECONDS = 1e6
# Bytes; longer than any message of a part. Others may send something as well.
LONGEST = 256


class Watch:
    """Hears the pings of one process.

    Attributes
    ----------
    address : str
        Of its socket, as NOTIFY_SOCKET has it.
    """

    def __init__(self):
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        # The kernel chooses an abstract address that is free: no file is left behind.
        self._socket.bind("")
        self.address = "@" + self._socket.getsockname()[1:].decode()
        self._limit = READY_SECONDS
        self._looked = self._heard = time.monotonic()

    def is_stuck(self) -> bool:
        """Return whether the process has said nothing for longer than it wants to be waited for."""
        now = time.monotonic()
        if self._hear() or now - self._looked > LONG_LOOK:
            self._heard = now
        self._looked = now
        return now - self._heard > self._limit

    def _hear(self) -> bool:
        """Return whether it said anything since the last look."""
        heard = False
        while True:
            try:
                message = self._socket.recv(LONGEST).decode(errors="replace")
            except BlockingIOError:
                return heard
            heard = True
            for line in message.splitlines():
                name, _, value = line.partition("=")
                if name == "WATCHDOG_USEC" and value.isdecimal():
                    self._limit = int(value) / MICROSECONDS

    def close(self) -> None:
        """Hear no more."""
        self._socket.close()
