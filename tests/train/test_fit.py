"""The training room through its command, on drawn films."""

import csv
import json
import os
import subprocess
import sys

import cv2
import numpy as np
import onnxruntime
import pytest
from cxrbundle.labels import FINDINGS
from cxrbundle.phantom import draw_phantom
from safetensors.numpy import load_file

COLUMNS = ["path", "dataset", "original_file_name", "patient_id", "source_repo", "quality", "split_chexnet"]


@pytest.fixture(scope="module")
def drawn_films(tmp_path_factory):
    """Return a folder of 64 drawn films of 32 patients with a manifest like the real one's."""
    root = tmp_path_factory.mktemp("films")
    chance = np.random.default_rng(0)
    with (root / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*COLUMNS, *FINDINGS])
        writer.writeheader()
        for number in range(64):
            name = f"{number:08}_000.png"
            cv2.imwrite(str(root / name), cv2.resize(draw_phantom(number), (128, 128)))
            row = {"path": name, "original_file_name": name, "dataset": "nih14", "patient_id": f"p{number // 2}"}
            row |= {
                "source_repo": f"s{number % 2}",
                "quality": "drawn",
                "split_chexnet": ["train", "test"][number // 32],
            }
            writer.writerow(row | {finding: int(chance.random() < 0.3) for finding in FINDINGS})
    return root


def cxrtrain(*arguments) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "cxrtrain", *map(str, arguments)]
    # One thread: several that wait for each other by spinning crawl on a machine that others use too.
    alone = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=alone)


@pytest.fixture(scope="module")
def run_folder(drawn_films, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    settings = ["--size", 64, "--first-size", 64, "--first-epochs", 1, "--epochs", 1, "--batch", 8]
    done = cxrtrain("fit", "--films", drawn_films, "-o", folder, *settings)
    assert done.returncode == 0, done.stderr
    return folder


def test_a_run_says_what_it_was_made_of(run_folder):
    facts = json.loads((run_folder / "run.json").read_text())
    assert facts["labels"] == list(FINDINGS)
    assert facts["recipe"]["size"] == 64
    assert sum(facts["data"][part]["films"] for part in ("train", "validation", "test")) == 64
    assert 0 <= facts["metrics"]["float"]["mean"]["auc"] <= 1


def test_no_patient_stands_in_two_parts(run_folder):
    with (run_folder / "films.csv").open(newline="") as file:
        parts: dict[str, set[str]] = {}
        for row in csv.DictReader(file):
            parts.setdefault(row["patient"], set()).add(row["part"])
    assert all(len(part) == 1 for part in parts.values())
    assert set.union(*parts.values()) == {"train", "validation", "test"}


def test_the_exported_body_and_head_give_the_networks_logits(run_folder):
    import torch
    from cxrtrain.networks.network import EdgeNetwork, scale_input
    from safetensors.torch import load_file as load_torch

    grey = cv2.resize(draw_phantom(1), (64, 64)).astype(np.float32)
    network = EdgeNetwork(14, drop_path=0.0).eval()
    network.load_state_dict(load_torch(run_folder / "network.safetensors"))
    scaled = scale_input(torch.from_numpy(grey)[None])
    body = onnxruntime.InferenceSession(run_folder / "body.onnx")
    features = body.run(None, {body.get_inputs()[0].name: scaled.numpy()})[0]
    head = load_file(run_folder / "head.safetensors")
    with torch.inference_mode():
        expected = network(scaled).numpy()
    np.testing.assert_allclose(features.mean(axis=(2, 3)) @ head["weight"].T + head["bias"], expected, atol=1e-4)


def test_a_run_is_never_overwritten(drawn_films, run_folder):
    again = cxrtrain("fit", "--films", drawn_films, "-o", run_folder)
    assert again.returncode == 1 and "is not empty" in again.stderr


def test_missing_films_are_named(tmp_path):
    done = cxrtrain("fit", "--films", tmp_path, "-o", tmp_path / "run")
    assert done.returncode == 1 and "manifest.csv cannot be read" in done.stderr
    assert not (tmp_path / "run").exists()
