"""Measure the speed of training: our pipeline, the bare network, and torchvision's reference loop. Prints JSON.

    python tests/bench/bench_training.py FILMS [--steps 12]

All three train the same network (EfficientNet-Lite0, 224 px, batch 32) on the same films in one run, one after the
other in rounds, so that the ratios hold on a shared machine. The reference loop is that of torchvision's
references/classification/train.py with its defaults: a DataLoader that decodes each film anew, random resized crop
and flip, SGD, single precision.
"""

import argparse
import importlib
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from cxrtrain.learn.batches import epoch_batches, step_chance
from cxrtrain.learn.epoch import batch_loss
from cxrtrain.learn.learner import Learner, average_of
from cxrtrain.learn.lesson import Lesson, prepare_lesson
from cxrtrain.learn.world import join_world
from cxrtrain.networks.mend import import_torchvision
from cxrtrain.networks.network import build_network, scale_input
from cxrtrain.recipe import make_recipe
from cxrtrain.transforms.presets import build_transform
from torch import nn

BATCH, SIZE, ROUNDS = 32, 224, 3


def make_learner(lesson: Lesson) -> Learner:
    network = build_network(lesson.recipe.network, lesson.task.outputs, SIZE)
    network = network.to(lesson.world.device, memory_format=torch.channels_last)
    averaged = average_of(network, lesson.recipe.optimiser.average)
    learner = Learner(lesson.recipe, lesson.recipe.second, network, averaged, lesson.world)
    learner.start_epoch()
    return learner


def pipeline(lesson: Lesson, steps: int) -> Callable[[], None]:
    """Return what trains for some steps as `cxrtrain fit` does."""
    learner, films = make_learner(lesson), lesson.films_of(lesson.recipe.second)
    transform = build_transform(lesson.recipe.transforms.preset, SIZE)
    epoch = epoch_batches(films.rows, BATCH, step_chance(1), lesson.world)
    batches = (epoch * (1 + steps // len(epoch)))[:steps]

    def run() -> None:
        for rows, pixels in zip(batches, films.store.batches(batches), strict=True):
            learner.step(batch_loss(learner, films, rows, transform(pixels), lesson.loss_of, 0.7))

    return run


def bare(lesson: Lesson, steps: int) -> Callable[[], None]:
    """Return what trains the same network on one batch that is on the device already."""
    learner = make_learner(lesson)
    inputs = scale_input(torch.rand(BATCH, SIZE, SIZE, device=lesson.world.device) * 255)
    targets = torch.zeros(BATCH, lesson.task.outputs, device=lesson.world.device)

    def run() -> None:
        for _ in range(steps):
            learner.step(lesson.loss_of(learner.logits(inputs), targets, None))

    return run


class FilmFiles(torch.utils.data.Dataset):
    """Films decoded one by one, as the reference loop's ImageFolder does."""

    def __init__(self, lesson: Lesson, count: int):
        self.paths = [str(lesson.prepared.root / lesson.prepared.films[row].path) for row in lesson.rows[:count]]
        self.targets = lesson.targets[:count].cpu()
        import_torchvision()
        v2 = importlib.import_module("torchvision.transforms.v2")
        self.change = v2.Compose(
            [
                v2.RandomResizedCrop(SIZE, antialias=True),
                v2.RandomHorizontalFlip(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
            ]
        )

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, row: int) -> tuple[torch.Tensor, torch.Tensor]:
        colour = cv2.cvtColor(cv2.imread(self.paths[row]), cv2.COLOR_BGR2RGB)
        return self.change(torch.from_numpy(colour).permute(2, 0, 1)), self.targets[row]


def reference_loop(lesson: Lesson, steps: int, workers: int) -> Callable[[], None]:
    """Return what trains the same network in the reference loop."""
    device = lesson.world.device
    network = build_network(lesson.recipe.network, lesson.task.outputs, SIZE).to(device).train()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    films = FilmFiles(lesson, steps * BATCH)
    loader = torch.utils.data.DataLoader(
        films, BATCH, shuffle=True, num_workers=workers, pin_memory=device.type == "cuda"
    )

    def run() -> None:
        for inputs, targets in loader:
            loss = nn.functional.binary_cross_entropy_with_logits(network(inputs.to(device)), targets.to(device))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            loss.item()

    return run


def films_per_second(run: Callable[[], None], films: int, device: torch.device) -> float:
    started = time.perf_counter()
    run()
    if device.type == "cuda":
        torch.cuda.synchronize()
    return films / (time.perf_counter() - started)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("films", type=Path)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument(
        "--workers", type=int, default=2, help="of the reference loop; its default of 16 is for 16 cores"
    )
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, join_world() as world:
        prepared = Path(folder) / "prepared"
        command = [sys.executable, "-m", "cxrtrain", "prepare", str(arguments.films), "-o", str(prepared)]
        subprocess.run(command, check=True, capture_output=True)
        recipe = make_recipe({"data": {"split": "reference"}, "run": {"batch": BATCH}}, "bench")
        lesson = prepare_lesson(recipe, prepared, world)
        runs = {
            "pipeline": pipeline(lesson, arguments.steps),
            "bare": bare(lesson, arguments.steps),
            "reference_loop": reference_loop(lesson, arguments.steps, arguments.workers),
        }
        speeds: dict[str, list[float]] = {name: [] for name in runs}
        for warm in (True, *[False] * ROUNDS):
            for name, run in runs.items():
                speed = films_per_second(run, arguments.steps * BATCH, world.device)
                if not warm:
                    speeds[name].append(speed)
    medians = {name: statistics.median(own) for name, own in speeds.items()}
    result = {
        "device": torch.cuda.get_device_name() if world.device.type == "cuda" else "cpu",
        "threads": torch.get_num_threads(),
        "films_per_second": {name: round(value, 1) for name, value in medians.items()},
        "pipeline_over_bare": round(medians["pipeline"] / medians["bare"], 3),
        "pipeline_over_reference_loop": round(medians["pipeline"] / medians["reference_loop"], 3),
        "spread": {name: round(float(np.ptp(own)) / medians[name], 3) for name, own in speeds.items()},
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
