"""Even out the ranges of a body's channels before it is quantised.

int8 gives every activation one scale for all its channels, so a channel of small range is left with few of
the 256 levels. Scaling a channel up where it is made and down where it is read changes nothing in float and
gives it more of them (Nagel et al., ICCV 2019, section 4.1; Meller et al., ICML 2019). Kernels are quantised
per output channel, so the scaling up costs nothing. The feature map itself is left as it was trained.

Convolutions and batch norms read channels and make new ones. Every other operator hands a channel on, so all of
its copies share one scaling: across a residual sum, and through the concatenations of a DenseNet.
"""

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cxrconvert.bodies import scale_film

# A channel that comes up the whole way is scaled until the highest value of the calibration films stands this far
# below the bound, that of Clip(0, 6) or of the widest channel; what exceeds it on other films int8 cuts off.
CLIP_AT, MARGIN = 6.0, 1.1
# A channel is scaled by no more than this, so that the kernels that read it stay even enough to quantise.
MOST = 8.0
# Operators with constants, which take a scaling off the channels that they read and put one on those they make.
MAKERS = {"BatchNormalization", "Conv"}


def equalise(model: onnx.ModelProto, films: np.ndarray, scale: float, zero_point: int) -> onnx.ModelProto:
    """Return a copy of a body whose inner channels have more even ranges; the same function in float.

    Parameters
    ----------
    model : ModelProto
        A body of the operators that `cxrconvert.rebuild` knows.
    films : ndarray of uint8, shape (films, size, size, 3)
        Films to measure the ranges on.
    scale, zero_point : float, int
        Scaling of the body's input.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    own_constants(result.graph)
    peaks = channel_peaks(result, films, scale, zero_point)
    numbers = number_channels(result.graph, {name: len(peak) for name, peak in peaks.items()})
    scaling = choose_scaling(result.graph, numbers, peaks)
    arrays = {array.name: array for array in result.graph.initializer}
    for node in result.graph.node:
        if node.op_type in MAKERS:
            _rescale(node, arrays, scaling[numbers[node.input[0]]], scaling[numbers[node.output[0]]])
    return result


def number_channels(graph: onnx.GraphProto, widths: dict[str, int]) -> dict[str, np.ndarray]:
    """Number the channels of every activation; those that must share one scaling share a number.

    Parameters
    ----------
    widths : dict of str to int
        Channels of each activation.

    Returns
    -------
    dict of str to ndarray of int, shape (channels,)
    """
    starts = np.cumsum([0, *widths.values()])
    own = {name: start + np.arange(width) for (name, width), start in zip(widths.items(), starts[:-1], strict=True)}
    pairs = []
    for node in graph.node:
        read = [own[name] for name in node.input if name in own]
        if node.op_type == "Concat":
            pairs.append((np.concatenate(read), own[node.output[0]]))
        elif node.op_type not in MAKERS:
            pairs += [(channels, own[node.output[0]]) for channels in read]
    ends = np.concatenate(pairs, axis=1) if pairs else np.empty((2, 0), int)
    same = coo_array((np.ones(ends.shape[1]), tuple(ends)), shape=(starts[-1], starts[-1]))
    _, shared = connected_components(same, directed=False)
    return {name: shared[channels] for name, channels in own.items()}


def choose_scaling(graph: onnx.GraphProto, numbers: dict[str, np.ndarray], peaks: dict[str, np.ndarray]) -> np.ndarray:
    """Return how much to scale each numbered channel up, from 1 to `MOST`, from its range.

    The wide channels stay and the others come half way up to them, in octaves: the other half is left to the
    kernels that read the channel, whose inputs would else become uneven. Channels that batch norms alone read, each
    by a factor of its own, come up the whole way, as do those below a clip. The body's ends stay.

    Parameters
    ----------
    numbers, peaks : dict of str to ndarray, shape (channels,)
        Number and largest magnitude of each channel of each activation.
    """
    count = 1 + max(own.max() for own in numbers.values())
    ranges, widest = np.full(count, 1e-9), np.full(count, 1e-9)
    for name, own in numbers.items():
        np.maximum.at(ranges, own, peaks[name])
        np.maximum.at(widest, own, peaks[name].max())
    read_by = {kind: np.zeros(count, bool) for kind in ("BatchNormalization", "Clip", "Conv")}
    for node in graph.node:
        if node.op_type in read_by:
            read_by[node.op_type][numbers[node.input[0]]] = True
    wanted = np.select(
        [read_by["Clip"], read_by["BatchNormalization"] & ~read_by["Conv"]],
        [CLIP_AT / (MARGIN * ranges), widest / (MARGIN * ranges)],
        np.sqrt(widest / ranges),
    )
    for end in (graph.input[0].name, graph.output[0].name):
        wanted[numbers[end]] = 1
    return np.clip(wanted, 1, MOST).astype(np.float32)


def channel_peaks(model: onnx.ModelProto, films: np.ndarray, scale: float, zero_point: int) -> dict[str, np.ndarray]:
    """Return the largest magnitude in each channel of each activation over films: {name: (channels,)}."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    names = [node.output[0] for node in model.graph.node]
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.helper.make_tensor_value_info(name, 1, None) for name in names)
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    entry = model.graph.input[0].name
    peaks = dict.fromkeys([entry, *names], np.float32(0))
    for film in films:
        scaled = np.ascontiguousarray(scale_film(film, scale, zero_point).transpose(2, 0, 1)[np.newaxis])
        for name, value in zip(peaks, [scaled, *session.run(None, {entry: scaled})], strict=True):
            peaks[name] = np.maximum(peaks[name], np.abs(value[0]).max(axis=(1, 2)))
    return peaks


def _rescale(node: onnx.NodeProto, arrays: dict[str, onnx.TensorProto], read: np.ndarray, made: np.ndarray) -> None:
    """Take a scaling off the channels that a convolution or batch norm reads, put one on those that it makes."""
    kernel, *others = (arrays[name] for name in node.input[1:])
    if node.op_type == "BatchNormalization":
        bias, mean, _ = others
        _multiply(mean, read)
        _multiply(kernel, made / read)
        _multiply(bias, made)
        return
    if kernel.dims[1] == len(read):
        _multiply(kernel, 1 / read, axis=1)
    else:  # depthwise: each channel is read by its own kernels
        _multiply(kernel, np.repeat(1 / read, kernel.dims[0] // len(read)))
    for array in (kernel, *others):
        _multiply(array, made)


def _multiply(array: onnx.TensorProto, factors: np.ndarray, axis: int = 0) -> None:
    values = numpy_helper.to_array(array)
    shape = [-1 if place == axis else 1 for place in range(values.ndim)]
    array.CopyFrom(numpy_helper.from_array(values * factors.reshape(shape), array.name))


def own_constants(graph: onnx.GraphProto) -> None:
    """Give every convolution and batch norm its own copy of its constants, which an exporter may share."""
    arrays = {array.name: array for array in graph.initializer}
    for node in graph.node:
        if node.op_type in MAKERS:
            for place, name in enumerate(node.input[1:], start=1):
                node.input[place] = f"{node.output[0]}.constant{place}"
                if name != node.input[place]:
                    own = numpy_helper.to_array(arrays[name])
                    graph.initializer.append(numpy_helper.from_array(own, node.input[place]))
    used = {name for node in graph.node for name in node.input}
    kept = [array for array in graph.initializer if array.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
