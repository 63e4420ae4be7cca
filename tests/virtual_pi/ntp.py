"""A time server for the guest: it answers with the host's clock (RFC 5905, as little of it as a client needs)."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

PORT = 123
# Seconds from 1900, where NTP begins, to 1970.
SINCE_1900 = 2208988800
# No leap second, version 4, server; stratum 1; then poll, precision, and the root's delay, dispersion and name.
HEADER = struct.pack(">BBbbIII", 0x24, 1, 6, -20, 0, 0x100, int.from_bytes(b"HOST"))


@contextlib.contextmanager
def time_server() -> Iterator[None]:
    """Serve the time at 127.0.0.1:123, which the guest sees as 10.0.2.2:123; that port needs root."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        # Another run on this host may be serving it; each of them answers a part then.
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind(("127.0.0.1", PORT))
        threading.Thread(target=_serve, args=(server,), daemon=True).start()
        yield


def _serve(server: socket.socket) -> None:
    with contextlib.suppress(OSError):  # closed
        while True:
            request, client = server.recvfrom(512)
            now = _timestamp()
            # reference, origin (the client's own transmit time), receive, transmit
            server.sendto(HEADER + now + request[40:48] + now + _timestamp(), client)


def _timestamp() -> bytes:
    seconds = time.time() + SINCE_1900
    return struct.pack(">II", int(seconds), int(seconds % 1 * 2**32))
