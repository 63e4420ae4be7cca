"""Maps of where a network sees a finding, by autograd: they hold for every head.

Every function takes networks in evaluation mode, where a film's logits do not depend on its batch.
"""

from collections.abc import Callable, Iterable

import numpy as np
import torch
import torch.nn.functional as nnf
from torch import nn
from torch.overrides import TorchFunctionMode

from cxrtrain.explain.settings import CLASS_MAP, GRAD_CAM, GUIDED_GRAD_CAM, HIRES_CAM, METHODS
from cxrtrain.networks.network import Network, scale_input

# A guided map has a few extreme pixels; beyond this quantile all are as strong as can be.
BRIGHTEST = 0.995
# What is smaller counts as 0: logits are of order 1.
TINY = 1e-12


def methods_of(network: Network) -> tuple[str, ...]:
    """Return the methods that a network's head allows: only a head that computes class maps has one to show."""
    maps_itself = hasattr(network.head, "class_maps")
    return tuple(method for method in METHODS if maps_itself or method != CLASS_MAP)


def map_films(
    network: Network, inputs: torch.Tensor, finding: int, methods: Iterable[str] = METHODS
) -> dict[str, torch.Tensor]:
    """Return the maps of one finding by each method; the body runs once for all of them.

    Parameters
    ----------
    inputs : Tensor, shape (n, 3, side, side)
        Scaled films.
    finding : int
        Index of the logit to explain.
    methods : iterable of str
        Of `methods_of(network)`.

    Returns
    -------
    dict of str to Tensor
        Shape (n, h, w) as the body's last feature map; guided Grad-CAM: (n, side, side).
    """
    methods = list(methods)
    if GUIDED_GRAD_CAM in methods:
        features, guided = _look_guided(network, inputs, finding)
    else:
        with torch.no_grad():
            features = network.body(inputs)
    maps = {method: CAMS[method](network.head, features, finding) for method in methods if method in CAMS}
    if GUIDED_GRAD_CAM in methods:
        coarse = maps[GRAD_CAM] if GRAD_CAM in maps else grad_cam(network.head, features, finding)
        maps[GUIDED_GRAD_CAM] = guided * enlarge(coarse, inputs.shape[-1])
    return maps


def class_map(head: nn.Module, features: torch.Tensor, finding: int) -> torch.Tensor:
    """Return sum_k w_ck A_k, shape (n, h, w), without the bias, as the box shows it (Zhou et al., CVPR 2016).

    Its mean and the bias make the logit. It is h w times the HiResCAM of the same head.
    """
    with torch.no_grad():
        return (head.class_maps(features) - head.class_maps(torch.zeros_like(features)))[:, finding]


def grad_cam(head: nn.Module, features: torch.Tensor, finding: int) -> torch.Tensor:
    """Return relu(sum_k alpha_ck A_k), shape (n, h, w), where alpha is the mean gradient (Selvaraju, ICCV 2017)."""
    alpha = feature_gradient(head, features, finding).mean(dim=(2, 3), keepdim=True)
    return (alpha * features).sum(dim=1).relu()


def hires_cam(head: nn.Module, features: torch.Tensor, finding: int) -> torch.Tensor:
    """Return sum_k (dy_c / dA_k) A_k, shape (n, h, w) (Draelos and Carin, 2020)."""
    return (feature_gradient(head, features, finding) * features).sum(dim=1)


CAMS: dict[str, Callable[[nn.Module, torch.Tensor, int], torch.Tensor]] = {
    CLASS_MAP: class_map,
    GRAD_CAM: grad_cam,
    HIRES_CAM: hires_cam,
}


def feature_gradient(head: nn.Module, features: torch.Tensor, finding: int) -> torch.Tensor:
    """Return dy_c / dA, shape (n, channels, h, w)."""
    leaf = features.detach().requires_grad_()
    # A copy, as a head may begin with a step in place.
    logits = head(leaf.clone())
    return torch.autograd.grad(logits[:, finding].sum(), leaf)[0]


def guided_backprop(network: Network, inputs: torch.Tensor, finding: int) -> torch.Tensor:
    """Return the guided gradient to the grey level, shape (n, side, side) (Springenberg et al., 2015)."""
    return _look_guided(network, inputs, finding)[1]


