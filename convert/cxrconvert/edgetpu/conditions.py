"""The conditions of the rules: each returns what of an operator breaks a rule, in words, or None.

Where an input is left out or of another kind than the operator asks for, a condition finds nothing.
"""

from collections.abc import Callable, Iterable

from cxrconvert.edgetpu.cost import HEAVY
from cxrconvert.edgetpu.graph import Operator, Tensor

EIGHT_BIT = ("int8", "uint8")
FLOATS = ("float16", "float32", "float64", "bfloat16")
SOFTMAX_ELEMENTS = 16_000
SHAPED = "tensor {tensor.name!r} has the shape {tensor.shape}"


def always(operator: Operator) -> str:
    """The operator itself."""
    return operator.name


def first(tensors: Iterable[Tensor], broken: Callable[[Tensor], bool], words: str) -> str | None:
    """Return words on the first tensor that is broken."""
    return next((words.format(tensor=tensor) for tensor in tensors if broken(tensor)), None)


def wide(shape: tuple[int, ...]) -> int:
    """Return how many sides exceed 1."""
    return sum(side > 1 for side in shape)


def is_float(tensor: Tensor | None) -> bool:
    """Whether a tensor holds floating-point numbers."""
    return tensor is not None and tensor.type in FLOATS


def float_tensor(operator: Operator) -> str | None:
    """A floating-point activation."""
    return first(operator.activations, is_float, "tensor {tensor.name!r} is {tensor.type}")


def dynamic_range(operator: Operator) -> str | None:
    """Weights of 8 bits on floating-point activations."""
    kernel = operator.input(1) if operator.name in HEAVY else None
    return float_tensor(operator) if kernel and kernel.constant and kernel.type in EIGHT_BIT else None


def plain_float(operator: Operator) -> str | None:
    """A floating-point activation for which no other rule has a sentence."""
    own = operator.name in ("QUANTIZE", "DEQUANTIZE") or dynamic_range(operator)
    return None if own else float_tensor(operator)


def other_type(operator: Operator) -> str | None:
    """An activation of another width, such as int16 or int32."""
    taken = (*EIGHT_BIT, *FLOATS)
    return first(operator.activations, lambda t: t.type not in taken, "tensor {tensor.name!r} is {tensor.type}")


def unscaled(operator: Operator) -> str | None:
    """An activation of 8 bits without quantisation."""
    return first(operator.activations, lambda t: t.type in EIGHT_BIT and not t.scales, "tensor {tensor.name!r}")


def per_channel_activation(operator: Operator) -> str | None:
    """An activation with many scales."""
    return first(operator.activations, lambda t: t.scales > 1, "tensor {tensor.name!r}")


def dynamic(operator: Operator) -> str | None:
    """An activation without a fixed shape."""
    return first(operator.activations, lambda t: t.dynamic, "tensor {tensor.name!r} has no fixed shape")


def batch(operator: Operator) -> str | None:
    """A picture-like activation of several films."""
    return first(operator.activations, lambda t: len(t.shape) == 4 and t.shape[0] > 1, SHAPED)


def rank(operator: Operator) -> str | None:
    """An activation of more than four dimensions that needs them."""
    return first(operator.activations, lambda t: len(t.shape) > 4 and max(t.shape[:-3]) > 1, SHAPED)


def computed_parameter(operator: Operator) -> str | None:
    """A filter or bias that is not constant."""
    parameters = operator.inputs[1 : 2 if operator.name == "TRANSPOSE_CONV" else 3]
    return first(filter(None, parameters), lambda t: not t.constant, "tensor {tensor.name!r}")


def grouped(operator: Operator) -> str | None:
    """A convolution whose kernel sees only some of the channels."""
    film, kernel = operator.input(0), operator.input(1)
    if operator.name != "CONV_2D" or not film or not kernel or not film.shape or not kernel.shape:
        return None
    deep, taken = film.shape[-1], kernel.shape[-1]
    return None if deep == taken or taken < 1 else f"{deep // taken} groups"


