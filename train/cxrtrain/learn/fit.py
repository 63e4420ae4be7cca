"""`cxrtrain fit`: train the edge network on the films of a folder."""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from cxrbundle.labels import FINDINGS
from tqdm import tqdm

from cxrtrain.transforms.edge import augment
from cxrtrain.errors import DivergedError
from cxrtrain.learn.losses import weighted_bce
from cxrtrain.networks.network import EdgeNetwork, load_imagenet, scale_input
from cxrtrain.learn.schedule import warm_cosine

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Recipe:
    """All settings of a training.

    Attributes
    ----------
    size : int
        Side of the network's input, in pixels.
    first_size : int
        Side in the first phase, in pixels: cheaper, and the second phase sharpens it.
    first_epochs : int
        Epochs over all films, thumbnails among them.
    epochs : int
        Epochs over the films of full sharpness.
    batch : int
        Films a step.
    rate : float
        Top learning rate of the head; the body, trained on ImageNet before, gets `body_rate` of it.
    body_rate : float
        Share of `rate`.
    weight_decay : float
        Decoupled weight decay (AdamW).
    average : float
        Decay of the moving average of the weights that is kept in the end.
    mixup : float
        Parameter of the Beta distribution by which two films are blended (Zhang et al., ICLR 2018); 0 for none.
    drop_path : float
        Share of residual blocks that are left out in a step.
    source_free : bool
        Weigh the films so that no finding depends on their source. It costs the films of every source that
        has one answer only, and lost more than it won on the sample here, within each source too (README.md).
    seed : int
        Of the split, the films' order and their changes.
    """

    size: int = 224
    first_size: int = 160
    first_epochs: int = 12
    epochs: int = 8
    batch: int = 32
    rate: float = 1.5e-3
    body_rate: float = 0.35
    weight_decay: float = 0.05
    average: float = 0.99
    mixup: float = 0.4
    drop_path: float = 0.2
    source_free: bool = False
    seed: int = 1


@dataclass(frozen=True)
class TrainingSet:
    """Films to train on.

    Attributes
    ----------
    pixels : Tensor of uint8, shape (films, side, side)
    labels, weights : Tensor of float32, shape (films, findings)
    sharp : ndarray of bool, shape (films,)
        False for thumbnails.
    """

    pixels: torch.Tensor
    labels: torch.Tensor
    weights: torch.Tensor
    sharp: np.ndarray


def fit(recipe: Recipe, films: TrainingSet) -> EdgeNetwork:
    """Return a trained network: the moving average of its weights.

    Raises
    ------
    DivergedError
        If the loss is NaN or infinite.
    """
    torch.manual_seed(recipe.seed)
    network = EdgeNetwork(len(FINDINGS), recipe.drop_path)
    load_imagenet(network)
    network = network.to(memory_format=torch.channels_last)
    averaged = torch.optim.swa_utils.AveragedModel(
        network, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(recipe.average), use_buffers=True
    )
    phases = [
        (recipe.first_size, recipe.first_epochs, np.arange(len(films.sharp))),
        (recipe.size, recipe.epochs, np.flatnonzero(films.sharp)),
    ]
    for size, epochs, rows in phases:
        _run_phase(recipe, network, averaged, films, size, epochs, rows)
    return averaged.module


def _run_phase(
    recipe: Recipe,
    network: EdgeNetwork,
    averaged: torch.optim.swa_utils.AveragedModel,
    films: TrainingSet,
    size: int,
    epochs: int,
    rows: np.ndarray,
) -> None:
    """Train for some epochs at one size: a warm-up and a cosine of its own."""
    optimiser = _optimiser(recipe, network)
    top = [group["lr"] for group in optimiser.param_groups]
    random = torch.Generator().manual_seed(recipe.seed * 1000 + size)
    chance = np.random.default_rng([recipe.seed, size])
    steps = epochs * (len(rows) // recipe.batch)
    batches = _batches(rows, epochs, recipe)
    started = time.monotonic()
    network.train()
    mean_loss = 0.0
    with tqdm(batches, total=steps, unit="batch", desc=f"{size} px", mininterval=10) as bar:
        for step, chosen in enumerate(bar):
            for group, rate in zip(optimiser.param_groups, top, strict=True):
                group["lr"] = rate * warm_cosine(step / steps)
            loss = _loss(network, films, chosen, size, blend_share(recipe.mixup, chance), random)
            if not torch.isfinite(loss):
                raise DivergedError(f"the loss is {loss.item()} at step {step}, films {chosen.tolist()}; lower rate")
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
            optimiser.step()
            averaged.update_parameters(network)
            mean_loss += 0.05 * (loss.item() - mean_loss)
            bar.set_postfix(loss=f"{mean_loss:.3f}")
    log.info("%d px: %d steps, %.1f films/s", size, steps, steps * recipe.batch / (time.monotonic() - started))


def _loss(
    network: EdgeNetwork, films: TrainingSet, chosen: torch.Tensor, size: int, share: float, random: torch.Generator
) -> torch.Tensor:
    """Return the loss of one batch of changed and blended films."""
    grey = augment(films.pixels[chosen], size, random)
    partner = torch.randperm(len(chosen), generator=random)
    grey = share * grey + (1 - share) * grey[partner]
    inputs = scale_input(grey).contiguous(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        logits = network(inputs)
    losses = [
        weighted_bce(logits.float(), films.labels[rows], films.weights[rows]) for rows in (chosen, chosen[partner])
    ]
    return share * losses[0] + (1 - share) * losses[1]


def blend_share(mixup: float, chance: np.random.Generator) -> float:
    """Return the share of the first of two blended films, the larger one; 1 where mixup is 0."""
    share = float(chance.beta(mixup, mixup)) if mixup else 1.0
    return max(share, 1 - share)


def _optimiser(recipe: Recipe, network: EdgeNetwork) -> torch.optim.AdamW:
    """Return AdamW: two rates, and no decay on biases and batch norms."""
    groups = []
    for part, rate in ((network.body, recipe.rate * recipe.body_rate), (network.linear, recipe.rate)):
        for decays in (True, False):
            parameters = [p for p in part.parameters() if (p.ndim > 1) == decays]
            groups.append({"params": parameters, "lr": rate, "weight_decay": recipe.weight_decay if decays else 0.0})
    return torch.optim.AdamW(groups)


def _batches(rows: np.ndarray, epochs: int, recipe: Recipe) -> Iterator[torch.Tensor]:
    """Yield the rows of each batch; every epoch has its own order and drops the rest."""
    random = np.random.default_rng(recipe.seed)
    for _ in range(epochs):
        order = random.permutation(rows)
        for start in range(0, len(order) - recipe.batch + 1, recipe.batch):
            yield torch.from_numpy(order[start : start + recipe.batch])
