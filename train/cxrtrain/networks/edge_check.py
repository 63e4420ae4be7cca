"""Refuse a body that an Edge TPU cannot run, before it is trained."""

import copy
import logging
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from cxrtrain.errors import NetworkError

log = logging.getLogger(__name__)

# Torch's operators (aten) whose counterparts in TFLite the Edge TPU compiler takes (coral.ai/docs/edgetpu/models-intro)
# and that convert/ can rebuild: sigmoid, tanh and transposed convolution are on the list, and have no builder there.
SUPPORTED = {
    "convolution",  # CONV_2D, DEPTHWISE_CONV_2D
    "native_batch_norm",  # none where a convolution takes it in, else MUL and ADD
    "empty",  # none: a part of torch's batch norm
    "relu",
    "hardtanh",  # RELU6
    "add",
    "sub",
    "mul",
    "cat",  # CONCATENATION
    "avg_pool2d",
    "max_pool2d_with_indices",
    "mean",
    "constant_pad_nd",  # PAD
    "view",  # RESHAPE
}
# Bytes on the chip for parameters, about (coral.ai/docs/edgetpu/compiler, "parameter data caching").
ON_CHIP = 8_000_000


def check_edge(body: nn.Module, size: int) -> None:
    """Refuse a body that an Edge TPU cannot run; log a warning for one whose weights do not fit on the chip.

    The head runs on the CPU, so it may be any.

    Parameters
    ----------
    size : int
        Side of the input, in pixels.

    Raises
    ------
    NetworkError
        With the operators that it cannot run.
    """
    faults = find_faults(body, size)
    if faults:
        raise NetworkError(
            f"this body is not for an Edge TPU, which does not run {', '.join(faults)}; choose another network.name, "
            "or set network.edge to false to train it for other hardware"
        )
    weights = int8_bytes(body)
    if weights > ON_CHIP:
        log.warning(
            "the body's weights are %.1f MB in int8 and an Edge TPU holds %.1f MB: the rest streams in for every film",
            *(weights / 1e6, ON_CHIP / 1e6),
        )


def find_faults(body: nn.Module, size: int) -> list[str]:
    """Return what of the body an Edge TPU cannot run, each fault once."""
    recorder = _Recorder()
    shapes_only = copy.deepcopy(body).to("meta").eval()  # its tensors have shapes and no numbers
    film = torch.empty(1, 3, size, size, device="meta")
    with torch.no_grad(), recorder:
        shapes_only(film)
    return recorder.faults


def int8_bytes(body: nn.Module) -> int:
    """Return the bytes of the weights in int8, about: kernels of one byte, and biases of four."""
    kernels = sum(weight.numel() for weight in body.parameters() if weight.ndim > 1)
    biases = sum(weight.numel() for name, weight in body.named_parameters() if name.endswith("bias"))
    return kernels + 4 * biases


class _Recorder(TorchDispatchMode):
    """Looks at every operator of a forward pass.

    Attributes
    ----------
    faults : list of str
    """

    def __init__(self):
        super().__init__()
        self.faults: list[str] = []

    def __torch_dispatch__(self, function: Any, types: tuple, args: tuple = (), kwargs: dict | None = None) -> Any:
        """Run the operator and keep what is wrong with it."""
        fault = _fault(function.overloadpacket.__name__.rstrip("_"), args)
        if fault and fault not in self.faults:
            self.faults.append(fault)
        return function(*args, **(kwargs or {}))


def _fault(name: str, arguments: tuple) -> str | None:
    """Return what the Edge TPU does not like of an operator with these arguments, or None."""
    if name == "convolution":
        return _convolution_fault(arguments)
    if name == "hardtanh" and tuple(arguments[1:3]) != (0, 6):
        return f"hardtanh from {arguments[1]} to {arguments[2]} (but 0 to 6)"
    if name == "view" and sum(side > 1 for side in arguments[1]) > 3:
        return f"a tensor of shape {tuple(arguments[1])} (three dimensions may exceed 1)"
    return None if name in SUPPORTED else name


def _convolution_fault(arguments: tuple) -> str | None:
    """Return what is wrong with a convolution: aten's arguments are input, weight, ..., transposed, ..., groups."""
    channels, transposed, groups = arguments[0].shape[1], arguments[6], arguments[8]
    if transposed:
        return "transposed convolution"
    if groups not in (1, channels):
        return f"grouped convolution of {groups} groups (CONV_2D version 6 is refused)"
    return None
