"""How the weights are moved: the optimiser, and the rate and momentum of each step."""

import torch
from torch import nn

from cxrtrain.learn.schedule import one_cycle_momentum, one_cycle_rate, warm_cosine
from cxrtrain.networks.network import Network
from cxrtrain.recipe import OptimiserSettings, PhaseSettings, ScheduleSettings


def make_optimiser(network: Network, settings: OptimiserSettings, phase: PhaseSettings) -> torch.optim.Optimizer:
    """Return Adam or AdamW over the weights that the phase trains, each group with its top rate as `top`."""
    groups = []
    parts = [(network.head, settings.rate)]
    if not phase.head_only:
        parts.append((network.body, settings.rate * settings.body_rate))
    for part, rate in parts:
        for weights, decay in zip(_split_by_decay(part), (settings.weight_decay, 0.0), strict=True):
            top = rate * phase.rate_share
            groups.append({"params": weights, "lr": top, "top": top, "weight_decay": decay})
    kind = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}[settings.kind]
    fused = next(network.parameters()).is_cuda
    return kind(groups, betas=(settings.beta1, settings.beta2), fused=fused)


def _split_by_decay(part: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Return the kernels, which decay, and the biases and normalisation, which would only lose their scale."""
    weights = list(part.parameters())
    return [w for w in weights if w.ndim > 1], [w for w in weights if w.ndim <= 1]


def set_progress(optimiser: torch.optim.Optimizer, settings: ScheduleSettings, progress: float) -> None:
    """Set the rate, and with one-cycle the momentum, for a progress of 0..1 of the phase."""
    one_cycle = settings.kind == "one-cycle"
    share = (one_cycle_rate if one_cycle else warm_cosine)(progress, settings.warm)
    for group in optimiser.param_groups:
        group["lr"] = group["top"] * share
        if one_cycle:
            group["betas"] = (one_cycle_momentum(progress, settings.warm), group["betas"][1])
