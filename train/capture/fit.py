"""Fits the three small networks of the capture gate: `fit.py finder|sides|upright FOLDER`.

They see only the films of patients that `runs/edge-3/films.csv` puts into training, photographed by
tests/device/photographed.py and, for the sides, by the training room as well; FOLDER keeps what was photographed and
where a network stood, so that a second run starts at once and goes on. Each takes about half an hour on one core.
Prints the figures on validation patients and writes device/cxrbox/capture/*.onnx. The sides are fitted after the
finder, because they learn from what it finds.
"""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import torch
from cxrbox.capture.edges import strips_input
from cxrbox.capture.networks import STRIP_COLUMNS
from photographs import load_films, photograph_set, photograph_strips, upright_set
from shapes import Finder, Sides, Upright, write_finder, write_sides, write_upright
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

# Each seed is a set of photographs.
SEEDS = 1, 2, 3, 4
STRIP_SEEDS = 21, 22
# How much of the mean of the weights each step keeps.
KEPT = 0.998
# What a place next to an edge counts beyond another.
EDGE_WEIGHT = 3.0
# Standard deviation of what the network is to say around the true column.
TARGET_SPREAD = 1.0


def train(network: nn.Module, batch_of, loss_of, write, state: Path, steps: int, rate: float) -> nn.Module:
    """Fit with AdamW and one cycle of the rate, and return the mean of the last weights.

    A further run goes on from where the last one ended.
    """
    if state.exists():
        network.load_state_dict(torch.load(state))
    mean = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(KEPT), use_buffers=True)
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.15)
    losses = []
    for step in range(1, steps + 1):
        x, y = batch_of()
        loss = loss_of(network(x), y)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        mean.update_parameters(network)
        losses.append(loss.item())
        if step % 250 == 0 or step == steps:
            print(f"step {step} loss {np.mean(losses[-250:]):.4f}", flush=True)
            torch.save(mean.module.state_dict(), state)
    write(mean.module)
    return mean.module.eval()


def fit_finder(keep: Path, steps: int = 6000, batch: int = 24) -> dict:
    """Fit the finder and return its figures on validation patients."""
    sets = [photograph_set(load_films("train"), 9000, seed, keep / f"finder-{seed}.npz") for seed in SEEDS]
    random, network = np.random.default_rng(1), Finder()

    def batch_of():
        part = sets[random.integers(len(sets))]
        some = random.integers(0, len(part["x"]), batch)
        seen, truth = part["x"][some].astype(np.float32) / 127.5 - 1, part["y"][some].astype(np.float32) / 255
        for place in range(batch):  # a photograph may as well be mirrored or stand on its side
            turns, flip = random.integers(4), random.integers(2) * 2 - 1
            seen[place], truth[place] = (np.rot90(a, turns)[:, ::flip] for a in (seen[place], truth[place]))
        seen = seen * np.float32(random.uniform(0.9, 1.1)) + np.float32(random.uniform(-0.1, 0.1))
        return tuple(torch.from_numpy(np.ascontiguousarray(a.transpose(0, 3, 1, 2))) for a in (seen, truth))

    def loss_of(logits, truth):
        # The places next to an edge say where it is, and they are few.
        most, least = nn.functional.max_pool2d(truth, 5, 1, 2), -nn.functional.max_pool2d(-truth, 5, 1, 2)
        weights = torch.tensor([1.0, 0.5]).view(1, 2, 1, 1) * (1 + EDGE_WEIGHT * (most - least))
        return nn.functional.binary_cross_entropy_with_logits(logits, truth, weight=weights)

    network = train(network, batch_of, loss_of, write_finder, keep / "finder.pt", steps, 2.5e-3)
    held = photograph_set(load_films("validation"), 600, 99, keep / "finder-99.npz")
    with torch.no_grad():
        seen = torch.from_numpy((held["x"].astype(np.float32) / 127.5 - 1).transpose(0, 3, 1, 2).copy())
        said = network(seen).sigmoid().numpy()
    truth = held["y"].transpose(0, 3, 1, 2) > 127
    overlap = ((said > 0.5) & truth).sum((2, 3)) / np.maximum(((said > 0.5) | truth).sum((2, 3)), 1)
    return {
        "film, share with overlap > .95": float((overlap[:, 0] > 0.95).mean()),
        "glare, mean overlap": float(overlap[truth[:, 1].sum((1, 2)) > 10, 1].mean()),
    }


