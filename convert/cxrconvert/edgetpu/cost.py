"""What an operator costs: multiply-accumulates (MACs) and bytes of parameters."""

from collections.abc import Iterable
from math import prod

from cxrconvert.edgetpu.graph import Operator

# Bytes on the chip for parameters, about (coral.ai/docs/edgetpu/compiler, "parameter data caching"); what the
# compiler needs for activations is taken from it, so the compiler's own log is the exact figure.
ON_CHIP = 8_000_000
# The operators that do the work: one of these on the CPU and the model is slow.
HEAVY = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


def macs(operator: Operator) -> int:
    """Return the MACs of one run of an operator; those of operators that are not HEAVY count as 0."""
    film, kernel = (operator.input(i) for i in ((2, 1) if operator.name == "TRANSPOSE_CONV" else (0, 1)))
    if operator.name not in HEAVY or film is None or kernel is None or not operator.outputs:
        return 0
    made = operator.outputs[0].elements
    if operator.name == "TRANSPOSE_CONV":  # kernel (channels out, height, width, channels in)
        return film.elements * prod(kernel.shape[:3])
    if operator.name == "DEPTHWISE_CONV_2D":  # kernel (1, height, width, channels out)
        return made * prod(kernel.shape[1:3])
    return made * prod(kernel.shape[1:])  # kernel (channels out, [height, width,] channels in)


def parameter_bytes(operators: Iterable[Operator]) -> int:
    """Return the bytes of the constants of some operators, each once."""
    constants = {tensor.buffer: tensor.data.nbytes for operator in operators for tensor in operator.constants}
    return sum(constants.values())
