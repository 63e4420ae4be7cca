"""The channels of a body: which of its activations hold the same ones, and how far each reaches on films."""

from dataclasses import dataclass

import numpy as np
import onnx
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from cxrconvert.activations import read_activations
from cxrconvert.onnxbody import input_shape
from cxrconvert.simplify import readers_of


@dataclass(frozen=True)
class Reach:
    """How far each channel reaches on each film.

    Attributes
    ----------
    numbers : dict of str to ndarray of int, shape (channels,)
        Numbers of the channels of each activation; those that must share one scaling share a number.
    low, high : ndarray of float32, shape (films, numbers)
        Lowest and highest value in any activation; what ReLU or ReLU6 cuts off does not count.
    """

    numbers: dict[str, np.ndarray]
    low: np.ndarray
    high: np.ndarray

    def bounds(self, share: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
        """Return from where to where each channel reaches on this share of the films: two of shape (numbers,)."""
        return np.quantile(self.low, 1 - share, axis=0), np.quantile(self.high, share, axis=0)

    def first(self, films: int) -> "Reach":
        """Return what is known from the first films alone."""
        return Reach(self.numbers, self.low[:films], self.high[:films])


def measure_reach(model: onnx.ModelProto, films: np.ndarray, scale: float, zero_point: int) -> Reach:
    """Return how far the channels of a body reach on films, uint8 of shape (films, size, size, 3).

    Parameters
    ----------
    model : ModelProto
        From `cxrconvert.onnxbody`.
    """
    numbers = number_channels(model)
    names = _kept(model.graph)
    count = 1 + max(own.max() for own in numbers.values())
    low, high = (np.full((len(films), count), fill, np.float32) for fill in (np.inf, -np.inf))
    for film, values in enumerate(read_activations(model, names, films, scale, zero_point)):
        for name, value in values.items():
            np.minimum.at(low[film], numbers[name], value.min(axis=(1, 2)))
            np.maximum.at(high[film], numbers[name], value.max(axis=(1, 2)))
    return Reach(numbers, low, high)


def number_channels(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Number the channels of every activation: {name: int, shape (channels,)}.

    Convolutions read channels and make new ones. Every other operator hands a channel on, so all of its copies share
    one number: across a residual sum, and through the concatenations of a DenseNet.
    """
    widths = _widths(model)
    starts = np.cumsum([0, *widths.values()])
    own = {name: start + np.arange(width) for (name, width), start in zip(widths.items(), starts[:-1], strict=True)}
    pairs = []
    for node in model.graph.node:
        read = [own[name] for name in node.input if name in own]
        if node.op_type == "Concat":
            pairs.append((np.concatenate(read), own[node.output[0]]))
        elif node.op_type != "Conv":
            pairs += [(channels, own[node.output[0]]) for channels in read]
    ends = np.concatenate(pairs, axis=1) if pairs else np.empty((2, 0), int)
    same = coo_array((np.ones(ends.shape[1]), tuple(ends)), shape=(starts[-1], starts[-1]))
    _, shared = connected_components(same, directed=False)
    return {name: shared[channels] for name, channels in own.items()}


def _widths(model: onnx.ModelProto) -> dict[str, int]:
    """Return the number of channels of the body's input and of the result of each node."""
    kernels = {array.name: array.dims for array in model.graph.initializer}
    widths = {model.graph.input[0].name: input_shape(model)[1]}
    for node in model.graph.node:
        read = [widths[name] for name in node.input if name in widths]
        made = {"Conv": lambda node=node: kernels[node.input[1]][0], "Concat": lambda read=read: sum(read)}
        widths[node.output[0]] = made.get(node.op_type, lambda read=read: read[0])()
    return widths


def _kept(graph: onnx.GraphProto) -> list[str]:
    """Return the activations to look at: not what a ReLU is fused into, nor concatenations, whose parts say it all."""
    after = readers_of(graph)
    names = [graph.input[0].name]
    for node in graph.node:
        kinds = {reader.op_type for reader in after[node.output[0]]}
        if node.op_type != "Concat" and not (kinds and kinds <= {"Clip", "Relu"}):
            names.append(node.output[0])
    return names
