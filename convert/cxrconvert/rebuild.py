"""Rebuild an ONNX body (NCHW) as a TensorFlow function (NHWC) of the same arithmetic.

One builder of `cxrconvert.builders` stands for each operator. The layout is turned on the constants, so the graph
has no TRANSPOSE; padding is written as SAME wherever that is the same padding, so it has no needless PAD.
"""

from collections.abc import Callable
from typing import Any

import onnx
import tensorflow as tf

from cxrconvert.builders import BUILDERS, Activation, Step
from cxrconvert.onnxbody import input_shape


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
        if len(node.output) > 1:
            raise step.refusal(f"with {len(node.output)} outputs")
        values[node.output[0]] = BUILDERS[node.op_type](step)
    return values[graph.output[0].name].settled()
