"""Even out the ranges of a body's channels before it is quantised.

int8 gives every activation one scale for all its channels, so a channel of small range is left with few of
the 256 levels. Scaling a channel up where it is made and down where it is read changes nothing in float and
gives it more of them (Nagel et al., ICCV 2019, section 4.1; Meller et al., ICML 2019). Kernels are quantised
per output channel, so the scaling up costs nothing. The feature map itself is left as it was trained.
"""

import numpy as np
import onnx
from onnx import numpy_helper

from cxrconvert.channels import Reach
from cxrconvert.simplify import own_constants
from cxrconvert.streams import FILL, TOP, clip_streams, find_streams, looked_at

# A channel below a clip is scaled until its highest value stands this far below the bound; what exceeds that on other
# films int8 cuts off.
MARGIN = 1.1
# A channel is scaled by no more than this, so that the kernels that read it stay even enough to quantise.
MOST = 8.0


def equalise(model: onnx.ModelProto, reach: Reach, share: float = 1.0) -> onnx.ModelProto:
    """Return a copy of a body whose inner channels have more even ranges.

    In float it is the same function on the films of the reach, but for what lies beyond the bounds of that share.

    Parameters
    ----------
    model : ModelProto
        From `cxrconvert.onnxbody`.
    reach : Reach
        Of its channels.
    share : float
        Share of the films that a channel's bounds hold; 1: all of them.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph, numbers = result.graph, reach.numbers
    own_constants(graph)
    low, high = reach.bounds(share)
    factors, shifts = choose_scaling(graph, numbers, np.maximum(-low, high)), np.zeros_like(low)
    streams = find_streams(graph, numbers)
    if streams.size:
        low, high = looked_at(graph, numbers, (low, high), streams)
        factors[streams], shifts[streams] = TOP / (FILL * (high - low)), low
    _rescale(graph, numbers, factors, shifts)
    clip_streams(graph, numbers, streams)
    return result


def choose_scaling(graph: onnx.GraphProto, numbers: dict[str, np.ndarray], ranges: np.ndarray) -> np.ndarray:
    """Return how much to scale each numbered channel up, from 1 to `MOST`.

    The wide channels stay and the others come half way up to them, in octaves: the other half is left to the
    kernels that read the channel, whose inputs would else become uneven. Channels below a clip come up the whole
    way. The body's ends stay.

    Parameters
    ----------
    numbers : dict of str to ndarray of int, shape (channels,)
    ranges : ndarray, shape (numbers,)
        Largest magnitude of each numbered channel.
    """
    ranges = np.maximum(ranges, 1e-9)
    widest, clipped = np.zeros_like(ranges), np.zeros(len(ranges), bool)
    for own in numbers.values():
        np.maximum.at(widest, own, ranges[own].max())
    for node in graph.node:
        if node.op_type == "Clip":
            clipped[numbers[node.output[0]]] = True
    wanted = np.where(clipped, TOP / (MARGIN * ranges), np.sqrt(widest / ranges))
    for end in (graph.input[0].name, graph.output[0].name):
        wanted[numbers[end]] = 1
    return np.clip(wanted, 1, MOST)


def _rescale(graph: onnx.GraphProto, numbers: dict[str, np.ndarray], factors: np.ndarray, shifts: np.ndarray) -> None:
    """Let each numbered channel be (x - shift) * factor; the convolutions that make and read it make up for that.

    Parameters
    ----------
    factors, shifts : ndarray, shape (numbers,)
        Only depthwise 1x1 convolutions may read a channel with a shift.
    """
    arrays = {array.name: array for array in graph.initializer}
    for node in graph.node:
        if node.op_type != "Conv":
            continue
        kernel, bias = (numpy_helper.to_array(arrays[name]).astype(np.float64) for name in node.input[1:])
        read, made = numbers[node.input[0]], numbers[node.output[0]]
        if kernel.shape[1] == len(read):
            kernel = kernel / factors[read][:, np.newaxis, np.newaxis]
        else:  # depthwise: each channel is read by its own kernels
            each = np.repeat(read, len(kernel) // len(read))
            bias = bias + kernel[:, 0, 0, 0] * shifts[each]
            kernel = kernel / factors[each][:, np.newaxis, np.newaxis, np.newaxis]
        kernel = kernel * factors[made][:, np.newaxis, np.newaxis, np.newaxis]
        bias = (bias - shifts[made]) * factors[made]
        for name, values in zip(node.input[1:], (kernel, bias), strict=True):
            arrays[name].CopyFrom(numpy_helper.from_array(values.astype(np.float32), name))
