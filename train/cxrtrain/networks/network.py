"""The network: a body that ends at the last feature map, and a head. Build, store, load, and ask it."""

from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from cxrtrain.errors import RunError
from cxrtrain.networks.bodies import INPUT_SCALE, INPUT_ZERO, Body, bound_activations, build_body
from cxrtrain.networks.edge_check import check_edge
from cxrtrain.networks.heads import Head, build_head
from cxrtrain.networks.pretrained import load_first_weights
from cxrtrain.recipe import NetworkSettings, read_recipe

NETWORK, RECIPE = "network.safetensors", "recipe.toml"


class Network(nn.Module):
    """A body and a head.

    Attributes
    ----------
    body : Body
        (n, 3, side, side) scaled films -> (n, channels, h, w).
    head : ClassMapHead or ConcatPoolHead
        (n, channels, h, w) -> (n, outputs) logits.
    """

    def __init__(self, body: Body, head: Head):
        super().__init__()
        self.body = body
        self.head = head

    def forward(self, films: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (n, outputs), for scaled films, shape (n, 3, side, side)."""
        return self.head(self.body(films))


def scale_input(grey: torch.Tensor) -> torch.Tensor:
    """Return (n, 3, side, side) for the body from grey films of 0..255, shape (n, side, side)."""
    return ((grey - INPUT_ZERO) * INPUT_SCALE).unsqueeze(1).expand(-1, 3, -1, -1)


def build_network(settings: NetworkSettings, outputs: int, size: int) -> Network:
    """Return a network with its first weights.

    Parameters
    ----------
    size : int
        Side of the input, in pixels, for the check that an Edge TPU can run the body.

    Raises
    ------
    NetworkError
        If an Edge TPU cannot run it and settings.edge asks for one, or its first weights cannot be had.
    """
    network = _bare_network(settings, outputs)
    if settings.edge:
        check_edge(network.body, size)
    load_first_weights(network, settings)
    return network


def save_network(network: Network, path: Path) -> None:
    """Write all weights as safetensors."""
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)


def load_network(run: Path) -> Network:
    """Return the network of a run, in evaluation mode.

    Raises
    ------
    RunError
        If the run has no network, or not the one of its recipe.
    """
    path = run / NETWORK
    settings = read_recipe(run / RECIPE).network
    try:
        state = load_file(path)
        network = _bare_network(settings, outputs=len(state["head.answer.bias"]))
        network.load_state_dict(state)
    except (OSError, SafetensorError) as err:
        raise RunError(f"{path} cannot be read ({err}); is the run finished?") from err
    except (KeyError, RuntimeError) as err:
        raise RunError(f"{path} holds no {settings.name} with a {settings.head} head, as {RECIPE} says") from err
    return network.eval()


def _bare_network(settings: NetworkSettings, outputs: int) -> Network:
    body = build_body(settings.name, settings.drop_path)
    if settings.bound:
        bound_activations(body)
    return Network(body, build_head(settings.head, body.channels, outputs, settings.dropout))


@torch.inference_mode()
def predict(network: Network, inputs: np.ndarray, batch: int = 32) -> np.ndarray:
    """Return logits, float32 of shape (n, outputs), for inputs of the contract, uint8 of shape (n, side, side)."""
    network.eval()
    device = next(network.parameters()).device
    parts = []
    for start in range(0, len(inputs), batch):
        grey = torch.from_numpy(np.array(inputs[start : start + batch]))  # a copy: they may be mapped read-only
        parts.append(network(scale_input(grey.to(device).float())).float().cpu())
    return torch.cat(parts).numpy()
