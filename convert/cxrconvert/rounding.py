"""Round the kernels of a body to int8 so that the errors of one weight are made up for by the others.

To the nearest step each weight errs on its own, and on this network that was nine tenths of what int8 cost. Here
the weights of a kernel are rounded one after the other, and each error is laid on those that are still free, as
the inputs of the calibration films correlate (Frantar et al., "GPTQ", ICLR 2023, after Hassibi and Stork, 1993).
It needs no labels and no training. The result stands on the very steps that the converter will take, one scale for
each output channel with its largest weight at 127, so the converter rounds nothing any more.
"""

from itertools import islice

import numpy as np
import onnx
from onnx import numpy_helper
from scipy.linalg import solve_triangular

from cxrconvert.activations import read_activations
from cxrconvert.simplify import attributes_of, own_constants

STEPS = 127
# Places of a film at which the inputs of a convolution are looked at: so many, and fewer where its kernels are so large
# that this many values would be exceeded.
PLACES, VALUES = 256, 140_000
# Films whose inputs are multiplied out at once.
TOGETHER = 4
# Added to the diagonal of the correlations, as a share of its mean: some inputs are always the same.
DAMPING = 0.01
# The largest weight of a kernel may itself be moved; its scale is then narrowed and the kernel rounded again.
TRIES = 5
# Weights that are rounded before their errors are laid on all that come after them, at once.
BLOCK = 64


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
    # A kernel of one weight stands on the last step as it is.
    convolutions = [
        node for node in result.graph.node if node.op_type == "Conv" and np.prod(arrays[node.input[1]].dims[1:]) > 1
    ]
    moments = input_moments(result, convolutions, films, scale, zero_point)
    for node, (mean, spread) in zip(convolutions, moments, strict=True):
        kernel, bias = (numpy_helper.to_array(arrays[name]) for name in node.input[1:])
        rows = kernel.reshape(len(spread), -1, spread.shape[-1])
        rounded = round_rows(rows, spread)
        shift = ((rows - rounded) @ mean[..., np.newaxis]).ravel()
        for name, values in zip(node.input[1:], (rounded.reshape(kernel.shape), bias + shift), strict=True):
            arrays[name].CopyFrom(numpy_helper.from_array(values.astype(np.float32), name))
    return result


