"""What the Edge TPU compiler refuses, each limitation a row of one table with its source."""

import enum
from collections.abc import Callable
from dataclasses import dataclass

from cxrconvert.edgetpu import conditions as when
from cxrconvert.edgetpu.cost import HEAVY
from cxrconvert.edgetpu.graph import Operator

# Where a limitation is documented.
CORAL = "coral.ai/docs/edgetpu/models-intro, supported operations"
REQUIREMENTS = "coral.ai/docs/edgetpu/models-intro, model requirements"
REPORTS = "users' reports of edgetpu_compiler 16.0, gathered in coral-runtime.md"

# The operators on Coral's list, with the highest version that edgetpu_compiler 16.0 is taken to know: those of the
# users' reports, and for the rest the version of the int8 form in TensorFlow's op_version.cc. FULLY_CONNECTED is 5
# where it keeps its dimensions and 6 without a bias, MUL 3 where its scales multiply to 1 or more.
VERSIONS = {
    "ADD": 2, "AVERAGE_POOL_2D": 2, "CONCATENATION": 2, "CONV_2D": 3, "DEPTHWISE_CONV_2D": 3, "EXPAND_DIMS": 1,
    "FULLY_CONNECTED": 6, "L2_NORMALIZATION": 2, "LOGISTIC": 2, "MAXIMUM": 2, "MAX_POOL_2D": 2, "MEAN": 2,
    "MINIMUM": 2, "MUL": 3, "PACK": 2, "PAD": 2, "PRELU": 1, "QUANTIZE": 1, "REDUCE_MAX": 2, "REDUCE_MIN": 2,
    "RELU": 2, "RELU6": 2, "RELU_N1_TO_1": 2, "RESHAPE": 1, "RESIZE_BILINEAR": 3, "RESIZE_NEAREST_NEIGHBOR": 3,
    "RSQRT": 2, "SLICE": 2, "SOFTMAX": 2, "SPACE_TO_DEPTH": 2, "SPLIT": 2, "SQUARED_DIFFERENCE": 2, "SQUEEZE": 1,
    "STRIDED_SLICE": 2, "SUB": 2, "SUM": 2, "TANH": 2, "TRANSPOSE": 2, "TRANSPOSE_CONV": 3,
}  # fmt: skip
# These are not on it, and have a sentence of their own.
NAMED = ("LEAKY_RELU", "DEQUANTIZE")
REDUCTIONS = ("MEAN", "SUM", "REDUCE_MAX", "REDUCE_MIN")


class Effect(enum.Enum):
    """What follows where an operator breaks a rule."""

    PERHAPS = "the compiler may leave it to the CPU"
    CPU = "it stays on the CPU, with all that follows"
    MODEL = "the compiler refuses the whole model"


@dataclass(frozen=True)
class Rule:
    """A limitation.

    Attributes
    ----------
    operators : tuple of str
        Whom it concerns; empty for every operator.
    find : callable
        From an operator to what of it breaks the rule, in words, or None.
    sentence : str
        What is wrong and what to do; {} stands for what was found.
    source : str
    effect : Effect
    """

    operators: tuple[str, ...]
    find: Callable[[Operator], str | None]
    sentence: str
    source: str
    effect: Effect = Effect.CPU


@dataclass(frozen=True)
class Fault:
    """A rule that an operator breaks, and the sentence that says so."""

    rule: Rule
    sentence: str


def find_faults(operator: Operator) -> tuple[Fault, ...]:
    """Return the rules that an operator breaks, in the order of the table."""
    faults = []
    for rule in RULES:
        if not rule.operators or operator.name in rule.operators:
            found = rule.find(operator)
            if found is not None:
                faults.append(Fault(rule, rule.sentence.format(found)))
    return tuple(faults)


def _unlisted(operator: Operator) -> str | None:
    """An operator that is not on Coral's list."""
    return None if operator.name in (*VERSIONS, *NAMED) else operator.name


def _newer(operator: Operator) -> str | None:
    """A newer version; float and grouped forms have newer ones too, and sentences of their own."""
    known = VERSIONS.get(operator.name, operator.version)
    own = when.grouped(operator) or when.float_tensor(operator)
    return None if own or operator.version <= known else f"{operator.version}, and {known} is the newest"


