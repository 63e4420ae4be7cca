"""Round the kernels of a body to int8 so that the errors of one weight are made up for by the others.

To the nearest step each weight errs on its own, and on this network that was nine tenths of what int8 cost. Here
the weights of a kernel are rounded one after the other, and each error is laid on those that are still free, as
the inputs of the calibration films correlate (Frantar et al., "GPTQ", ICLR 2023, after Hassibi and Stork, 1993).
It needs no labels and no training. The result stands on the very steps that the converter will take, one scale for
each output channel with its largest weight at 127, so the converter rounds nothing any more.
"""

import numpy as np
import onnx
import onnxruntime
from numpy.lib.stride_tricks import sliding_window_view
from onnx import numpy_helper
from onnx.helper import get_attribute_value

from cxrconvert.bodies import scale_film
from cxrconvert.equalise import own_constants

STEPS = 127
# Places of a film at which the inputs of a convolution are looked at.
PLACES = 256
# Added to the diagonal of the correlations, as a share of its mean: some inputs are always the same.
DAMPING = 0.01
# The largest weight of a kernel may itself be moved; its scale is then narrowed and the kernel rounded again.
TRIES = 5


def round_kernels(model: onnx.ModelProto, films: np.ndarray, scale: float, zero_point: int) -> onnx.ModelProto:
    """Return a copy of a body whose convolutions have kernels on the steps of int8.

    Parameters
    ----------
    model : ModelProto
        A body of the operators that `cxrconvert.rebuild` knows.
    films : ndarray of uint8, shape (films, size, size, 3)
        Films to measure the inputs of the convolutions on.
    scale, zero_point : float, int
        Scaling of the body's input.
    """
    result = onnx.ModelProto()
    result.CopyFrom(model)
    own_constants(result.graph)
    arrays = {array.name: array for array in result.graph.initializer}
    convolutions = [node for node in result.graph.node if node.op_type == "Conv"]
    for node, moments in zip(convolutions, input_moments(result, convolutions, films, scale, zero_point), strict=True):
        array = arrays[node.input[1]]
        kernel = numpy_helper.to_array(array)
        rounded = round_rows(kernel.reshape(len(moments), -1, moments.shape[-1]), moments)
        array.CopyFrom(numpy_helper.from_array(rounded.reshape(kernel.shape).astype(np.float32), array.name))
    return result


def input_moments(
    model: onnx.ModelProto, convolutions: list[onnx.NodeProto], films: np.ndarray, scale: float, zero_point: int
) -> list[np.ndarray]:
    """Return the second moments of what the kernels of each convolution read: float64, shape (groups, k, k)."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    entry = model.graph.input[0].name
    read = [node.input[0] for node in convolutions]
    inner = sorted(set(read) - {entry})
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.helper.make_tensor_value_info(name, 1, None) for name in inner)
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    shapes = {array.name: tuple(array.dims) for array in model.graph.initializer}
    moments: list = [0.0] * len(convolutions)
    random = np.random.default_rng(0)
    for film in films:
        scaled = np.ascontiguousarray(scale_film(film, scale, zero_point).transpose(2, 0, 1)[np.newaxis])
        values = dict(zip(inner, session.run(inner, {entry: scaled}), strict=True)) | {entry: scaled}
        for place, node in enumerate(convolutions):
            patches = sample_patches(values[node.input[0]][0], node, shapes[node.input[1]], random)
            moments[place] = moments[place] + patches @ patches.transpose(0, 2, 1)
    return moments


def sample_patches(
    activation: np.ndarray, node: onnx.NodeProto, kernel: tuple[int, ...], random: np.random.Generator
) -> np.ndarray:
    """Return what a convolution reads at some places: float64, shape (groups, k, places).

    Parameters
    ----------
    activation : ndarray, shape (channels, height, width)
    node : NodeProto
        A convolution; its padding is left out, for at the border there is nothing but zeros to learn from.
    kernel : tuple of int
        Shape of its kernel: (outputs, channels of a group, height, width).
    """
    attributes = {attribute.name: get_attribute_value(attribute) for attribute in node.attribute}
    groups, (down, across) = attributes.get("group", 1), attributes.get("strides", (1, 1))
    room = [(0, max(side - own, 0)) for side, own in zip(kernel[2:], activation.shape[1:], strict=True)]
    activation = np.pad(activation, [(0, 0), *room])
    windows = sliding_window_view(activation, kernel[2:], axis=(1, 2))[:, ::down, ::across]
    height, width = windows.shape[1:3]
    chosen = random.choice(height * width, min(PLACES, height * width), replace=False)
    patches = windows[:, chosen // width, chosen % width]
    return patches.transpose(0, 2, 3, 1).reshape(groups, -1, len(chosen)).astype(np.float64)


def round_rows(rows: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Return kernels on their steps, shape (groups, outputs, k), float64; a kernel's largest weight is at 127.

    Parameters
    ----------
    rows : ndarray, shape (groups, outputs, k)
    moments : ndarray of float64, shape (groups, k, k)
    """
    rows = rows.astype(np.float64)
    steps = np.maximum(np.abs(rows).max(axis=-1, keepdims=True) / STEPS, 1e-12)
    for _ in range(TRIES):
        whole = _compensated(rows, moments, steps)
        largest = np.abs(whole).max(axis=-1, keepdims=True)
        if (largest == STEPS).all():
            break
        steps = np.where(largest == STEPS, steps, steps * np.maximum(largest, 1) / STEPS)
    return whole * steps


def _compensated(rows: np.ndarray, moments: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return whole numbers of steps, the errors of those rounded first laid on the others."""
    k = rows.shape[-1]
    diagonal = np.diagonal(moments, axis1=1, axis2=2)
    # What is read most is rounded first, while all others can still make up for it.
    order = np.argsort(-diagonal, axis=1)
    damped = moments + np.eye(k) * (DAMPING * diagonal.mean(axis=1) + 1e-12)[:, np.newaxis, np.newaxis]
    damped = np.take_along_axis(np.take_along_axis(damped, order[:, :, np.newaxis], 1), order[:, np.newaxis], 2)
    # Upper factor U of the inverse: row j says how the weights after j make up for an error of weight j.
    factor = np.linalg.cholesky(np.linalg.inv(damped)).transpose(0, 2, 1)
    free = np.take_along_axis(rows, order[:, np.newaxis], 2)
    whole = np.empty_like(free)
    for j in range(k):
        whole[..., j] = np.clip(np.round(free[..., j] / steps[..., 0]), -STEPS, STEPS)
        error = (free[..., j] - whole[..., j] * steps[..., 0]) / factor[:, j, j, np.newaxis]
        free[..., j + 1 :] -= error[..., np.newaxis] * factor[:, np.newaxis, j, j + 1 :]
    result = np.empty_like(whole)
    np.put_along_axis(result, np.broadcast_to(order[:, np.newaxis], whole.shape), whole, axis=2)
    return result
