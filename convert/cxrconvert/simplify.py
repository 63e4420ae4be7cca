"""Rewrite an exported body to the few forms that int8 and the Edge TPU do best; the same function in float."""

import numpy as np
import onnx
from onnx import helper, numpy_helper
from onnx.helper import get_attribute_value
from onnx.reference import ReferenceEvaluator


def simplify(graph: onnx.GraphProto) -> None:
    """Fold constants, nest concatenations, turn batch norms into convolutions and pool before 1x1 convolutions."""
    _fold_constants(graph)
    _nest_concatenations(graph)
    _norms_as_convolutions(graph)
    _pool_first(graph)


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
    different range is quantised again for one of them: 480 times in DenseNet-121, and never where they are nested.
    """
    results: dict[tuple, str] = {}
    for node in graph.node:
        if node.op_type == "Concat":
            axis, parts = node.attribute[0].i, tuple(node.input)
            results[axis, parts] = node.output[0]
            if (axis, parts[:-1]) in results:
                node.input[:] = [results[axis, parts[:-1]], parts[-1]]


def _norms_as_convolutions(graph: onnx.GraphProto) -> None:
    """Take each batch norm into the convolution before it, or turn it into a depthwise 1x1 convolution.

    As MUL and ADD it would be rounded twice, and its factors would share one scale; a convolution is rounded once,
    has a scale for each channel and an exact shift.
    """
    arrays = {array.name: numpy_helper.to_array(array) for array in graph.initializer}
    makers, readers = makers_of(graph), readers_of(graph)
    for norm in [node for node in graph.node if node.op_type == "BatchNormalization"]:
        attributes = attributes_of(norm)
        if attributes.get("training_mode", 0) or not all(name in arrays for name in norm.input[1:]):
            continue
        scale, bias, mean, variance = (arrays[name] for name in norm.input[1:])
        factor = scale / np.sqrt(variance + np.float32(attributes.get("epsilon", 1e-5)))
        kernel, shift, own = factor.reshape(-1, 1, 1, 1), bias - mean * factor, {"group": len(factor)}
        film, made = norm.input[0], norm.output[0]
        before = makers.get(film)
        if before and before.op_type == "Conv" and len(readers[film]) == 1 and before.input[1] in arrays:
            kernel = kernel * arrays[before.input[1]]
            shift = shift + factor * arrays.get("".join(before.input[2:]), np.float32(0))
            film, own = before.input[0], attributes_of(before)
        names = [f"{made}.kernel", f"{made}.bias"]
        graph.initializer.extend(map(numpy_helper.from_array, (kernel, shift), names))
        norm.CopyFrom(helper.make_node("Conv", [film, *names], [made], name=norm.name, **own))
    _drop_unread(graph)


def _pool_first(graph: onnx.GraphProto) -> None:
    """Let an average pool change places with the 1x1 convolution right before it, which then has less to do."""
    arrays = {array.name: array for array in graph.initializer}
    makers, readers = makers_of(graph), readers_of(graph)
    for pool in [node for node in graph.node if node.op_type == "AveragePool"]:
        conv = makers.get(pool.input[0])
        if conv is None or conv.op_type != "Conv" or len(readers[conv.output[0]]) > 1 or not is_plain(conv, arrays):
            continue
        if any(attributes_of(pool).get("pads", ())):
            continue
        made, pooled = pool.output[0], f"{pool.output[0]}.pooled"
        first, second = onnx.NodeProto.FromString(pool.SerializeToString()), onnx.NodeProto()
        second.CopyFrom(conv)
        first.input[0], first.output[0] = conv.input[0], pooled
        second.input[0], second.output[0] = pooled, made
        conv.CopyFrom(first)
        pool.CopyFrom(second)


def is_plain(conv: onnx.NodeProto, arrays: dict[str, onnx.TensorProto]) -> bool:
    """Return whether a convolution is 1x1 with neither strides nor padding."""
    own = attributes_of(conv)
    apart = any(own.get("pads", ())) or any(stride != 1 for stride in own.get("strides", ()))
    return not apart and conv.input[1] in arrays and list(arrays[conv.input[1]].dims[2:]) == [1, 1]


def _drop_unread(graph: onnx.GraphProto) -> None:
    """Remove nodes and constants that nothing reads."""
    ends = {output.name for output in graph.output}
    for node in reversed(list(graph.node)):
        if not ends & set(node.output) and not any(set(node.output) & set(other.input) for other in graph.node):
            graph.node.remove(node)
    drop_unread_constants(graph)


def own_constants(graph: onnx.GraphProto) -> None:
    """Give every convolution its own copy of its kernel, which an exporter may share, and a bias of its own."""
    arrays = {array.name: array for array in graph.initializer}
    for node in graph.node:
        if node.op_type == "Conv":
            kernel, *bias = (numpy_helper.to_array(arrays[name]) for name in node.input[1:])
            own = (kernel, bias[0] if bias else np.zeros(len(kernel), np.float32))
            names = [f"{node.output[0]}.kernel", f"{node.output[0]}.bias"]
            new = [(array, name) for array, name in zip(own, names, strict=True) if name not in node.input]
            graph.initializer.extend(numpy_helper.from_array(array, name) for array, name in new)
            node.input[1:] = names
    drop_unread_constants(graph)


def drop_unread_constants(graph: onnx.GraphProto) -> None:
    """Remove the initializers that no node reads."""
    used = {name for node in graph.node for name in node.input}
    kept = [array for array in graph.initializer if array.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)


def makers_of(graph: onnx.GraphProto) -> dict[str, onnx.NodeProto]:
    """Return the node that makes each tensor."""
    return {name: node for node in graph.node for name in node.output}


def attributes_of(node: onnx.NodeProto) -> dict:
    """Return the attributes of a node by name."""
    return {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}


def readers_of(graph: onnx.GraphProto) -> dict[str, list[onnx.NodeProto]]:
    """Return the nodes that read each tensor; the graph's output is read by none."""
    readers: dict[str, list[onnx.NodeProto]] = {name: [] for node in graph.node for name in node.output}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    return readers
