"""The four small networks of the capture gate, and how they are written as ONNX for OpenCV."""

from pathlib import Path

import numpy as np
import onnx
import torch
from cxrbox.capture.networks import (
    EDGE_COLUMNS,
    FINDER_SIDE,
    FRAMED_SIDE,
    STRIP_CHANNELS,
    STRIP_COLUMNS,
    STRIP_PLACES,
    UPRIGHT_SIDE,
)
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

REPOSITORY = Path(__file__).resolve().parents[2]
PACKAGE = REPOSITORY / "device" / "cxrbox" / "capture"
# Side of the finder's map, in places.
MAP_SIDE = 64
# OpenCV 4.6, the oldest that the box meets, reads this version of the operators.
OPSET = 11


def conv(inputs: int, outputs: int, stride=1, side=3, pad=None) -> nn.Sequential:
    """Return convolution, normalisation and ReLU; the normalisation is folded away on export."""
    layer = nn.Conv2d(inputs, outputs, side, stride, side // 2 if pad is None else pad, bias=False)
    return nn.Sequential(layer, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Finder(nn.Module):
    """Five scales down and back up to a quarter of the photograph's: (n, 3, 256, 256) to logits (n, 2, 64, 64)."""

    WIDTHS = 16, 32, 48, 64, 64

    def __init__(self):
        super().__init__()
        first, *wider = self.WIDTHS
        self.down = nn.ModuleList([conv(3, first, 2, 5)])
        for narrow, wide in zip(self.WIDTHS, wider, strict=False):
            self.down.append(nn.Sequential(conv(narrow, wide, 2), conv(wide, wide)))
        self.deep = conv(self.WIDTHS[-1], self.WIDTHS[-1])
        pairs = list(zip(self.WIDTHS[:1:-1], self.WIDTHS[-2:0:-1], strict=True))
        self.narrow = nn.ModuleList([conv(wide, narrow, side=1) for wide, narrow in pairs])
        self.up = nn.ModuleList([conv(narrow, narrow) for _, narrow in pairs])
        self.last = nn.Conv2d(self.WIDTHS[1], 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        seen = []
        for down in self.down:
            x = down(x)
            seen.append(x)
        x = self.deep(x)
        for narrow, up, skip in zip(self.narrow, self.up, seen[-2:0:-1], strict=True):
            x = up(nn.functional.interpolate(narrow(x), scale_factor=2) + skip)
        return self.last(x)


class Plain(nn.Module):
    """Convolutions one after the other: (n, 1, 64, 64) to logits (n, outputs)."""

    def __init__(self, widths: tuple[int, ...], strides: tuple[int, ...], drop: float, outputs: int):
        super().__init__()
        pairs = zip((1, *widths), widths, strides, strict=False)
        self.body = nn.Sequential(*[conv(before, after, stride) for before, after, stride in pairs])
        self.drop = nn.Dropout(drop)
        self.head = nn.Conv2d(widths[-1], outputs, 4)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.head(self.drop(self.body(x))).flatten(1)


class Upright(Plain):
    """Ten logits: 8 of turn and mirror, negative, cut lungs."""

    def __init__(self):
        super().__init__((16, 24, 32, 32, 48, 48), (2, 1, 2, 1, 2, 2), 0.3, 10)


class Framed(Plain):
    """One logit: a photograph of a film rather than the film. Every film costs one look."""

    def __init__(self):
        super().__init__((12, 20, 32, 48), (2, 2, 2, 2), 0.2, 1)


class Sides(nn.Module):
    """(n, 4, 256, 96) to logits (n, 2, 4, 48): the film's edge at the first and the last place of each of four sides.

    The strips follow one another round the film, so that what one side shows of the film's border and of what is
    around it tells the others what to look for.
    """

    def __init__(self):
        super().__init__()
        widths = (24, 32), (32, 48), (48, 48)
        along = [conv(*pair, stride=(2, 1)) for pair in widths]
        self.body = nn.Sequential(conv(STRIP_CHANNELS, 24, 2, 5), *along)
        # Four places of each side are left: whole sides and their neighbours are looked at, with the columns around.
        self.wide = nn.Sequential(*[conv(48, 48, side=(5, 9), pad=(2, 4)) for _ in range(3)])
        self.head = nn.Conv2d(48, 2, (4, 5), (4, 1), (0, 2))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        return self.head(self.wide(self.body(x)))


class Graph:
    """Writes a network as ONNX, node by node."""

    def __init__(self):
        self.nodes, self.weights = [], []

    def add(self, kind: str, *inputs: str, **options) -> str:
        """Add a node and return the name of its output."""
        name = f"{kind.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], **options))
        return name

    def keep(self, value: np.ndarray) -> str:
        """Add weights and return their name."""
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def conv(self, x: str, layer: nn.Conv2d, norm: nn.BatchNorm2d | None = None) -> str:
        """Add a convolution, its normalisation folded into it and followed by ReLU."""
        weight = layer.weight.detach().double()
        bias = torch.zeros(len(weight)).double() if layer.bias is None else layer.bias.detach().double()
        if norm is not None:
            gain = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
            weight, bias = weight * gain.view(-1, 1, 1, 1), norm.bias.detach().double() - norm.running_mean * gain
        tensors = self.keep(weight.float().numpy()), self.keep(bias.float().numpy())
        options = {"kernel_shape": layer.kernel_size, "strides": layer.stride, "pads": layer.padding * 2}
        x = self.add("Conv", x, *tensors, **options)
        return x if norm is None else self.add("Relu", x)

    def chain(self, x: str, layers: nn.Module) -> str:
        """Add all convolutions of nested sequences, in order."""
        convs = [layer for layer in layers.modules() if isinstance(layer, nn.Conv2d)]
        norms = [layer for layer in layers.modules() if isinstance(layer, nn.BatchNorm2d)]
        for layer, norm in zip(convs, norms, strict=True):
            x = self.conv(x, layer, norm)
        return x

    def write(self, path: Path, seen: list[int], said: list[int]) -> None:
        """Check and store; SEEN and SAID are the shapes of what goes in and of what the last node gives."""
        self.nodes[-1].output[0] = "logits"
        shapes = {"x": seen, "logits": said}
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in shapes.items()]
        graph = helper.make_graph(self.nodes, path.stem, values[:1], values[1:], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=6)
        onnx.checker.check_model(model)
        path.write_bytes(model.SerializeToString())


def write_finder(network: Finder) -> None:
    """Store the finder."""
    graph, x, seen = Graph(), "x", []
    for down in network.down:
        x = graph.chain(x, down)
        seen.append(x)
    x = graph.chain(x, network.deep)
    scales = graph.keep(np.array([1, 1, 2, 2], np.float32))
    for narrow, up, skip in zip(network.narrow, network.up, seen[-2:0:-1], strict=True):
        x = graph.chain(x, narrow)
        x = graph.add(
            "Resize",
            x,
            graph.keep(np.zeros(0, np.float32)),
            scales,
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        x = graph.chain(graph.add("Add", x, skip), up)
    graph.conv(x, network.last)
    graph.write(PACKAGE / "finder.onnx", [1, 3, FINDER_SIDE, FINDER_SIDE], [1, 2, MAP_SIDE, MAP_SIDE])


def write_sides(network: Sides) -> None:
    """Store the network that tells the film's edges."""
    graph = Graph()
    graph.conv(graph.chain("x", nn.ModuleList([network.body, network.wide])), network.head)
    seen = [1, STRIP_CHANNELS, 4 * STRIP_PLACES, STRIP_COLUMNS]
    graph.write(PACKAGE / "sides.onnx", seen, [1, 2, 4, len(EDGE_COLUMNS)])


def write_upright(network: Upright) -> None:
    """Store the network that tells how a film hangs."""
    # A film is always seen in all eight ways at once.
    _write_plain(network, "upright.onnx", [8, 1, UPRIGHT_SIDE, UPRIGHT_SIDE])


def write_framed(network: Framed) -> None:
    """Store the network that tells photographs from films."""
    _write_plain(network, "framed.onnx", [1, 1, FRAMED_SIDE, FRAMED_SIDE])


def _write_plain(network: Plain, name: str, seen: list[int]) -> None:
    graph = Graph()
    graph.conv(graph.chain("x", network.body), network.head)
    graph.add("Flatten", graph.nodes[-1].output[0])
    graph.write(PACKAGE / name, seen, [seen[0], network.head.out_channels])
