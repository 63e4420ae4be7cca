"""Fits the four small networks of the capture gate: `fit.py photographs|finder|sides|upright|framed FOLDER`.

They see only the films of patients that the shipped network was trained on, photographed by
tests/device/photographed.py and by the training room; FOLDER keeps what was photographed and where a network stood, so
that a second run starts at once and goes on. Prints the figures on validation patients and writes
device/cxrbox/capture/*.onnx. All but upright learn from the photographs, so those are taken first.
"""

import json
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from cxrbox.capture.edges import strips_input
from cxrbox.capture.networks import EDGE_COLUMNS, STRIP_COLUMNS, STRIP_PLACES, framed_input
from photographs import bare_set, load_films, photograph_set, upright_set
from shapes import Finder, Framed, Sides, Upright, write_finder, write_framed, write_sides, write_upright
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

# Each seed is a set of photographs, one of them of validation patients.
SEEDS = range(1, 17)
SET_SIZE = 1500
HELD = 99
# How much of the mean of the weights each step keeps.
KEPT = 0.998
# What a place next to an edge counts beyond another.
EDGE_WEIGHT = 3.0
# Columns of a strip from one that the network speaks of to the next, and in those the standard deviation of what it is
# to say around the true one.
EDGE_STEP = float(EDGE_COLUMNS[1])
TARGET_SPREAD = 1.0


def train(network: nn.Module, batch_of, loss_of, write, state: Path, steps: int, rate: float) -> nn.Module:
    """Fit with AdamW and one cycle of the rate, and return the mean of the last weights.

    A further run goes on from where the last one ended.
    """
    if state.exists():
        network.load_state_dict(torch.load(state))
    network = network.to(memory_format=torch.channels_last)
    mean = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(KEPT), use_buffers=True)
    optimiser = torch.optim.AdamW(network.parameters(), rate, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.15)
    losses = []
    for step in range(1, steps + 1):
        x, y = batch_of()
        with torch.autocast("cpu", torch.bfloat16):
            said = network(x.contiguous(memory_format=torch.channels_last))
        loss = loss_of(said.float(), y)
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


def photograph_films(keep: Path) -> dict:
    """Photograph the films of the training and of the validation patients, on all cores; return how many."""
    jobs = [("train", SET_SIZE, seed) for seed in SEEDS] + [("validation", 600, HELD)]
    with ProcessPoolExecutor(initializer=use_one_thread) as pool:
        sets = list(pool.map(photograph_part, *zip(*jobs, strict=True), [keep] * len(jobs)))
    return {"photographs": sum(len(np.load(path / "seen.npy", mmap_mode="r")) for path in sets)}


def photograph_part(part: str, count: int, seed: int, keep: Path) -> Path:
    """Photograph COUNT films of one part of the patients and return the folder of what was stored."""
    return photograph_set(load_films(part), count, seed, keep / f"set-{seed}")


def load_set(folder: Path) -> dict[str, np.ndarray]:
    """Return the arrays of a set of photographs, which stay on the disk until they are looked at."""
    return {path.stem: np.load(path, mmap_mode="r") for path in folder.glob("*.npy")}


def load_sets(keep: Path) -> tuple[list[dict[str, np.ndarray]], dict[str, np.ndarray]]:
    """Return the sets to learn from and the one that is held out."""
    return [load_set(keep / f"set-{seed}") for seed in SEEDS], load_set(keep / f"set-{HELD}")


def see(pictures: np.ndarray) -> torch.Tensor:
    """Return pictures, uint8 (n, side, side, channels), as a network sees them: float32 (n, channels, side, side)."""
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float()


def fit_finder(keep: Path, steps: int = 17000, batch: int = 24) -> dict:
    """Fit the finder and return its figures on validation patients."""
    (sets, held), random, network = load_sets(keep), np.random.default_rng(1), Finder()

    def batch_of():
        part = sets[random.integers(len(sets))]
        some = np.sort(random.integers(0, len(part["seen"]), batch))
        seen, places = part["seen"][some], part["places"][some]
        for place in range(batch):  # a photograph may as well be mirrored or stand on its side
            turns, flip = random.integers(4), random.integers(2) * 2 - 1
            seen[place], places[place] = (np.rot90(a, turns)[:, ::flip] for a in (seen[place], places[place]))
        shown = (see(seen) / 127.5 - 1) * random.uniform(0.9, 1.1) + random.uniform(-0.1, 0.1)
        return shown, (see(places) / 255, torch.from_numpy(part["glare_known"][some]))

    def loss_of(logits, truth):
        # The places next to an edge say where it is, and they are few.
        places, known = truth
        most, least = nn.functional.max_pool2d(places, 5, 1, 2), -nn.functional.max_pool2d(-places, 5, 1, 2)
        weights = torch.stack([torch.ones(len(known)), 0.5 * known], dim=1)[..., None, None]
        weights = weights * (1 + EDGE_WEIGHT * (most - least))
        return nn.functional.binary_cross_entropy_with_logits(logits, places, weight=weights)

    network = train(network, batch_of, loss_of, write_finder, keep / "finder.pt", steps, 2.5e-3)
    with torch.no_grad():
        said = network(see(np.array(held["seen"])) / 127.5 - 1).sigmoid().numpy()
    truth = held["places"].transpose(0, 3, 1, 2) > 127
    overlap = ((said > 0.5) & truth).sum((2, 3)) / np.maximum(((said > 0.5) | truth).sum((2, 3)), 1)
    glaring = held["glare_known"] & (truth[:, 1].sum((1, 2)) > 10)
    return {
        "film, share with overlap > .95": float((overlap[:, 0] > 0.95).mean()),
        "glare, mean overlap": float(overlap[glaring, 1].mean()),
    }


