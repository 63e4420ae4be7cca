"""Run a body on films: int8 and float TFLite files with ai-edge-litert, ONNX with ONNX Runtime."""

from typing import Protocol

import numpy as np
import onnx
import onnxruntime
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from cxrbundle.manifest import Tensor

from cxrconvert.errors import QuantisationError

THREADS = 2


class Body(Protocol):
    """A body reads a film of the contract, uint8 of shape (1, size, size, 3)."""

    def __call__(self, film: np.ndarray) -> np.ndarray:
        """Return the feature map, float32 of shape (height, width, channels)."""


class TfliteBody:
    """A TFLite body, float or with uint8 ends.

    Parameters
    ----------
    content : bytes
        The flatbuffer.
    scale, zero_point : float, int
        Scaling of the pixels, for a float file; a uint8 file does its own.
    plain_kernels : bool
        Leave out the default delegate (XNNPACK): the kernels every build of TFLite has.
    """

    def __init__(self, content: bytes, scale: float, zero_point: int, plain_kernels: bool = False):
        plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        resolver = plain if plain_kernels else OpResolverType.AUTO
        self.interpreter = Interpreter(
            model_content=content, num_threads=THREADS, experimental_op_resolver_type=resolver
        )
        self.interpreter.allocate_tensors()
        (self.entry,), (self.exit,) = self.interpreter.get_input_details(), self.interpreter.get_output_details()
        self.scaling = scale, zero_point

    def __call__(self, film: np.ndarray) -> np.ndarray:
        """Return the feature map of one film; see `Body`."""
        integer = self.entry["dtype"] == np.uint8
        self.interpreter.set_tensor(self.entry["index"], film if integer else scale_film(film, *self.scaling))
        self.interpreter.invoke()
        features = self.interpreter.get_tensor(self.exit["index"])[0]
        if not integer:
            return features
        scale, zero_point = self.exit["quantization"]
        return np.float32(scale) * (features.astype(np.float32) - zero_point)

    def ends(self) -> tuple[Tensor, Tensor]:
        """Return the contract's description of the input and of the feature map of a uint8 body."""
        return describe(self.entry), describe(self.exit)


class OnnxBody:
    """An ONNX body in NCHW, run in float32."""

    def __init__(self, model: onnx.ModelProto, scale: float, zero_point: int):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = THREADS
        content = model.SerializeToString()
        self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        self.name = self.session.get_inputs()[0].name
        self.scaling = scale, zero_point

    def __call__(self, film: np.ndarray) -> np.ndarray:
        """Return the feature map of one film; see `Body`."""
        scaled = scale_film(film, *self.scaling).transpose(0, 3, 1, 2)
        (features,) = self.session.run(None, {self.name: np.ascontiguousarray(scaled)})
        return np.ascontiguousarray(features[0].transpose(1, 2, 0))


def scale_film(film: np.ndarray, scale: float, zero_point: int) -> np.ndarray:
    """Return scale * (film - zero_point) in float32."""
    return np.float32(scale) * (film.astype(np.float32) - np.float32(zero_point))


def describe(end: dict) -> Tensor:
    """Return the contract's description of one end of a uint8 body."""
    if end["dtype"] != np.uint8 or len(end["shape"]) != 4:
        raise QuantisationError(f"tensor {end['name']!r} is no uint8 picture; quantise the body with uint8 ends")
    (scale, zero_point), (_, height, width, channels) = end["quantization"], end["shape"].tolist()
    return Tensor(height, width, channels, float(scale), int(zero_point))
