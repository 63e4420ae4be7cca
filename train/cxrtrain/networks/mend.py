"""Import torchvision, and timm which needs it, also where its operators were built for another torch."""

import importlib
from functools import cache
from types import ModuleType

import torch


def import_torchvision() -> ModuleType:
    """Return torchvision."""
    _declare_operators()
    return importlib.import_module("torchvision")


def import_timm() -> ModuleType:
    """Return timm."""
    _declare_operators()
    return importlib.import_module("timm")


@cache
def _declare_operators() -> torch.library.Library | None:
    """Declare the operators that torchvision asks for when it is imported, if its own cannot be loaded.

    The wheel registers nms with CUDA libraries that a CPU build of torch lacks; nothing here calls it. The
    declarations last as long as the library that is returned, so the cache keeps it.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as err:
        if "torchvision::nms" not in str(err):
            raise
        operators = torch.library.Library("torchvision", "FRAGMENT")
        operators.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        operators.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        return operators
    return None