def see_strips(part: dict[str, np.ndarray], some) -> np.ndarray:
    """Return some strips of a set as the network sees them: float32 (n, 4, 256, 96)."""
    shape = -1, 4, STRIP_PLACES, STRIP_COLUMNS
    tones = (part["tones"][some].astype(np.float32) / 255).reshape(shape)
    shown = np.unpackbits(part["shown"][some], axis=-1).astype(np.float32).reshape(shape)
    return np.concatenate([strips_input(*each) for each in zip(tones, shown, strict=True)])


def fit_sides(keep: Path, steps: int = 20000, batch: int = 32) -> dict:
    """Fit the network that tells the film's edges and return its figures on validation patients."""
    (sets, held), random, network = load_sets(keep), np.random.default_rng(2), Sides()

    def batch_of():
        part = sets[random.integers(len(sets))]
        some = np.sort(random.integers(0, len(part["tones"]), batch))
        seen, truth = see_strips(part, some), part["columns"][some].copy()
        for place in range(batch):  # a film may as well be walked round from another corner, or the other way
            turns = random.integers(4)
            seen[place], truth[place] = (
                np.roll(seen[place], turns * STRIP_PLACES, axis=1),
                np.roll(truth[place], turns, axis=0),
            )
            if random.integers(2):
                seen[place], truth[place] = seen[place, :, ::-1], truth[place, ::-1, ::-1]
        return torch.from_numpy(seen), torch.from_numpy(truth)

    def loss_of(logits, truth):
        # What lies beyond the strip is no use to learn.
        inside = (truth > 0) & (truth < STRIP_COLUMNS - 1)
        away = (torch.from_numpy(EDGE_COLUMNS) - truth[..., None]) / EDGE_STEP
        target = torch.softmax(-0.5 * away.square() / TARGET_SPREAD**2, dim=-1)
        return -(target * logits.permute(0, 2, 1, 3).log_softmax(-1)).sum(-1)[inside].mean()

    network = train(network, batch_of, loss_of, write_sides, keep / "sides.pt", steps, 3e-3)
    with torch.no_grad():
        said = network(torch.from_numpy(see_strips(held, slice(None)))).permute(0, 2, 1, 3).argmax(-1).numpy()
    truth = held["columns"]
    off = np.abs(EDGE_COLUMNS[said] - truth)[(truth > 0) & (truth < STRIP_COLUMNS - 1)]
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


def fit_framed(keep: Path, steps: int = 6000, batch: int = 128) -> dict:
    """Fit the network that tells grey photographs from films, and return its figures on validation patients."""
    (sets, held), random, network = load_sets(keep), np.random.default_rng(4), Framed()
    stock = keep / "framed.npz"
    if not stock.exists():
        photographs = np.concatenate([see_grey(part) for part in sets])
        np.savez(stock, photographs=photographs, bare=bare_set(load_films("train"), len(photographs), random))
    kinds = [np.load(stock)[name] for name in ("bare", "photographs")]

    def batch_of():
        x = np.concatenate([kind[random.integers(0, len(kind), batch // 2)] for kind in kinds])
        truth = torch.arange(2).repeat_interleave(batch // 2).float()[:, None]
        # A picture may as well be mirrored.
        return torch.from_numpy(x[..., :: random.integers(2) * 2 - 1].copy()), truth

    loss_of = nn.functional.binary_cross_entropy_with_logits
    network = train(network, batch_of, loss_of, write_framed, keep / "framed.pt", steps, 3e-3)
    films = load_films("validation")
    told = [see_grey(held), bare_set(films, 3000, random), np.stack([framed_input(film) for film in films])]
    with torch.no_grad():
        photographs, bare, as_they_are = (network(torch.from_numpy(x))[:, 0].numpy() for x in told)
    return {
        "photographs, logits at 1, 5, 10, 20, 50 %": np.percentile(photographs, [1, 5, 10, 20, 50]).round(1).tolist(),
        "films made harder, logits at 50, 90, 99, 99.9, 100 %": np.percentile(bare, [50, 90, 99, 99.9, 100])
        .round(1)
        .tolist(),
        "films as they are, logits at 50, 99, 100 %": np.percentile(as_they_are, [50, 99, 100]).round(1).tolist(),
    }


def see_grey(part: dict[str, np.ndarray]) -> np.ndarray:
    """Return the photographs of a set without their colours, as the network sees them: float32 (n, 1, 64, 64)."""
    return np.stack([framed_input(cv2.cvtColor(seen, cv2.COLOR_BGR2GRAY)) for seen in part["seen"]])


def use_one_thread() -> None:
    """Leave the other cores to the other runs."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


def main() -> None:
    """Photograph, or fit the network named."""
    use_one_thread()
    torch.manual_seed(0)
    name, keep = sys.argv[1], Path(sys.argv[2])
    keep.mkdir(parents=True, exist_ok=True)
    runs = {
        "photographs": photograph_films,
        "finder": fit_finder,
        "sides": fit_sides,
        "upright": fit_upright,
        "framed": fit_framed,
    }
    figures = runs[name](keep)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