def input_moments(
    model: onnx.ModelProto, convolutions: list[onnx.NodeProto], films: np.ndarray, scale: float, zero_point: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the mean and the covariance of what the kernels of each convolution read.

    Returns
    -------
    list of (ndarray of float64, shape (groups, k)), (ndarray of float64, shape (groups, k, k))
    """
    shapes = {array.name: tuple(array.dims) for array in model.graph.initializer}
    read = list(dict.fromkeys(node.input[0] for node in convolutions))
    spreads = [Spread() for _ in convolutions]
    random = np.random.default_rng(0)
    drawn = (
        [sample_patches(values[node.input[0]], node, shapes[node.input[1]], random) for node in convolutions]
        for values in read_activations(model, read, films, scale, zero_point)
    )
    while some := list(islice(drawn, TOGETHER)):
        for spread, patches in zip(spreads, map(np.dstack, zip(*some, strict=True)), strict=True):
            spread.add(patches)
    return [spread.moments() for spread in spreads]


class Spread:
    """Mean and covariance of what a convolution reads, in one pass.

    Values are taken from the mean of the first places, for float32 would not tell a small variance from rounding
    beside a large mean.
    """

    def __init__(self):
        self.origin, self.sum, self.squares, self.count = None, 0.0, np.float32(0), 0

    def add(self, patches: np.ndarray) -> None:
        """Add what is read at more places: float32, shape (groups, k, places)."""
        if self.origin is None:
            self.origin = patches.mean(axis=2, keepdims=True)
        patches -= self.origin
        self.sum += patches.sum(axis=2, dtype=np.float64)
        self.squares += patches @ patches.transpose(0, 2, 1)
        self.count += patches.shape[2]

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and covariance: float64, shapes (groups, k) and (groups, k, k)."""
        apart = self.sum / self.count
        covariance = self.squares / self.count - apart[:, :, np.newaxis] * apart[:, np.newaxis]
        return self.origin[:, :, 0] + apart, covariance


def sample_patches(
    activation: np.ndarray, node: onnx.NodeProto, kernel: tuple[int, ...], random: np.random.Generator
) -> np.ndarray:
    """Return what a convolution reads at some places: float32, shape (groups, k, places).

    Parameters
    ----------
    activation : ndarray of float32, shape (channels, height, width)
    node : NodeProto
        A convolution; its padding is left out, for at the border there is nothing but zeros to learn from.
    kernel : tuple of int
        Shape of its kernel: (outputs, channels of a group, height, width).
    """
    attributes = attributes_of(node)
    groups, (down, across) = attributes.get("group", 1), attributes.get("strides", (1, 1))
    room = [(0, max(side - own, 0)) for side, own in zip(kernel[2:], activation.shape[1:], strict=True)]
    activation = np.pad(activation, [(0, 0), *room]) if any(after for _, after in room) else activation
    rows, columns = (side - own + 1 for side, own in zip(activation.shape[1:], kernel[2:], strict=True))
    height, width = -(-rows // down), -(-columns // across)
    most = min(PLACES, height * width, max(VALUES // int(np.prod(kernel[1:])), 1))
    chosen = random.choice(height * width, most, replace=False)
    top, left = down * (chosen // width), across * (chosen % width)
    window = np.add.outer(np.arange(kernel[2]) * activation.shape[2], np.arange(kernel[3])).ravel()
    patches = activation.reshape(len(activation), -1)[:, np.add.outer(window, top * activation.shape[2] + left)]
    return patches.reshape(groups, -1, most)


def round_rows(rows: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Return kernels on their steps, shape (groups, outputs, k), float64; a kernel's largest weight is at 127.

    Parameters
    ----------
    rows : ndarray, shape (groups, outputs, k)
    moments : ndarray of float, shape (groups, k, k)
    """
    # What is read most is rounded first, while all others can still make up for it.
    order = np.argsort(-np.diagonal(moments, axis1=1, axis2=2), axis=1)[:, np.newaxis]
    factor = _factor(moments, order[:, 0])
    free = np.take_along_axis(rows.astype(np.float64), np.broadcast_to(order, rows.shape), 2)
    steps = np.maximum(np.abs(free).max(axis=-1, keepdims=True) / STEPS, 1e-12)
    for _ in range(TRIES):
        whole = _compensated(free, factor, steps)
        largest = np.abs(whole).max(axis=-1, keepdims=True)
        if (largest == STEPS).all():
            break
        steps = np.where(largest == STEPS, steps, steps * np.maximum(largest, 1) / STEPS)
    result = np.empty_like(whole)
    np.put_along_axis(result, np.broadcast_to(order, whole.shape), whole, axis=2)
    return result * steps


def _factor(moments: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Return the upper factor U of the inverse of the moments, damped and in this order: inverse = U' U.

    Its row j says how the weights after j make up for an error of weight j.
    """
    moments = moments.astype(np.float64)
    k = moments.shape[-1]
    mean = np.diagonal(moments, axis1=1, axis2=2).mean(axis=1)
    damped = moments + np.eye(k) * (DAMPING * mean + 1e-12)[:, np.newaxis, np.newaxis]
    damped = np.take_along_axis(np.take_along_axis(damped, order[:, :, np.newaxis], 1), order[:, np.newaxis], 2)
    # Turned round, the lower factor of the moments is the inverse of U.
    lower = np.linalg.cholesky(damped[:, ::-1, ::-1])
    return np.stack([solve_triangular(one, np.eye(k), lower=True)[::-1, ::-1] for one in lower])


def _compensated(rows: np.ndarray, factor: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Return whole numbers of steps, the errors of those rounded first laid on the others."""
    k = rows.shape[-1]
    free, whole = rows.copy(), np.empty_like(rows)
    for start in range(0, k, BLOCK):
        own = slice(start, min(start + BLOCK, k))
        errors = np.empty_like(free[..., own])
        for j in range(start, own.stop):
            whole[..., j] = np.clip(np.round(free[..., j] / steps[..., 0]), -STEPS, STEPS)
            errors[..., j - start] = (free[..., j] - whole[..., j] * steps[..., 0]) / factor[:, j, j, np.newaxis]
            later = slice(j + 1, own.stop)
            free[..., later] -= errors[..., j - start, np.newaxis] * factor[:, np.newaxis, j, later]
        free[..., own.stop :] -= errors @ factor[:, own, own.stop :]
    return whole
