"""An int8 network in a TFLite interpreter; small, because the process of the Edge TPU needs no more than this."""

import importlib
from importlib.metadata import version
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from cxrbox.errors import BackendError

# The living successor first; tflite-runtime where a site has only that.
RUNTIMES = (
    ("ai_edge_litert.interpreter", "ai-edge-litert"),
    ("tflite_runtime.interpreter", "tflite-runtime"),
)


class End(NamedTuple):
    """One end of a network: value = scale * (q - zero_point).

    Attributes
    ----------
    shape : list of int
        Of the tensor, with its batch of 1.
    dtype : str
        Name of the numpy type.
    """

    shape: list[int]
    dtype: str
    scale: float
    zero_point: int


class Network:
    """An interpreter that is ready to run.

    Parameters
    ----------
    interpreter : Interpreter
        Of ai-edge-litert, tflite-runtime or pycoral, with the model in it.

    Attributes
    ----------
    ends : tuple of End
        Pixels and features.

    Raises
    ------
    RuntimeError
        If the runtime cannot run the model.
    ValueError
        If the model has more than two ends.
    """

    def __init__(self, interpreter: Any):
        interpreter.allocate_tensors()
        (entry,), (exit_,) = interpreter.get_input_details(), interpreter.get_output_details()
        self._interpreter = interpreter
        self._entry, self._exit = entry["index"], exit_["index"]
        self.ends = _end(entry), _end(exit_)

    def codes(self, pixels: np.ndarray) -> np.ndarray:
        """Return the features as they leave the network, uint8 (height, width, channels)."""
        self._interpreter.set_tensor(self._entry, pixels)
        self._interpreter.invoke()
        return self._interpreter.get_tensor(self._exit)[0]


def _end(detail: dict[str, Any]) -> End:
    scale, zero_point = detail["quantization"]
    return End([int(n) for n in detail["shape"]], np.dtype(detail["dtype"]).name, float(scale), int(zero_point))


def to_features(codes: np.ndarray, end: End) -> np.ndarray:
    """Return the features, float32, that codes of this end stand for."""
    return (codes.astype(np.float32) - end.zero_point) * np.float32(end.scale)


def find_runtime() -> tuple[ModuleType, str]:
    """Return the interpreter's module of the first runtime that is installed, and its name with the version.

    Raises
    ------
    BackendError
        If none is installed.
    """
    for module, name in RUNTIMES:
        try:
            return importlib.import_module(module), f"{name} {version(name)}"
        except ImportError:
            continue
    raise BackendError(f"none of {', '.join(name for _, name in RUNTIMES)} is installed; run make setup")
