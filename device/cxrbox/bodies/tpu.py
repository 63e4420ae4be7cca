"""The reader's end of the process that holds the Edge TPU: each answer has a deadline, the process can be killed."""

import math
import socket
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from cxrbundle.manifest import Manifest

from cxrbox.bodies.cpu import check_ends
from cxrbox.bodies.network import End, to_features
from cxrbox.bodies.seam import Pace
from cxrbox.bodies.wire import receive, send
from cxrbox.errors import BackendError, DeviceLostError

# What people call them; the names of results begin with the kind.
NAMES = {"edge-tpu": "Edge TPU", "stand-in": "stand-in for the Edge TPU"}
LOST = "was lost, look at its plug and its power"
# Loading the firmware and the driver's 25 tries a second apart fit in; a film takes milliseconds.
OPEN_SECONDS, INVOKE_SECONDS = 60.0, 10.0
# A device that is let go in order is there again at once; one whose process was killed may not be.
CLOSE_SECONDS = 5.0


@dataclass(frozen=True)
class Device:
    """What the process is to open, and how long it may take.

    Attributes
    ----------
    kind : str
        `edge-tpu` or `stand-in`; the name of its results begins with it, whatever the process says.
    content : bytes
        The body as this device runs it.
    manifest : Manifest
        Describes the body's ends.
    threads : int
        Of the interpreter, for what the device itself does not run.
    open_seconds, invoke_seconds : float
        Deadlines.
    """

    kind: str
    content: bytes
    manifest: Manifest
    threads: int
    open_seconds: float = OPEN_SECONDS
    invoke_seconds: float = INVOKE_SECONDS

    @property
    def name(self) -> str:
        """What people call it."""
        return NAMES[self.kind]


class TpuBody:
    """The body on a device that a process of its own holds; it is opened once and never again.

    The process starts at once, and ends with the thread that started it; `open` waits for the device.

    Attributes
    ----------
    backend : str
    pace : Pace
        With the way to the process and back.
    invoke_ms : float
        What the device alone took for the last film.

    Raises
    ------
    DeviceLostError
        If no process can be started.
    """

    def __init__(self, device: Device):
        self._device = device
        self.backend, self.pace = device.kind, Pace()
        self._films, self.invoke_ms = 0, 0.0
        # One question at a time, whoever asks.
        self._talking = threading.Lock()
        try:
            self._process, self._peer = _start_process()
        except OSError as err:
            raise DeviceLostError(f"the {device.name} cannot be opened: no process starts ({err.strerror})") from err

    def open(self) -> None:
        """Open the device and its body.

        Raises
        ------
        DeviceLostError
            If it cannot be opened, or not in time.
        """
        device = self._device
        question = {"open": device.kind, "threads": device.threads}
        with self._talking:
            answer, _ = self._ask(question, device.content, device.open_seconds)
        if "error" in answer:
            raise self._give_up(f"cannot be opened: {answer['error']}")
        ends = [End(*end) for end in answer["ends"]]
        try:
            check_ends(ends, device.manifest)
        except BackendError as err:
            raise self._give_up(f"cannot be used: {err}") from err
        self._features = ends[1]
        self.backend = f"{device.kind} {answer['runtime']}"

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return the feature map of one film; see `Body`.

        Raises
        ------
        DeviceLostError
            If there is no answer, or it comes too late.
        """
        with self._talking, self.pace.timed():
            self._films += 1
            answer, codes = self._ask({"film": self._films}, pixels.tobytes(), self._device.invoke_seconds)
            shape = self._features.shape[1:]
            # An answer to an earlier film must never be taken for the answer to this one.
            if answer.get("film") != self._films or len(codes) != math.prod(shape):
                raise self._give_up("answered something else than it was asked")
            self.invoke_ms = answer["milliseconds"]
            return to_features(np.frombuffer(codes, np.uint8).reshape(shape), self._features)

    def _ask(self, question: dict[str, Any], payload: bytes, seconds: float) -> tuple[dict[str, Any], bytes]:
        """Return the process's answer; whatever else happens is a fault."""
        deadline = time.monotonic() + seconds
        try:
            send(self._peer, question, payload, seconds)
            return receive(self._peer, deadline - time.monotonic())
        except TimeoutError as err:
            raise self._give_up(f"did not answer within {seconds:g} s") from err
        except (EOFError, OSError, ValueError) as err:
            raise self._give_up(LOST) from err

    def _give_up(self, fault: str) -> DeviceLostError:
        """Kill the process and return the error that says why."""
        self._process.kill()
        return DeviceLostError(f"the {self._device.name} {fault}")

    def kill(self) -> None:
        """End the process, whatever it does; does not wait."""
        self._process.kill()

    def wait(self) -> None:
        """Wait until the process has ended, and let go of what led to it."""
        self._process.wait()
        with self._talking:
            self._peer.close()

    def close(self) -> None:
        """Let the device go in order, by force where that takes too long; `wait` waits for the end."""
        with suppress(OSError):  # it hung up first
            self._peer.shutdown(socket.SHUT_RDWR)
        try:
            self._process.wait(CLOSE_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()


def _start_process() -> tuple[subprocess.Popen, socket.socket]:
    """Start the process; return it and our end of the socket to it."""
    ours, theirs = socket.socketpair()
    with theirs:
        command = [sys.executable, "-P", "-m", "cxrbox.bodies.tpu_process", str(theirs.fileno())]
        try:
            return subprocess.Popen(command, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL), ours
        except OSError:
            ours.close()
            raise
