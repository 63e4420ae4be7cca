"""A structural check of the int8 body: would the Edge TPU compiler take every operator of it?"""

from collections import Counter

import numpy as np
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from cxrconvert.errors import NotForEdgeTpuError

# Operators of the Edge TPU compiler's list that a convolutional body may hold (coral.ai/docs/edgetpu/models-intro).
# TRANSPOSE is on that list, but is refused for large activations; a body in NHWC needs none.
SUPPORTED = {
    "ADD", "AVERAGE_POOL_2D", "CONCATENATION", "CONV_2D", "DEPTHWISE_CONV_2D", "MAX_POOL_2D", "MEAN", "MUL",
    "PAD", "QUANTIZE", "RELU", "RELU6", "RESHAPE", "SUB",
}  # fmt: skip
INTEGERS = {np.int8, np.uint8, np.int32}


def check_for_edge_tpu(content: bytes) -> dict[str, int]:
    """Return how often each operator occurs in a TFLite file.

    Raises
    ------
    NotForEdgeTpuError
        If an operator is not on the Edge TPU's list, a tensor is not an integer, or an end is not uint8.
    """
    # The default delegate would replace the operators by its own.
    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    interpreter = Interpreter(model_content=content, experimental_op_resolver_type=plain)
    operators = Counter(operator["op_name"] for operator in interpreter._get_ops_details())
    refused = sorted(set(operators) - SUPPORTED)
    if refused:
        raise NotForEdgeTpuError(f"the body has the operator {', '.join(refused)}, which the Edge TPU does not run")
    for tensor in interpreter.get_tensor_details():
        if tensor["dtype"] not in INTEGERS:
            kind = np.dtype(tensor["dtype"]).name
            raise NotForEdgeTpuError(f"tensor {tensor['name']!r} of the body is {kind}; quantise it fully")
    for end in (*interpreter.get_input_details(), *interpreter.get_output_details()):
        if end["dtype"] != np.uint8:
            raise NotForEdgeTpuError(f"{end['name']!r}, an end of the body, is no uint8 tensor")
    return dict(sorted(operators.items()))
