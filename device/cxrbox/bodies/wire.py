"""Messages between the reader and the process of the Edge TPU: lengths, a JSON object, bytes."""

import json
import socket
import struct
import time
from typing import Any

LENGTHS = struct.Struct("<II")
# Four times the largest body there is; more is no message of ours.
MOST_BYTES = 64 << 20


def send(peer: socket.socket, header: dict[str, Any], payload: bytes = b"", seconds: float | None = None) -> None:
    """Send one message.

    Raises
    ------
    TimeoutError
        If the peer does not take it within `seconds`; None waits for ever.
    OSError
        If the peer is gone.
    """
    text = json.dumps(header).encode()
    peer.settimeout(seconds)
    peer.sendall(b"".join((LENGTHS.pack(len(text), len(payload)), text, payload)))


def receive(peer: socket.socket, seconds: float | None = None) -> tuple[dict[str, Any], bytes]:
    """Return the next message.

    Raises
    ------
    TimeoutError
        If it has not come as a whole within `seconds`; None waits for ever.
    EOFError
        If the peer ended before the message did.
    ValueError
        If it is no message.
    OSError
        If the peer is gone.
    """
    deadline = None if seconds is None else time.monotonic() + seconds
    sizes = LENGTHS.unpack(_receive_bytes(peer, LENGTHS.size, deadline))
    if sum(sizes) > MOST_BYTES:
        raise ValueError(f"a message of {sum(sizes)} bytes")
    text, payload = (_receive_bytes(peer, size, deadline) for size in sizes)
    return json.loads(text), payload


def _receive_bytes(peer: socket.socket, size: int, deadline: float | None) -> bytes:
    content = bytearray(size)
    rest = memoryview(content)
    while rest:
        if deadline is not None:
            # Zero would mean "do not wait at all", which is another error.
            peer.settimeout(max(1e-3, deadline - time.monotonic()))
        taken = peer.recv_into(rest)
        if not taken:
            raise EOFError(f"{len(rest)} of {size} bytes are missing")
        rest = rest[taken:]
    return bytes(content)
