"""Rebuild an ONNX body (NCHW) as a TensorFlow function (NHWC) of the same arithmetic.

One builder function stands for each operator. The layout is turned on the constants, so the graph has no
TRANSPOSE; padding is written as SAME wherever that is the same padding, so it has no needless PAD.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
from onnx.helper import get_attribute_value

from cxrconvert.errors import UnsupportedOperatorError
from cxrconvert.onnxbody import input_shape

Pads = tuple[int, int, int, int]
NO_PADS: Pads = (0, 0, 0, 0)


@dataclass(frozen=True)
class Activation:
    """An activation while it is being rebuilt.

    Attributes
    ----------
    tensor : Tensor, shape (1, height, width, channels)
    pads : tuple of int
        Zeros still to be added at the top, left, bottom and right: a convolution takes them over.
    """

    tensor: tf.Tensor
    pads: Pads = NO_PADS

    def settled(self) -> tf.Tensor:
        """Return the tensor with its padding."""
        return self.tensor if self.pads == NO_PADS else _pad(self.tensor, self.pads)


@dataclass(frozen=True)
class Step:
    """One ONNX node with its operands: activations, constants, or None where an input is left out."""

    node: onnx.NodeProto
    operands: tuple[Activation | np.ndarray | None, ...]

    @property
    def attributes(self) -> dict[str, Any]:
        """Attributes of the node by name."""
        return {attribute.name: get_attribute_value(attribute) for attribute in self.node.attribute}

    def constant(self, place: int, default: Any = None) -> Any:
        """Return the constant operand at a place, the default where it is left out."""
        operand = self.operands[place] if place < len(self.operands) else None
        if isinstance(operand, Activation):
            raise self.refusal(f"with a computed input {place}")
        return default if operand is None else operand

    def activation(self, place: int) -> Activation:
        """Return the activation at a place."""
        operand = self.operands[place]
        if not isinstance(operand, Activation):
            raise self.refusal(f"with a constant input {place}")
        return operand

    def refusal(self, form: str = "") -> UnsupportedOperatorError:
        """Return the error that names this operator and node."""
        what = " ".join(part for part in (self.node.op_type, form) if part)
        return UnsupportedOperatorError(
            f"node {self.node.name!r}: operator {what} cannot be rebuilt for the Edge TPU; change the network "
            "or add a builder to cxrconvert.rebuild"
        )


def rebuild_body(model: onnx.ModelProto) -> Callable[[tf.Tensor], tf.Tensor]:
    """Return a concrete function that does what an ONNX body does, in NHWC.

    Parameters
    ----------
    model : ModelProto
        From `cxrconvert.onnxbody`: (1, channels, height, width) to a feature map, float32.

    Returns
    -------
    ConcreteFunction
        From (1, height, width, channels) to (1, height, width, channels), float32.

    Raises
    ------
    UnsupportedOperatorError
        If an operator, or the form of one, has no builder.
    """
    _, channels, height, width = input_shape(model)
    signature = tf.TensorSpec((1, height, width, channels), tf.float32, name="film")
    run = tf.function(lambda film: _run(model.graph, film), input_signature=[signature], autograph=False)
    return run.get_concrete_function()


def _run(graph: onnx.GraphProto, film: tf.Tensor) -> tf.Tensor:
    """Return the body's output for a film, node by node."""
    values: dict[str, Any] = {"": None, graph.input[0].name: Activation(film)}
    values |= {array.name: onnx.numpy_helper.to_array(array) for array in graph.initializer}
    for node in graph.node:
        step = Step(node, tuple(values[name] for name in node.input))
        if node.op_type not in BUILDERS:
            raise step.refusal()
        values[node.output[0]] = BUILDERS[node.op_type](step)
    return values[graph.output[0].name].settled()