def uneven_dilation(operator: Operator) -> str | None:
    """A dilation that differs between height and width."""
    down, across = operator.option("dilationHFactor"), operator.option("dilationWFactor")
    return None if down == across else f"{down} and {across}"


def fused(operator: Operator) -> str | None:
    """An activation function within the operator."""
    return operator.name if operator.option("fusedActivationFunction") else None


def constant_part(operator: Operator) -> str | None:
    """A constant that is joined, unless it is one of zeros beside one activation."""
    constants = operator.constants
    blank = all(not tensor.data.any() for tensor in constants)
    return None if not constants or (len(operator.inputs) == 2 and blank) else repr(constants[0].name)


def axes(operator: Operator) -> list[int]:
    """Return the axes that an operator reduces, counted from the front."""
    film, along = operator.input(0), operator.input(1)
    return [axis % len(film.shape) for axis in along.integers()] if film and film.shape and along else []


def reduces_batch(operator: Operator) -> str | None:
    """A reduction over films."""
    return "axis 0" if 0 in axes(operator) else None


def uneven_depth(operator: Operator) -> str | None:
    """A reduction over a depth that is no multiple of 4."""
    film = operator.input(0)
    deep = film is not None and len(film.shape) - 1 in axes(operator)
    return str(film.shape[-1]) if deep and film.shape[-1] % 4 else None


def pads_batch(operator: Operator) -> str | None:
    """Padding by whole films."""
    pads = operator.input(1)
    amounts = pads.integers()[:2] if pads else []
    return str(amounts) if any(amounts) else None


def splits_batch(operator: Operator) -> str | None:
    """A split between films."""
    axis = operator.input(0)
    return "axis 0" if axis and axis.integers()[:1] == [0] else None


def packs_batch(operator: Operator) -> str | None:
    """Activations packed as films."""
    return None if operator.option("axis") else "axis 0"


def not_flat(operator: Operator) -> str | None:
    """An output of several dimensions."""
    return first(operator.outputs, lambda t: wide(t.shape) > 1, "{tensor.shape}")


def shuffled_weights(operator: Operator) -> str | None:
    """Weights in another order than the default."""
    return "shuffled" if operator.option("weightsFormat") else None


def per_channel_weights(operator: Operator) -> str | None:
    """Weights with many scales."""
    kernel = operator.input(1)
    return f"{kernel.scales} scales" if kernel and kernel.scales > 1 else None


def transposed_map(operator: Operator) -> str | None:
    """A feature map whose numbers move; a change of the shape alone costs nothing."""
    film, order = operator.input(0), operator.input(1)
    if not film or not order or wide(film.shape) < 3:
        return None
    moved = [axis for axis in order.integers() if 0 <= axis < len(film.shape) and film.shape[axis] > 1]
    return str(film.shape) if moved != sorted(moved) else None


def wide_softmax(operator: Operator) -> str | None:
    """A softmax of several dimensions, or of too many values."""
    return first(operator.activations, lambda t: wide(t.shape) > 1 or t.elements > SOFTMAX_ELEMENTS, "{tensor.shape}")


def strided(operator: Operator) -> str | None:
    """A slice that jumps, or that makes or fills in axes."""
    steps = operator.input(3)
    if steps and any(step != 1 for step in steps.integers()):
        return f"its strides are {steps.integers()}"
    return "it has a mask" if operator.option("ellipsisMask") or operator.option("newAxisMask") else None


def inner_one(operator: Operator) -> str | None:
    """A side of 1 between others that is squeezed."""
    film = operator.input(0)
    shape = film.shape if film else ()
    leading = next((i for i, side in enumerate(shape) if side != 1), len(shape))
    return str(shape) if 1 in shape[leading:] else None


def deep_alpha(operator: Operator) -> str | None:
    """A slope that varies over the picture."""
    alpha = operator.input(1)
    return str(alpha.shape) if alpha and wide(alpha.shape[:-1]) else None
