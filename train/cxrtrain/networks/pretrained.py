"""First weights of a network: from a package, a hub, a file, or none."""

import importlib
import logging
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from cxrtrain.errors import NetworkError
from cxrtrain.networks.bodies import INPUT_SCALE, INPUT_ZERO, Body, build_body
from cxrtrain.recipe import NetworkSettings

log = logging.getLogger(__name__)


def load_first_weights(network: nn.Module, settings: NetworkSettings) -> None:
    """Give a network its first weights, as settings.weights says; the head keeps its random ones.

    A file with a whole network of ours gives the head its weights too, where they have the same shapes.

    Raises
    ------
    NetworkError
        If the weights cannot be had or are those of another network.
    """
    if settings.weights == "package":
        _load_package(network.body, settings.name)
    elif settings.weights == "hub":
        _load_hub(network.body, settings.name)
    elif settings.weights == "file":
        _load_file(network, Path(settings.weights_file), settings.name)


def _load_package(body: Body, name: str) -> None:
    """Load the weights of a Python package, which map onto timm's by position: the same layers under other names."""
    package = body.facts.package
    if not package:
        raise NetworkError(f"no package carries weights of {name}; set network.weights to hub, file or none")
    try:
        module = importlib.import_module(package)
    except ModuleNotFoundError as err:
        raise NetworkError(
            f"the package {package} is not installed; install it, or set network.weights to hub, file or none"
        ) from err
    holder = getattr(module, "".join(word.capitalize() for word in package.split("_")[:2]) + "ModelFile")
    given = torch.load(holder.get_model_file_path(), weights_only=True)
    own = body.network.state_dict()
    body.network.load_state_dict(dict(zip(own, list(given.values())[: len(own)], strict=True)))


def _load_hub(body: Body, name: str) -> None:
    """Load torchvision's or timm's own weights and make them expect our scaling."""
    try:
        given = build_body(name, from_hub=True)
    except OSError as err:
        reason = str(err).split(". ")[0]
        raise NetworkError(
            f"the weights of {name} cannot be fetched from {body.facts.library}'s hub ({reason}); "
            "connect the computer to the internet, or set network.weights to package, file or none"
        ) from err
    body.load_state_dict(given.state_dict())
    fold_scaling(body)


def _load_file(network: nn.Module, path: Path, name: str) -> None:
    """Load the weights of a whole network of ours, or of a body; the head's only where they fit."""
    try:
        given = load_file(path)
    except (OSError, SafetensorError) as err:
        raise NetworkError(f"network.weights_file {path} is no safetensors file ({err})") from err
    whole = any(key.startswith("body.") for key in given)
    body = {key.removeprefix("body."): value for key, value in given.items() if key.startswith("body.") or not whole}
    try:
        network.body.load_state_dict(body)
    except RuntimeError as err:
        raise NetworkError(f"network.weights_file {path} holds no weights of {name}; name a file of that body") from err
    head = {key.removeprefix("head."): value for key, value in given.items() if key.startswith("head.")}
    own = network.head.state_dict()
    if {key: value.shape for key, value in head.items()} == {key: value.shape for key, value in own.items()}:
        network.head.load_state_dict(head)
        log.info("the head starts with the weights of %s too", path)


@torch.no_grad()
def fold_scaling(body: Body) -> None:
    """Make a body that expects its authors' scaling expect (x - 127) / 128, in place.

    With u = (x - 127) / 128 the authors' input is v = a u + b for each channel. The first convolution takes a
    into its weights; what b adds to its outputs is a constant that its batch norm subtracts with the mean. In
    evaluation this is exact but for the border: the authors' zeros outside the film are a grey of `mean`, ours one
    of 127. In training it changes nothing, because a batch norm subtracts any constant.
    """
    convolution, norm = body.first
    weight = convolution.weight
    mean, deviation = (torch.tensor(values, dtype=weight.dtype) for values in (body.facts.mean, body.facts.deviation))
    norm.running_mean -= torch.einsum("oikl,i->o", weight, (INPUT_ZERO - mean) / deviation)
    weight *= (1 / (INPUT_SCALE * deviation))[:, None, None]
