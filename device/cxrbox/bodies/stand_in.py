"""A stand-in for the Edge TPU: the same process and messages, the CPU's body inside, faults on command.

The environment names a file (`CXRBOX_STAND_IN_FAULT`); the word in it is the fault, and the stand-in is well again
once the file is empty or gone:

======== =============================== =========================
word     when it is opened               when it is asked
======== =============================== =========================
absent   there is no device              well
stuck    never ends                      well
slow     well                            never answers
wrong    well                            answers with other codes
abort    well                            its process aborts
vanish   there is no device              its process aborts
======== =============================== =========================
"""

import os
import threading
from pathlib import Path

import numpy as np

from cxrbox.bodies.network import Network, find_runtime
from cxrbox.errors import BackendError

FAULT_FILE = "CXRBOX_STAND_IN_FAULT"
FAULTS = ("absent", "stuck", "slow", "wrong", "abort", "vanish")


def open_stand_in(content: bytes, threads: int) -> tuple[Network, str]:
    """Open the stand-in with the CPU's body; see `open_edge_tpu`."""
    fault = commanded_fault()
    if fault in ("absent", "vanish"):
        raise BackendError("no device answers, as commanded")
    if fault == "stuck":
        _wait_for_ever()
    runtime, name = find_runtime()
    return StandIn(runtime.Interpreter(model_content=content, num_threads=threads)), name


class StandIn(Network):
    """The CPU's body with the faults of an Edge TPU."""

    def codes(self, pixels: np.ndarray) -> np.ndarray:
        """Return the codes of the CPU, unless a fault is commanded."""
        fault = commanded_fault()
        if fault == "slow":
            _wait_for_ever()
        codes = super().codes(pixels)
        if fault in ("abort", "vanish"):
            os.abort()
        return 255 - codes if fault == "wrong" else codes


def commanded_fault() -> str:
    """Return the fault that is commanded now, or an empty text."""
    path = os.environ.get(FAULT_FILE)
    try:
        word = Path(path).read_text().strip() if path else ""
    except FileNotFoundError:
        return ""
    if word and word not in FAULTS:
        raise BackendError(f"{word!r} in {path} is no fault; write one of {', '.join(FAULTS)}")
    return word


def _wait_for_ever() -> None:
    threading.Event().wait()
