"""The child process that holds the Edge TPU, or plays its stand-in: `python -m cxrbox.bodies.tpu_process SOCKET`.

It is asked to open a body once, then to read film after film. It decodes no file, opens no network and keeps nothing.
"""

import ctypes
import resource
import signal
import socket
import sys
import time

import numpy as np

from cxrbox.bodies.edge_tpu import open_edge_tpu
from cxrbox.bodies.stand_in import open_stand_in
from cxrbox.bodies.wire import receive, send
from cxrbox.errors import BackendError

PR_SET_PDEATHSIG = 1  # linux/prctl.h
OPENERS = {"edge-tpu": open_edge_tpu, "stand-in": open_stand_in}


def serve(reader: socket.socket) -> None:
    """Open what the reader asks for and answer films until the reader hangs up."""
    question, content = receive(reader)
    try:
        network, runtime = OPENERS[question["open"]](content, question["threads"])
    except BackendError as err:
        send(reader, {"error": str(err)})
        return
    send(reader, {"runtime": runtime, "ends": network.ends})
    while True:
        question, pixels = receive(reader)
        started = time.perf_counter()
        codes = network.codes(np.frombuffer(pixels, np.uint8).reshape(network.ends[0].shape))
        milliseconds = (time.perf_counter() - started) * 1000
        send(reader, {"film": question["film"], "milliseconds": milliseconds}, codes.tobytes())


def main() -> None:
    """Serve the reader at the other end of the socket whose number is the only argument."""
    # A core file would hold the film.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # The reader alone decides when this ends, so that a device is let go in order.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    # The kernel ends it with the thread that started it, even inside a driver that lets no Python run: an orphan would
    # keep the device from the next reader. Where that thread is gone already, the socket has ended.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    with socket.socket(fileno=int(sys.argv[1])) as reader:
        try:
            serve(reader)
        except (EOFError, ConnectionError):
            return


if __name__ == "__main__":
    main()
