"""Even out the ranges of a body's channels before it is quantised.

int8 gives every activation one scale for all its channels, so a channel of small range is left with few of
the 256 levels. Scaling a channel up where it is made and down where it is read changes nothing in float and
gives it more of them (Nagel et al., ICCV 2019, section 4.1; Meller et al., ICML 2019). Kernels are quantised
per output channel, so the scaling up costs nothing. The feature map itself is left as it was trained.
"""

from dataclasses import dataclass, field

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper

from cxrconvert.bodies import scale_film

# Below Clip(0, 6) a channel is scaled up until the highest value of the calibration films stands this far below
# 6; what exceeds that on other films is cut off, as int8 would cut it off anyway.
CLIP_AT, MARGIN = 6.0, 1.1
# A channel is scaled by no more than this, so that the kernels that read it stay even enough to quantise.
MOST = 8.0
# These pass a positive scaling of a channel on as it is, so their inputs and outputs share one.
TRANSPARENT = {"Add", "Clip", "Identity", "Pad", "Relu"}


@dataclass
class Group:
    """Tensors that must share one scaling of their channels, with the convolutions that make and read them.

    Attributes
    ----------
    tensors : set of str
    clipped : bool
        Whether a tensor passes through Clip(0, 6).
    makers, readers : list of NodeProto
    """

    tensors: set[str]
    clipped: bool = False
    makers: list[onnx.NodeProto] = field(default_factory=list)
    readers: list[onnx.NodeProto] = field(default_factory=list)


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
    _own_constants(result.graph)
    peaks = channel_peaks(result, films, scale, zero_point)
    arrays = {array.name: array for array in result.graph.initializer}
    fixed = {result.graph.input[0].name, result.graph.output[0].name}
    for group in find_groups(result.graph):
        if not group.tensors & fixed:
            ranges = np.max([peaks[name] for name in group.tensors], axis=0)
            _scale_group(group, group_scaling(ranges, group.clipped), arrays)
    return result


def find_groups(graph: onnx.GraphProto) -> list[Group]:
    """Return the groups of tensors that must share one scaling."""
    of: dict[str, Group] = {graph.input[0].name: Group({graph.input[0].name})}
    constants = {array.name for array in graph.initializer}
    for node in graph.node:
        group = of[node.output[0]] = Group({node.output[0]})
        if node.op_type == "Conv":
            of[node.input[0]].readers.append(node)
            group.makers.append(node)
        else:
            group.clipped = node.op_type == "Clip"
            for name in node.input:
                if name and name not in constants:
                    _join(of, name, node.output[0])
    return list({id(group): group for group in of.values()}.values())


def _join(of: dict[str, Group], one: str, other: str) -> None:
    """Make one group of the groups of two tensors."""
    kept, gone = of[one], of[other]
    if kept is gone:
        return
    kept.tensors |= gone.tensors
    kept.clipped |= gone.clipped
    kept.makers += gone.makers
    kept.readers += gone.readers
    of |= dict.fromkeys(gone.tensors, kept)


def channel_peaks(model: onnx.ModelProto, films: np.ndarray, scale: float, zero_point: int) -> dict[str, np.ndarray]:
    """Return the largest magnitude in each channel of each activation over films: {name: (channels,)}."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    names = [node.output[0] for node in model.graph.node]
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.helper.make_tensor_value_info(name, 1, None) for name in names)
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    entry, peaks = model.graph.input[0].name, dict.fromkeys(names, np.float32(0))
    for film in films:
        scaled = np.ascontiguousarray(scale_film(film, scale, zero_point).transpose(2, 0, 1)[np.newaxis])
        for name, value in zip(names, session.run(None, {entry: scaled}), strict=True):
            peaks[name] = np.maximum(peaks[name], np.abs(value[0]).max(axis=(1, 2)))
    return peaks


def group_scaling(ranges: np.ndarray, clipped: bool) -> np.ndarray:
    """Return how much to scale each channel of a group up, from 1 to `MOST`, from its range, shape (channels,).

    Without a clip the wide channels stay and the others come half way up to them, in octaves: the other half
    is left to the kernels that read the channel, whose inputs would else become uneven.
    """
    ranges = np.maximum(ranges, 1e-9)
    wanted = CLIP_AT / (MARGIN * ranges) if clipped else np.sqrt(ranges.max() / ranges)
    return np.clip(wanted, 1, MOST).astype(np.float32)


def _scale_group(group: Group, scaling: np.ndarray, arrays: dict[str, onnx.TensorProto]) -> None:
    """Scale the channels up in the kernels that make them, down in those that read them."""
    for node in group.makers:
        for name in node.input[1:]:
            _multiply(arrays[name], scaling, axis=0)
    for node in group.readers:
        kernel = arrays[node.input[1]]
        if kernel.dims[1] == len(scaling):
            _multiply(kernel, 1 / scaling, axis=1)
        else:  # depthwise: each channel is read by its own kernels
            _multiply(kernel, np.repeat(1 / scaling, kernel.dims[0] // len(scaling)), axis=0)


def _multiply(array: onnx.TensorProto, factors: np.ndarray, axis: int) -> None:
    values = numpy_helper.to_array(array)
    shape = [-1 if place == axis else 1 for place in range(values.ndim)]
    array.CopyFrom(numpy_helper.from_array(values * factors.reshape(shape), array.name))


def _own_constants(graph: onnx.GraphProto) -> None:
    """Give every convolution its own copy of its kernel and bias, which an exporter may share."""
    arrays = {array.name: array for array in graph.initializer}
    for node in graph.node:
        if node.op_type == "Conv":
            for place, name in enumerate(node.input[1:], start=1):
                own = numpy_helper.to_array(arrays[name])
                node.input[place] = f"{node.output[0]}.constant{place}"
                graph.initializer.append(numpy_helper.from_array(own, node.input[place]))
    used = {name for node in graph.node for name in node.input}
    kept = [array for array in graph.initializer if array.name in used]
    del graph.initializer[:]
    graph.initializer.extend(kept)
