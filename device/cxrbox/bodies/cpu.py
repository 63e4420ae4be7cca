"""The body on the CPU."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from queue import LifoQueue

import numpy as np
from cxrbundle.bundle import Bundle
from cxrbundle.manifest import Manifest

from cxrbox.bodies.network import End, Network, find_runtime, to_features
from cxrbox.bodies.seam import BodyStatus, Pace, Prove
from cxrbox.errors import BackendError


class CpuBody:
    """The body on the CPU, through TFLite interpreters: any thread may call it, and as many at once as it has.

    Each interpreter keeps to the core that calls it. Films that are read side by side so use all cores to the full,
    which the threads of one interpreter do not: they wait for each other at every layer of so small a network.

    Parameters
    ----------
    bundle : Bundle
    threads : int
        Films that may be read side by side; each takes an interpreter, of twice the body's size.
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
        # The last one that was used comes first: what it needs is in the processor's cache.
        self._idle: LifoQueue[Network] = LifoQueue()
        try:
            self._networks = [
                Network(runtime.Interpreter(model_content=bundle.body, num_threads=1)) for _ in range(threads)
            ]
        except (RuntimeError, ValueError) as err:
            raise BackendError(f"the body of {bundle.title} does not load in {name} ({err})") from err
        for network in self._networks:
            check_ends(network.ends, bundle.manifest)
            self._idle.put(network)
        self.backend = f"cpu {name}"
        self.pace = Pace()
        self._remark = remark

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return the feature map of one film; see `Body`."""
        network = self._idle.get()
        try:
            return self.run(network, pixels)
        finally:
            self._idle.put(network)

    def run(self, network: Network, pixels: np.ndarray) -> np.ndarray:
        """Return the feature map of one film as one of its networks gives it."""
        with self.pace.timed():
            return to_features(network.codes(pixels), network.ends[1])

    def check(self, prove: Prove) -> bool:
        """Prove that each interpreter still answers; nothing else could read, so BackendError is raised if not."""
        taken = [self._idle.get() for _ in self._networks]
        try:
            for network in taken:
                prove(_OneOf(self, network))
        finally:
            for network in taken:
                self._idle.put(network)
        return True

    def take_failed(self) -> list[str]:
        """Return nothing: if it fails, nothing is left."""
        return []

    def status(self) -> BodyStatus:
        """Return how films are read."""
        return BodyStatus(self.backend, wanted="cpu", reason=self._remark, expected_ms=self.pace.median)

    def wait_until_tried(self, _: float) -> bool:
        """Return at once: it is open."""
        return True

    def close(self) -> None:
        """Do nothing: it has no device and no process."""


@dataclass(frozen=True)
class _OneOf:
    """One of the networks of a body, to be proved by itself."""

    body: CpuBody
    network: Network

    @property
    def backend(self) -> str:
        return self.body.backend

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        return self.body.run(self.network, pixels)


def check_ends(ends: Sequence[End], manifest: Manifest) -> None:
    """Raise BackendError unless the ends of a body are those that the manifest describes."""
    for name, end, tensor in zip(("input", "features"), ends, (manifest.input, manifest.features), strict=True):
        said = End([1, tensor.height, tensor.width, tensor.channels], tensor.dtype, tensor.scale, tensor.zero_point)
        if end[:2] != said[:2] or not np.allclose(end[2:], said[2:]):
            raise BackendError(f"{name} of the body is {end}, the manifest says {said}; convert the model again")


def usable_threads(wanted: int) -> int:
    """Return as many threads as are wanted, but no more than this process has cores."""
    return min(wanted, len(os.sched_getaffinity(0)))
