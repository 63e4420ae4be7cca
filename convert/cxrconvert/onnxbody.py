"""Read an exported body: one input, one output, static shape, constants as initializers, concatenations nested."""

from pathlib import Path

import onnx
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from cxrconvert.errors import RunError


def read_body(path: Path) -> onnx.ModelProto:
    """Return a checked ONNX body with its constants folded and its concatenations built on one another.

    Raises
    ------
    RunError
        If the file is no ONNX model of one film in, one feature map out, at a fixed size.
    """
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as err:  # protobuf, onnx and the file system each have their own root
        raise RunError(f"{path} is no sound ONNX model ({type(err).__name__}); export it again") from err
    if len(model.graph.input) != 1 or len(model.graph.output) != 1:
        raise RunError(f"{path} must have one input and one output; export the body alone")
    shape = input_shape(model)
    if len(shape) != 4 or shape[0] != 1 or 0 in shape:
        raise RunError(f"{path} must take one film of fixed size, not {shape}; export it with a static shape")
    _fold_constants(model.graph)
    _nest_concatenations(model.graph)
    return model


def input_shape(model: onnx.ModelProto) -> tuple[int, ...]:
    """Return the shape of the input, (1, channels, height, width); 0 where a side is not fixed."""
    return tuple(dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim)


def _fold_constants(graph: onnx.GraphProto) -> None:
    """Replace every node that depends on no film by initializers of its results."""
    constants = {array.name: numpy_helper.to_array(array) for array in graph.initializer}
    kept = []
    for node in graph.node:
        if all(not name or name in constants for name in node.input):
            known = {name: constants[name] for name in node.input if name}
            results = dict(zip(node.output, ReferenceEvaluator(node).run(None, known), strict=True))
            graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in results.items())
            constants |= results
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)


def _nest_concatenations(graph: onnx.GraphProto) -> None:
    """Let a concatenation that begins as an earlier one does take that one's result.

    Each layer of a DenseNet joins all maps before it anew. In int8 every part that stands in two concatenations of
    different range is quantised again for one of them: 480 times in DenseNet-121, and twice where they are nested.
    """
    results: dict[tuple, str] = {}
    for node in graph.node:
        if node.op_type == "Concat":
            axis, parts = node.attribute[0].i, tuple(node.input)
            results[axis, parts] = node.output[0]
            if (axis, parts[:-1]) in results:
                node.input[:] = [results[axis, parts[:-1]], parts[-1]]