def _conv(step: Step) -> Activation:
    """Ordinary and depthwise convolution; the kernel's layout is turned here, once."""
    film, kernel, attributes = step.activation(0), step.constant(1), step.attributes
    group, (down, across) = attributes.get("group", 1), attributes.get("strides", (1, 1))
    if any(spread != 1 for spread in attributes.get("dilations", (1, 1))):
        raise step.refusal("with dilations")
    tensor, padding = _padding(step, film, kernel.shape[2:], (down, across))
    if group == 1:
        result = tf.nn.conv2d(tensor, kernel.transpose(2, 3, 1, 0), (down, across), padding)
    elif group == tensor.shape[-1] and down == across:
        deep = kernel.reshape(group, -1, *kernel.shape[2:]).transpose(2, 3, 0, 1)
        result = tf.nn.depthwise_conv2d(tensor, deep, (1, down, across, 1), padding)
    else:
        raise step.refusal(f"with {group} groups and strides {(down, across)}")
    bias = step.constant(2)
    return Activation(result if bias is None else tf.nn.bias_add(result, bias))


def _padding(step: Step, film: Activation, kernel: tuple[int, ...], strides: tuple[int, int]) -> tuple[tf.Tensor, str]:
    """Return a convolution's input and TensorFlow's word for its padding, "SAME" or "VALID"."""
    automatic = step.attributes.get("auto_pad", b"NOTSET").decode()
    own = tuple(step.attributes.get("pads", NO_PADS))
    same = same_pads(film.tensor.shape[1:3], kernel, strides)
    if automatic == "SAME_UPPER" and film.pads == NO_PADS:
        own = same
    elif automatic not in ("NOTSET", "VALID"):
        raise step.refusal(f"with auto_pad {automatic}")
    pads = tuple(a + b for a, b in zip(film.pads, own, strict=True))
    if pads == NO_PADS:
        return film.tensor, "VALID"
    return (film.tensor, "SAME") if pads == same else (_pad(film.tensor, pads), "VALID")


def same_pads(size: tuple[int, int], kernel: tuple[int, ...], strides: tuple[int, int]) -> Pads:
    """Return the pads (top, left, bottom, right) that TensorFlow's SAME means at this size."""
    totals = [
        max((-(-side // stride) - 1) * stride + reach - side, 0)
        for side, reach, stride in zip(size, kernel, strides, strict=True)
    ]
    before = [total // 2 for total in totals]
    return (*before, *(total - first for total, first in zip(totals, before, strict=True)))


def _pad(tensor: tf.Tensor, pads: Pads) -> tf.Tensor:
    top, left, bottom, right = pads
    return tf.pad(tensor, [(0, 0), (top, bottom), (left, right), (0, 0)])


def _zero_pad(step: Step) -> Activation:
    """Pad: zeros round the picture are only noted, for the convolution that follows."""
    film, mode = step.activation(0), step.attributes.get("mode", b"constant").decode()
    pads = [int(amount) for amount in step.constant(1)]
    picture_only = len(pads) == 8 and not any(pads[i] for i in (0, 1, 4, 5)) and min(pads) >= 0
    if mode != "constant" or step.constant(2, 0) != 0 or step.constant(3) is not None or not picture_only:
        raise step.refusal(f"of mode {mode} by {pads}")
    inner = (pads[2], pads[3], pads[6], pads[7])
    return Activation(film.tensor, tuple(a + b for a, b in zip(film.pads, inner, strict=True)))


def _clip(step: Step) -> Activation:
    """Clip, where it is one of the activations that int8 fuses into the convolution before it."""
    bounds = float(step.constant(1, -np.inf)), float(step.constant(2, np.inf))
    if bounds == (0, 6):
        return Activation(tf.nn.relu6(step.activation(0).settled()))
    if bounds[0] == 0 and bounds[1] >= np.finfo(np.float32).max:
        return _relu(step)
    raise step.refusal(f"to {bounds}")


def _relu(step: Step) -> Activation:
    return Activation(tf.nn.relu(step.activation(0).settled()))


def _add(step: Step) -> Activation:
    """Sum of two activations of one shape, a residual connection."""
    left, right = (step.activation(place).settled() for place in (0, 1))
    if left.shape != right.shape:
        raise step.refusal(f"of {tuple(left.shape)} and {tuple(right.shape)}")
    return Activation(left + right)


def _identity(step: Step) -> Activation:
    return step.activation(0)


BUILDERS: dict[str, Callable[[Step], Activation]] = {
    "Add": _add,
    "Clip": _clip,
    "Conv": _conv,
    "Identity": _identity,
    "Pad": _zero_pad,
    "Relu": _relu,
}