def _look_guided(network: Network, inputs: torch.Tensor, finding: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the features and the guided gradient to the grey level of one pass forward and back."""
    leaf = inputs.detach().requires_grad_()
    with GuidedBackprop():
        features = network.body(leaf)
        logits = network.head(features)
    gradient = torch.autograd.grad(logits[:, finding].sum(), leaf)[0]
    # Three channels are one grey level, so their slopes add up.
    return features.detach(), gradient.sum(dim=1)


class GuidedBackprop(TorchFunctionMode):
    """While it is entered, ReLU and ReLU6 pass back only what is positive, forward and back.

    The calls are replaced, not the modules: nothing is left behind in the network, and activations in place
    become ones that keep what the gradient needs.
    """

    def __torch_function__(self, function, types, args=(), kwargs=None):
        """Run one function of torch."""
        ceiling = _ceiling(function, kwargs or {})
        return function(*args, **kwargs or {}) if ceiling is None else _GuidedClamp.apply(args[0], ceiling)


def _ceiling(function: Callable, kwargs: dict) -> float | None:
    """Return the largest output of a ReLU or ReLU6, None for any other function."""
    if function in (nnf.relu, torch.relu):
        return float("inf")
    # nn.ReLU6 is a hard tanh from 0 to 6.
    if function is nnf.hardtanh and kwargs.get("min_val") == 0:
        return kwargs["max_val"]
    return 6.0 if function is nnf.relu6 else None


class _GuidedClamp(torch.autograd.Function):
    @staticmethod
    def forward(context, values: torch.Tensor, ceiling: float) -> torch.Tensor:
        context.save_for_backward((values > 0) & (values < ceiling))
        return values.clamp(0, ceiling)

    @staticmethod
    def backward(context, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        (passes,) = context.saved_tensors
        return gradient.clamp(min=0) * passes, None


def enlarge(maps: torch.Tensor, side: int) -> torch.Tensor:
    """Return maps, shape (n, h, w), as (n, side, side), bilinearly."""
    return nnf.interpolate(maps[:, None], (side, side), mode="bilinear", align_corners=False)[:, 0]


def to_heat(method: str, maps: torch.Tensor, side: int) -> np.ndarray:
    """Return what is drawn of maps: float32 of -1..1, shape (n, side, side).

    What is above 0 speaks for the finding. Class map and HiResCAM also have what speaks against it, and are
    divided by their greatest magnitude; the ReLU of Grad-CAM leaves that out, so it may be 0 everywhere. Of
    guided Grad-CAM, whose pixels on both sides of an edge have opposite signs, it is the magnitude.
    """
    heat = maps.abs() if method == GUIDED_GRAD_CAM else enlarge(maps, side)
    sizes = heat.abs().flatten(1)
    top = sizes.quantile(BRIGHTEST, dim=1) if method == GUIDED_GRAD_CAM else sizes.amax(dim=1)
    return (heat / top.clamp(min=TINY)[:, None, None]).clamp(-1, 1).cpu().numpy()


def positive_part(heat: np.ndarray) -> np.ndarray:
    """Return what speaks for the finding, as a share of its own maximum: 0..1; all 0 where nothing does."""
    positive = heat.clip(min=0)
    return positive / max(float(positive.max()), TINY)


def film_heats(
    network: Network, films: np.ndarray, finding: int, methods: Iterable[str], batch: int = 16
) -> dict[str, np.ndarray]:
    """Return the heat of films by each method: float32 of -1..1, shape (n, side, side).

    Parameters
    ----------
    films : ndarray of uint8, shape (n, side, side)
        Inputs of the contract.
    batch : int
        Films in one pass.
    """
    methods, side = list(methods), films.shape[-1]
    device = next(network.parameters()).device
    parts: dict[str, list[np.ndarray]] = {method: [] for method in methods}
    for start in range(0, len(films), batch):
        inputs = scale_input(torch.tensor(films[start : start + batch], device=device).float())
        for method, maps in map_films(network, inputs, finding, methods).items():
            parts[method].append(to_heat(method, maps, side))
    return {method: np.concatenate(own) for method, own in parts.items()}
