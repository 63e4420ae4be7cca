"""What stands in TensorFlow, in NHWC, for each ONNX operator of a body: one small builder for one operator."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import tensorflow as tf
from onnx.helper import get_attribute_value

from cxrconvert.errors import UnsupportedOperatorError

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
    positive : bool
        Whether every value is known to be >= 0.
    pooled : bool
        Whether it comes straight out of a pool.
    """

    tensor: tf.Tensor
    pads: Pads = NO_PADS
    positive: bool = False
    pooled: bool = False

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

    def activations(self) -> list[Activation]:
        """Return all operands, every one of which must be an activation."""
        return [self.activation(place) for place in range(len(self.operands))]

    def refusal(self, form: str = "") -> UnsupportedOperatorError:
        """Return the error that names this operator and node."""
        what = " ".join(part for part in (self.node.op_type, form) if part)
        return UnsupportedOperatorError(
            f"node {self.node.name!r}: operator {what} cannot be rebuilt for the Edge TPU; change the network "
            "or add a builder to cxrconvert.builders"
        )


def _conv(step: Step) -> Activation:
    """Ordinary and depthwise convolution; the kernel's layout is turned here, once."""
    film, kernel, group = step.activation(0), step.constant(1), step.attributes.get("group", 1)
    down, across = _strides(step)
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


def _strides(step: Step) -> tuple[int, int]:
    """Return the strides of a convolution or pool; its window must have no gaps and stay within the picture."""
    if any(spread != 1 for spread in step.attributes.get("dilations", (1, 1))):
        raise step.refusal("with dilations")
    if step.attributes.get("ceil_mode", 0):
        raise step.refusal("with ceil_mode")
    return tuple(step.attributes.get("strides", (1, 1)))


def _padding(step: Step, film: Activation, kernel: tuple[int, ...], strides: tuple[int, int]) -> tuple[tf.Tensor, str]:
    """Return the input of a convolution or pool and TensorFlow's word for its padding, "SAME" or "VALID"."""
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
    return replace(film, pads=tuple(a + b for a, b in zip(film.pads, inner, strict=True)))


def _max_pool(step: Step) -> Activation:
    """Largest value under each window. ONNX and SAME pad with nothing, PAD with zeros: alike for values >= 0 only."""
    film, kernel, strides = step.activation(0), step.attributes["kernel_shape"], _strides(step)
    film = replace(film, tensor=film.settled(), pads=NO_PADS)
    tensor, padding = _padding(step, film, kernel, strides)
    if tensor is not film.tensor and not film.positive:
        raise step.refusal("with padding unlike TensorFlow's SAME, round values that may be below 0,")
    return Activation(tf.nn.max_pool2d(tensor, kernel, strides, padding), positive=film.positive, pooled=True)


def _average_pool(step: Step) -> Activation:
    """Mean under each window; padding of its own is refused, for ONNX and TensorFlow divide it differently."""
    film, kernel, strides = step.activation(0), step.attributes["kernel_shape"], _strides(step)
    if any(step.attributes.get("pads", NO_PADS)) or step.attributes.get("auto_pad", b"NOTSET").startswith(b"SAME"):
        raise step.refusal("with padding")
    return Activation(tf.nn.avg_pool2d(film.settled(), kernel, strides, "VALID"), positive=film.positive, pooled=True)


def _concat(step: Step) -> Activation:
    """Channels side by side: ONNX's axis 1 is the last one here."""
    parts, axis = step.activations(), step.attributes["axis"]
    if axis not in (1, -3):
        raise step.refusal(f"along axis {axis}")
    return Activation(tf.concat([part.settled() for part in parts], -1), positive=all(part.positive for part in parts))


def _clip(step: Step) -> Activation:
    """Clip, where it is one of the activations that int8 fuses into the operator before it."""
    bounds = float(step.constant(1, -np.inf)), float(step.constant(2, np.inf))
    if bounds == (0, 6):
        return _activate(step, tf.nn.relu6)
    if bounds[0] == 0 and bounds[1] >= np.finfo(np.float32).max:
        return _relu(step)
    raise step.refusal(f"to {bounds}")


def _relu(step: Step) -> Activation:
    return _activate(step, tf.nn.relu)


def _activate(step: Step, function: Callable[[tf.Tensor], tf.Tensor]) -> Activation:
    """Apply an activation function, but not to a pool: the converter would fuse them, which no Edge TPU takes."""
    film = step.activation(0)
    if film.pooled:
        raise step.refusal("right after a pool")
    return Activation(function(film.settled()), positive=True)


def _add(step: Step) -> Activation:
    """Sum of two activations of one shape, a residual connection."""
    parts = step.activations()
    left, right = (part.settled() for part in parts)
    if left.shape != right.shape:
        raise step.refusal(f"of {tuple(left.shape)} and {tuple(right.shape)}")
    return Activation(left + right, positive=all(part.positive for part in parts))


def _identity(step: Step) -> Activation:
    return step.activation(0)


BUILDERS: dict[str, Callable[[Step], Activation]] = {
    "Add": _add,
    "AveragePool": _average_pool,
    "Clip": _clip,
    "Concat": _concat,
    "Conv": _conv,
    "Identity": _identity,
    "MaxPool": _max_pool,
    "Pad": _zero_pad,
    "Relu": _relu,
}
