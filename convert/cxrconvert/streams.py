"""The streams of a network: what the concatenations of a dense block hand on from layer to layer.

A stream has one int8 scale for all its channels, in all layers of its block, and only batch norms with ReLU6 read it:
what lies below 0 or above 6 for all of them is never looked at. So each channel is shifted and scaled until the part
that is looked at fills 0..6, and held within these bounds. The convolutions that make and read it make up for that.
"""

import numpy as np
import onnx
from onnx import helper, numpy_helper

from cxrconvert.simplify import attributes_of, readers_of

Numbers = dict[str, np.ndarray]

TOP = 6.0
# Operators that hand the channels of a stream on as they are, whatever increasing scale each has.
PASSES = {"Clip", "Concat", "MaxPool", "Relu"}
# The channels fill their bounds, and a hair more, so that all parts of a stream have exactly the same range.
FILL = 0.999
# A channel is scaled as if its range were at least this share of the widest one's: some hardly vary.
LEAST_SHARE = 1e-3


def find_streams(graph: onnx.GraphProto, numbers: Numbers) -> np.ndarray:
    """Return the numbers of the channels that belong to streams; none where one is not made and read as in a DenseNet.

    Convolutions alone make the channels, and batch norms, by now depthwise 1x1 convolutions, alone read them.

    Parameters
    ----------
    numbers : dict of str to ndarray of int, shape (channels,)
        From `cxrconvert.channels`.
    """
    joined = [numbers[node.output[0]] for node in graph.node if node.op_type == "Concat"]
    streams = np.unique(np.concatenate(joined)) if joined else np.empty(0, int)
    kernels = {array.name: tuple(array.dims) for array in graph.initializer}
    read = [node for node in graph.node if _meets(node.input, numbers, streams)]
    ends = [graph.input[0].name, graph.output[0].name]
    fit = all(node.op_type in PASSES or is_norm(node, kernels) for node in read)
    return streams if fit and not _meets(ends, numbers, streams) else np.empty(0, int)


def is_norm(node: onnx.NodeProto, kernels: dict[str, tuple[int, ...]]) -> bool:
    """Return whether a node is a depthwise 1x1 convolution: a factor and a shift for each channel."""
    own = attributes_of(node)
    plain = not any(own.get("pads", ())) and all(stride == 1 for stride in own.get("strides", ()))
    return node.op_type == "Conv" and plain and kernels[node.input[1]] == (own.get("group", 1), 1, 1, 1)


def looked_at(
    graph: onnx.GraphProto, numbers: Numbers, bounds: tuple[np.ndarray, np.ndarray], streams: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return from where to where the readers look at each channel of a stream, within its bounds.

    relu6(a x + b) looks at x from -b / a to (6 - b) / a.

    Parameters
    ----------
    bounds : two ndarray, shape (numbers,)
        From where to where each channel reaches.
    streams : ndarray of int, shape (channels,)

    Returns
    -------
    two ndarray, shape (channels,)
        The second is above the first.
    """
    arrays = {array.name: numpy_helper.to_array(array) for array in graph.initializer}
    after = readers_of(graph)
    low, high = (np.full(len(bounds[0]), fill) for fill in (np.inf, -np.inf))
    for node in graph.node:
        if node.op_type == "Conv" and _meets(node.input, numbers, streams):
            kinds = {reader.op_type for reader in after[node.output[0]]}
            bottom, top = (0 if kinds <= {"Clip", "Relu"} else -np.inf), (TOP if kinds == {"Clip"} else np.inf)
            factor, shift = arrays[node.input[1]].ravel(), arrays[node.input[2]]
            factor = np.where(factor == 0, np.float32(1e-12), factor)
            ends = (bottom - shift) / factor, (top - shift) / factor
            np.minimum.at(low, numbers[node.input[0]], np.minimum(*ends))
            np.maximum.at(high, numbers[node.input[0]], np.maximum(*ends))
    low, high = (np.clip(end, *bounds)[streams] for end in (low, high))
    return low, np.maximum(high, low + LEAST_SHARE * (high - low).max())


def clip_streams(graph: onnx.GraphProto, numbers: Numbers, streams: np.ndarray) -> None:
    """Put a ReLU6 after each convolution that makes channels of a stream, where there is none."""
    if not streams.size:
        return
    bounds = {"stream.low": np.float32(0), "stream.high": np.float32(TOP)}
    graph.initializer.extend(numpy_helper.from_array(at, name) for name, at in bounds.items())
    after, nodes = readers_of(graph), []
    for node in graph.node:
        made = node.output[0]
        new = onnx.NodeProto.FromString(node.SerializeToString())
        nodes.append(new)
        own = node.op_type == "Conv" and _meets(node.output, numbers, streams)
        if own and not {reader.op_type for reader in after[made]} & {"Clip", "Relu"}:
            new.output[0] = f"{made}.bare"
            nodes.append(helper.make_node("Clip", [f"{made}.bare", *bounds], [made], name=f"{node.name}.clip"))
    del graph.node[:]
    graph.node.extend(nodes)


def _meets(names: list[str], numbers: Numbers, streams: np.ndarray) -> bool:
    """Return whether any of some activations holds channels of a stream."""
    return any(np.isin(numbers[name], streams).any() for name in names if name in numbers)