RULES = (
    Rule((), _unlisted, "the Edge TPU does not run {}; build the network without it", CORAL),
    Rule(("LEAKY_RELU",), when.always, "the Edge TPU has no LeakyReLU; use ReLU or ReLU6", REPORTS),
    Rule(
        ("DEQUANTIZE",), when.always,
        "DEQUANTIZE begins a float island, which stays on the CPU; quantise what follows, with uint8 or int8 outputs",
        REQUIREMENTS,
    ),
    Rule(
        ("QUANTIZE",), when.float_tensor, "{}, so the CPU quantises it; give the model uint8 inputs", REQUIREMENTS
    ),
    Rule(
        (), when.dynamic_range,
        "{} and the weights are 8 bits: a dynamic-range model; quantise it fully, with representative films", REPORTS,
    ),
    Rule((), when.plain_float, "{}; quantise it fully", REQUIREMENTS),
    Rule((), when.other_type, "{}; only int8 and uint8 run on the Edge TPU", REQUIREMENTS),
    Rule((), when.unscaled, "{} has no scale; quantise it fully", REQUIREMENTS),
    Rule((), when.per_channel_activation, "{} has a scale for every channel; only weights may have that", REQUIREMENTS),
    Rule((), when.dynamic, "{}; export the model with fixed sizes", REQUIREMENTS),
    Rule((), when.batch, "{}: a batch of more than 1; export the model with batch 1", REPORTS),
    Rule((), when.rank, "{}; only the 3 innermost dimensions may exceed 1", REQUIREMENTS),
    Rule(
        (), _newer, "its version is {} that the compiler is known to take; convert with a release that writes that",
        REPORTS, Effect.MODEL,
    ),
    Rule(
        HEAVY, when.computed_parameter, "{}, a filter or bias, is not constant; fold it before converting", REQUIREMENTS
    ),
    Rule(
        ("CONV_2D",), when.grouped,
        "a grouped convolution ({}; CONV_2D version 6) is refused; use an ordinary or a depthwise one", REPORTS,
        Effect.MODEL,
    ),
    Rule(("CONV_2D", "DEPTHWISE_CONV_2D"), when.uneven_dilation, "dilations {} differ; make them the same", CORAL),
    Rule(
        ("AVERAGE_POOL_2D", "MAX_POOL_2D", "CONCATENATION"), when.fused,
        "{} must have no fused activation; put the activation elsewhere", CORAL,
    ),
    Rule(
        ("CONCATENATION",), when.constant_part,
        "the constant {} is joined; only one constant of zeros beside one activation is taken", CORAL,
    ),
    Rule(REDUCTIONS, when.reduces_batch, "{} is the batch, which must not be reduced", CORAL),
    Rule(("MEAN",), when.uneven_depth, "a depth of {} is reduced; it must be a multiple of 4", CORAL),
    Rule(("PAD",), when.pads_batch, "the batch is padded by {}; pad height, width or depth only", CORAL),
    Rule(("SPLIT",), when.splits_batch, "{} is the batch, which must not be split", CORAL),
    Rule(("PACK",), when.packs_batch, "{} is the batch; pack along another axis", CORAL),
    Rule(("FULLY_CONNECTED",), when.shuffled_weights, "its weights are {}; only the default format is taken", CORAL),
    Rule(
        ("FULLY_CONNECTED",), when.not_flat, "its output {} is not one-dimensional; use a 1x1 convolution", CORAL
    ),
    Rule(
        ("FULLY_CONNECTED",), when.per_channel_weights,
        "its weights are quantised per channel ({}); convert with "
        "_experimental_disable_per_channel_quantization_for_dense_layers = True", REPORTS,
    ),
    Rule(
        ("TRANSPOSE",), when.transposed_map,
        "a feature map of {} is transposed, which is refused where it is large; build the network in NHWC", REPORTS,
    ),
    Rule(("SOFTMAX",), when.wide_softmax, "its shape is {}; it must be flat, of 16,000 values at most", CORAL),
    Rule(("STRIDED_SLICE",), when.strided, "{}; strides must be 1, without ellipsis or new axis", CORAL),
    Rule(("SQUEEZE",), when.inner_one, "the 1 inside {} is squeezed; only leading ones may go", CORAL),
    Rule(("PRELU",), when.deep_alpha, "its alpha has the shape {}; only the innermost side may exceed 1", CORAL),
    Rule(
        ("RESIZE_BILINEAR", "RESIZE_NEAREST_NEIGHBOR"), when.always,
        "{} is taken or not, depending on its size; only the compiler knows", CORAL, Effect.PERHAPS,
    ),
)  # fmt: skip
