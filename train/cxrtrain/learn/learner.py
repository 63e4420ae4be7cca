"""What moves in a phase of training: network, optimiser, moving average and gradient scaler."""

from contextlib import nullcontext

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from cxrtrain.errors import RecipeError
from cxrtrain.learn.optimiser import make_optimiser
from cxrtrain.learn.world import World
from cxrtrain.networks.network import Network
from cxrtrain.recipe import PhaseSettings, Recipe

PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}


def average_of(network: Network, decay: float) -> AveragedModel | None:
    """Return a moving average of the network's weights and buffers, None for a decay of 0."""
    return AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(decay), use_buffers=True) if decay else None


class Learner:
    """A network in one phase of its training.

    Attributes
    ----------
    network : Network
    averaged : AveragedModel or None
        It outlives the phase.
    optimiser : Optimizer
    scaler : GradScaler
        Keeps the small gradients of fp16; does nothing otherwise.
    """

    def __init__(
        self, recipe: Recipe, phase: PhaseSettings, network: Network, averaged: AveragedModel | None, world: World
    ):
        if recipe.run.precision == "fp16" and world.device.type != "cuda":
            raise RecipeError("run.precision fp16 needs a GPU; take bf16 or fp32")
        self.recipe, self.network, self.averaged, self.device = recipe, network, averaged, world.device
        self.head_only = phase.head_only
        network.body.requires_grad_(not phase.head_only)
        self.optimiser = make_optimiser(network, recipe.optimiser, phase)
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=recipe.run.precision == "fp16")
        self.model = _wrap(network, recipe, world)

    @property
    def best_guess(self) -> Network:
        """The network to measure and to keep: the moving average where there is one."""
        return self.averaged.module if self.averaged else self.network

    def start_epoch(self) -> None:
        """Go to training mode; a frozen body keeps its statistics too."""
        self.model.train()
        if self.head_only:
            self.network.body.eval()

    def logits(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return logits as float32, shape (n, outputs), for scaled films, shape (n, 3, side, side)."""
        dtype = PRECISIONS.get(self.recipe.run.precision)
        with torch.autocast(self.device.type, dtype) if dtype else nullcontext():
            return self.model(inputs.contiguous(memory_format=torch.channels_last)).float()

    def step(self, loss: torch.Tensor) -> None:
        """Move the weights against the gradient of the loss."""
        self.optimiser.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimiser)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.optimiser.clip)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        if self.averaged:
            self.averaged.update_parameters(self.network)


def _wrap(network: Network, recipe: Recipe, world: World) -> nn.Module:
    model = torch.compile(network) if recipe.run.compile else network
    return DistributedDataParallel(model) if world.size > 1 else model
