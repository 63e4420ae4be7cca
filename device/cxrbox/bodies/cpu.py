"""The body on the CPU."""

import os
from collections.abc import Sequence

import numpy as np
from cxrbundle.bundle import Bundle
from cxrbundle.manifest import Manifest

from cxrbox.bodies.network import End, Network, find_runtime, to_features
from cxrbox.bodies.seam import BodyStatus, Pace, Prove
from cxrbox.errors import BackendError


class CpuBody(Network):
    """The body on the CPU, through a TFLite interpreter.

    Parameters
    ----------
    bundle : Bundle
    threads : int
        Threads of the interpreter.
    remark : str
        One sentence on why the CPU reads, where people may expect something else.

    Attributes
    ----------
    backend : str
    pace : Pace

    Raises
    ------
    BackendError
        If no runtime is installed, or the body's ends are not what the manifest says.
    """

    def __init__(self, bundle: Bundle, threads: int, remark: str = ""):
        runtime, name = find_runtime()
        try:
            super().__init__(runtime.Interpreter(model_content=bundle.body, num_threads=threads))
        except (RuntimeError, ValueError) as err:
            raise BackendError(f"the body of {bundle.title} does not load in {name} ({err})") from err
        check_ends(self.ends, bundle.manifest)
        self.backend = f"cpu {name}"
        self.pace = Pace()
        self._remark = remark

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return the feature map of one film; see `Body`."""
        with self.pace.timed():
            return to_features(self.codes(pixels), self.ends[1])

    def check(self, prove: Prove) -> bool:
        """Prove that it still answers; there is nothing else that could read, so BackendError is raised if not."""
        prove(self)
        return True

    def status(self) -> BodyStatus:
        """Return how films are read."""
        return BodyStatus(self.backend, wanted="cpu", reason=self._remark, expected_ms=self.pace.median)

    def wait_until_tried(self, _: float) -> bool:
        """Return at once: it is open."""
        return True

    def close(self) -> None:
        """Do nothing: it has no device and no process."""


def check_ends(ends: Sequence[End], manifest: Manifest) -> None:
    """Raise BackendError unless the ends of a body are those that the manifest describes."""
    for name, end, tensor in zip(("input", "features"), ends, (manifest.input, manifest.features), strict=True):
        said = End([1, tensor.height, tensor.width, tensor.channels], tensor.dtype, tensor.scale, tensor.zero_point)
        if end[:2] != said[:2] or not np.allclose(end[2:], said[2:]):
            raise BackendError(f"{name} of the body is {end}, the manifest says {said}; convert the model again")


def usable_threads(wanted: int) -> int:
    """Return as many threads as are wanted, but no more than this process has cores."""
    return min(wanted, len(os.sched_getaffinity(0)))
