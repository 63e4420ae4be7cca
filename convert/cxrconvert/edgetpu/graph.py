"""A TFLite file as plain values: operators, tensors and constants, read from the flatbuffer alone."""

import struct
from dataclasses import dataclass, field
from math import prod
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils

from cxrconvert.errors import NotTfliteError

# Python's flatbuffers has no verifier: in a damaged file an offset leads anywhere, and each step fails in its own way.
DAMAGE = (AttributeError, IndexError, OverflowError, TypeError, ValueError, struct.error)
INTEGERS = {"int32": np.int32, "int64": np.int64}


def _names(kinds: type) -> dict[int, str]:
    """Return the names of one of the schema's enumerations by value."""
    return {value: name for name, value in vars(kinds).items() if isinstance(value, int)}


OPERATORS, TYPES = _names(schema.BuiltinOperator), _names(schema.TensorType)


@dataclass(frozen=True)
class Tensor:
    """A tensor of a TFLite file.

    Attributes
    ----------
    shape : tuple of int
    type : str
        Such as int8 or float32.
    scales : int
        Scales of its quantisation: 0 where it has none, 1 per tensor, else per channel.
    dynamic : bool
        Whether a side is known only when the model runs.
    buffer : int
        Number of the constant's bytes in the file; tensors may share them.
    data : ndarray of uint8, or None
        Bytes of a constant.
    """

    name: str
    shape: tuple[int, ...]
    type: str
    scales: int = 0
    dynamic: bool = False
    buffer: int = 0
    data: np.ndarray | None = field(default=None, repr=False, compare=False)

    @property
    def constant(self) -> bool:
        """Whether its values stand in the file."""
        return self.data is not None

    @property
    def elements(self) -> int:
        """Number of values."""
        return prod(self.shape)

    @property
    def quantisation(self) -> str:
        """Return none, per tensor or per channel."""
        return ("none", "per tensor")[self.scales] if self.scales < 2 else "per channel"

    def integers(self) -> list[int]:
        """Return a constant of whole numbers (axes, paddings, strides), flat; empty for any other tensor."""
        kind = INTEGERS.get(self.type)
        if self.data is None or kind is None or self.data.nbytes % np.dtype(kind).itemsize:
            return []
        return np.frombuffer(self.data.tobytes(), kind).tolist()


@dataclass(frozen=True)
class Operator:
    """An operator of a TFLite file.

    Attributes
    ----------
    place : int
        In the order in which operators run, from 0.
    name : str
        As in TFLite's schema, such as CONV_2D; the custom code of a custom operator.
    inputs : tuple of Tensor or None
        None where an input is left out.
    options : Any
        The schema's table of options, or None.
    custom : bytes
        Options of a custom operator.
    """

    place: int
    name: str
    version: int
    inputs: tuple[Tensor | None, ...]
    outputs: tuple[Tensor, ...]
    options: Any = field(default=None, repr=False, compare=False)
    custom: bytes = field(default=b"", repr=False)

    def input(self, place: int) -> Tensor | None:
        """Return an input, None where there is none."""
        return self.inputs[place] if place < len(self.inputs) else None

    @property
    def constants(self) -> list[Tensor]:
        """Inputs whose values stand in the file."""
        return [tensor for tensor in self.inputs if tensor and tensor.constant]

    @property
    def activations(self) -> list[Tensor]:
        """Inputs and outputs that are computed."""
        return [tensor for tensor in (*self.inputs, *self.outputs) if tensor and not tensor.constant]

    def option(self, name: str) -> Any:
        """Return one of the options by the schema's name, 0 (the schema's default) where it is not said."""
        return getattr(self.options, name, 0) or 0

    def where(self) -> str:
        """Return the name of the tensor that it makes, by which viewers of models find it."""
        return self.outputs[0].name if self.outputs else "(no output)"


@dataclass(frozen=True)
class Graph:
    """The main graph of a TFLite file."""

    operators: tuple[Operator, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]


def read_graph(content: bytes) -> Graph:
    """Return the main graph of a TFLite file.

    Raises
    ------
    NotTfliteError
        If the bytes are no TFLite file, or a damaged one.
    """
    if content[4:8] != b"TFL3":
        raise NotTfliteError(
            f"no TFLite file: the mark TFL3 is missing in its {len(content)} bytes; give a .tflite file"
        )
    try:
        return _graph(flatbuffer_utils.read_model_from_bytearray(content))
    except DAMAGE as err:
        raise NotTfliteError(f"a damaged TFLite file ({err}); take it from its source again") from err


def _graph(model: schema.ModelT) -> Graph:
    main = model.subgraphs[0]
    tensors = [_tensor(tensor, model.buffers) for tensor in main.tensors]
    operators = tuple(_operator(i, found, model.operatorCodes, tensors) for i, found in enumerate(main.operators or []))
    return Graph(operators, tuple(_pick(tensors, main.inputs)), tuple(_pick(tensors, main.outputs)))


def _tensor(tensor: schema.TensorT, buffers: list[schema.BufferT]) -> Tensor:
    shape = () if tensor.shape is None else tuple(int(side) for side in tensor.shape)
    signature = () if tensor.shapeSignature is None else tuple(tensor.shapeSignature)
    scale = tensor.quantization.scale if tensor.quantization else None
    data = _at(buffers, tensor.buffer).data
    return Tensor(
        name=_text(tensor.name),
        shape=shape,
        type=TYPES.get(tensor.type, f"type {tensor.type}").lower(),
        scales=0 if scale is None else len(scale),
        dynamic=min((*shape, *signature), default=1) < 1,
        buffer=int(tensor.buffer),
        data=None if data is None else np.frombuffer(data, np.uint8),
    )


def _operator(
    place: int, found: schema.OperatorT, codes: list[schema.OperatorCodeT], tensors: list[Tensor]
) -> Operator:
    code = _at(codes, found.opcodeIndex)
    kind = flatbuffer_utils.get_builtin_code_from_operator_code(code)
    custom = kind == schema.BuiltinOperator.CUSTOM
    return Operator(
        place=place,
        name=_text(code.customCode) if custom else OPERATORS.get(kind, f"operator {kind}"),
        version=code.version,
        inputs=tuple(None if i == -1 else _at(tensors, i) for i in _indices(found.inputs)),
        outputs=tuple(_pick(tensors, found.outputs)),
        options=found.builtinOptions,
        custom=b"" if found.customOptions is None else bytes(found.customOptions),
    )


def _indices(found: Any) -> list[int]:
    return [] if found is None else [int(i) for i in found]


def _pick(tensors: list[Tensor], found: Any) -> list[Tensor]:
    return [_at(tensors, i) for i in _indices(found)]


def _at(values: list, place: int) -> Any:
    """Return an element; an index below 0 is damage here, and not the list's other end."""
    if not 0 <= place < len(values):
        raise IndexError(f"number {place} of {len(values)}")
    return values[place]


def _text(raw: bytes | None) -> str:
    return (raw or b"").decode("utf-8", "replace")
