"""The seam to the runtime: an int8 body goes in, something that turns pixels into features comes out."""

import importlib
import os
from importlib.metadata import version
from typing import Protocol

import numpy as np
from cxrbundle.bundle import Bundle

from cxrbox.errors import BackendError

# The living successor first; tflite-runtime where a site has only that.
RUNTIMES = (
    ("ai_edge_litert.interpreter", "ai-edge-litert"),
    ("tflite_runtime.interpreter", "tflite-runtime"),
)


class Body(Protocol):
    """Turns one film's input into its feature map.

    Attributes
    ----------
    backend : str
        What does it, named in every result.
    """

    backend: str

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return features, float32 (height, width, channels), for pixels, uint8 (1, side, side, 3)."""


class CpuBody:
    """The body on the CPU, through a TFLite interpreter.

    Parameters
    ----------
    bundle : Bundle
    threads : int
        Threads of the interpreter.

    Raises
    ------
    BackendError
        If no runtime is installed, or the body's ends are not what the manifest says.
    """

    def __init__(self, bundle: Bundle, threads: int):
        interpreter_class, name = _runtime()
        try:
            self._interpreter = interpreter_class(model_content=bundle.body, num_threads=threads)
            self._interpreter.allocate_tensors()
        except (RuntimeError, ValueError) as err:
            raise BackendError(f"the body of {bundle.title} does not load in {name} ({err})") from err
        (entry,), (exit_,) = self._interpreter.get_input_details(), self._interpreter.get_output_details()
        self._entry, self._exit = entry["index"], exit_["index"]
        self._scale, self._zero = exit_["quantization"]
        self.backend = f"cpu {name} {version(name)}"
        for end, detail, tensor in (
            ("input", entry, bundle.manifest.input),
            ("features", exit_, bundle.manifest.features),
        ):
            said = ((1, tensor.height, tensor.width, tensor.channels), (tensor.scale, tensor.zero_point))
            found = (tuple(int(n) for n in detail["shape"]), detail["quantization"])
            if said[0] != found[0] or not np.allclose(said[1], found[1]) or detail["dtype"] != np.uint8:
                raise BackendError(f"{end} of the body is {found}, the manifest says {said}; convert the model again")

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return the feature map of one film; see `Body`."""
        self._interpreter.set_tensor(self._entry, pixels)
        self._interpreter.invoke()
        codes = self._interpreter.get_tensor(self._exit)[0]
        return (codes.astype(np.float32) - self._zero) * np.float32(self._scale)


def _runtime() -> tuple[type, str]:
    """Return the interpreter of the first runtime that is installed, and its name."""
    for module, name in RUNTIMES:
        try:
            return importlib.import_module(module).Interpreter, name
        except ImportError:
            continue
    raise BackendError(f"none of {', '.join(name for _, name in RUNTIMES)} is installed; run make setup")


def usable_threads(wanted: int) -> int:
    """Return as many threads as are wanted, but no more than this process has cores."""
    return min(wanted, len(os.sched_getaffinity(0)))