def fit_sides(keep: Path, steps: int = 5000, batch: int = 48) -> dict:
    """Fit the network that tells the film's edges and return its figures on validation patients."""
    films, random, network = load_films("train"), np.random.default_rng(2), Sides()
    sets = [photograph_strips(films, 3000, seed, keep / f"sides-{seed}.npz") for seed in STRIP_SEEDS]
    held = photograph_strips(load_films("validation"), 150, 97, keep / "sides-97.npz")

    def batch_of():
        part = sets[random.integers(len(sets))]
        some = random.integers(0, len(part["x"]), batch)
        seen, truth = part["x"][some], part["y"][some]
        turned = random.random(batch) < 0.5  # a side may as well be walked the other way
        seen[turned], truth[turned] = seen[turned, ::-1], truth[turned, ::-1]
        return torch.from_numpy(strips_input(seen.astype(np.float32) / 255)), torch.from_numpy(truth)

    def loss_of(logits, truth):
        # What lies beyond the strip is no use to learn.
        inside = (truth > 0) & (truth < STRIP_COLUMNS - 1)
        away = torch.arange(STRIP_COLUMNS) - truth[..., None]
        target = torch.softmax(-0.5 * away.square() / TARGET_SPREAD**2, dim=-1)
        return -(target * logits.flatten(2).log_softmax(-1)).sum(-1)[inside].mean()

    network = train(network, batch_of, loss_of, write_sides, keep / "sides.pt", steps, 3e-3)
    with torch.no_grad():
        said = network(torch.from_numpy(strips_input(held["x"].astype(np.float32) / 255))).flatten(2).argmax(-1).numpy()
    inside = (held["y"] > 0) & (held["y"] < STRIP_COLUMNS - 1)
    off = np.abs(said - held["y"])[inside]
    return {f"within {columns} columns": float((off <= columns).mean()) for columns in (2, 4, 8)}


def fit_upright(keep: Path, steps: int = 3500, batch: int = 64) -> dict:
    """Fit the network that tells how a film hangs, and return its figures on validation patients."""
    random, films, network = np.random.default_rng(3), load_films("train"), Upright()
    stock = keep / "upright.npz"
    if not stock.exists():
        np.savez(stock, **dict(zip("xy", upright_set(films, 40000, random), strict=True)))
    x, y = (np.load(stock)[name] for name in "xy")

    def batch_of():
        some = random.integers(0, len(x), batch)
        return torch.from_numpy(x[some]), torch.from_numpy(y[some])

    def loss_of(logits, truth):
        hanging = nn.functional.cross_entropy(logits[:, :8], truth[:, 0].long(), label_smoothing=0.02)
        known = ~truth[:, 2].isnan()
        binary = nn.functional.binary_cross_entropy_with_logits
        return hanging + binary(logits[:, 8], truth[:, 1]) + 0.5 * binary(logits[known, 9], truth[known, 2])

    network = train(network, batch_of, loss_of, write_upright, keep / "upright.pt", steps, 3e-3)
    x, y = upright_set(load_films("validation"), 3000, random)
    with torch.no_grad():
        said = network(torch.from_numpy(x)).numpy()
    hanging, known = said[:, :8].argmax(1), ~np.isnan(y[:, 2])
    return {
        "turn": float((hanging % 4 == y[:, 0] % 4).mean()),
        "turn and mirror": float((hanging == y[:, 0]).mean()),
        "negative": float(((said[:, 8] > 0) == y[:, 1]).mean()),
        "cut": float(((said[known, 9] > 0) == y[known, 2]).mean()),
    }


def main() -> None:
    """Fit the network named."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    name, keep = sys.argv[1], Path(sys.argv[2])
    keep.mkdir(parents=True, exist_ok=True)
    figures = {"finder": fit_finder, "sides": fit_sides, "upright": fit_upright}[name](keep)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
