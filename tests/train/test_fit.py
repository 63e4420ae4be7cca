"""`cxrtrain fit` through its command, on drawn films."""

import csv
import json
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import onnxruntime
import pytest
import torch
from cxrbundle.labels import FINDINGS
from cxrbundle.phantom import draw_phantom
from cxrtrain.errors import FilmsError
from cxrtrain.learn.lesson import prepare_lesson
from cxrtrain.learn.world import World
from cxrtrain.networks.network import load_network, scale_input
from cxrtrain.recipe import make_recipe
from safetensors.numpy import load_file
from train_command import ALONE, TINY, run_cxrtrain

# Nothing by chance, and no statistics of a batch, so that one process and two do the same arithmetic.
WITHOUT_CHANCE = [
    *TINY,
    *("--transforms.preset", "none", "--transforms.mixup", 0, "--network.dropout", 0, "--network.drop_path", 0),
    *("--first.epochs", 2, "--first.head_only", True, "--second.epochs", 0, "--optimiser.average", 0),
]


def read_rows(path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def figures(folder) -> np.ndarray:
    """Return loss, validation loss and validation AUC of each epoch."""
    names = ("loss", "validation_loss", "validation_auc")
    return np.array([[float(row[name]) for name in names] for row in read_rows(folder / "metrics.csv")])


def test_a_run_says_what_it_was_made_of(run_folder):
    facts = json.loads((run_folder / "run.json").read_text())
    assert facts["labels"] == list(FINDINGS)
    assert facts["recipe"]["second"]["size"] == facts["input"]["size"] == 64
    assert sum(facts["data"][part]["films"] for part in ("train", "validation", "test")) == 64
    assert 0 <= facts["metrics"]["float"]["mean"]["auc"] <= 1
    assert [row["phase"] for row in read_rows(run_folder / "metrics.csv")] == ["first", "second"]
    assert list((run_folder / "tensorboard").iterdir())


def test_no_patient_stands_in_two_parts(run_folder):
    parts: dict[str, set[str]] = {}
    for row in read_rows(run_folder / "films.csv"):
        parts.setdefault(row["patient"], set()).add(row["part"])
    assert all(len(part) == 1 for part in parts.values())
    assert set.union(*parts.values()) == {"train", "validation", "test"}


def test_predictions_are_of_films_that_were_not_trained_on(run_folder):
    parts = {row["name"]: row["part"] for row in read_rows(run_folder / "films.csv")}
    rows = read_rows(run_folder / "predictions.csv")
    assert {row["name"]: row["part"] for row in rows} == {n: p for n, p in parts.items() if p != "train"}


def test_the_exported_body_and_head_give_the_networks_logits(run_folder):
    grey = cv2.resize(draw_phantom(1), (64, 64)).astype(np.float32)
    scaled = scale_input(torch.from_numpy(grey)[None])
    body = onnxruntime.InferenceSession(run_folder / "body.onnx")
    features = body.run(None, {body.get_inputs()[0].name: scaled.numpy()})[0]
    head = load_file(run_folder / "head.safetensors")
    with torch.inference_mode():
        expected = load_network(run_folder)(scaled).numpy()
    np.testing.assert_allclose(features.mean(axis=(2, 3)) @ head["weight"].T + head["bias"], expected, atol=1e-4)


def test_a_run_is_never_overwritten(prepared_films, run_folder):
    again = run_cxrtrain("fit", "--films", prepared_films, "-o", run_folder)
    assert again.returncode == 1 and "holds a finished run" in again.stderr


def test_films_that_were_not_prepared_are_refused(drawn_films, tmp_path):
    done = run_cxrtrain("fit", "--films", drawn_films, "-o", tmp_path / "run")
    assert done.returncode == 1 and "cxrtrain prepare" in done.stderr
    assert not (tmp_path / "run").exists()


def test_a_diverging_loss_stops_the_run_and_names_the_films(prepared_films, tmp_path):
    wild = ["--optimiser.rate", 1e30, "--optimiser.clip", 1e30, "--network.weights", "none"]
    done = run_cxrtrain("fit", "--films", prepared_films, "-o", tmp_path / "run", *TINY, *wild)
    assert done.returncode == 1 and "the loss is" in done.stderr and "_000.png" in done.stderr
    assert not (tmp_path / "run" / "run.json").exists()


def test_a_network_that_knows_held_out_patients_is_not_gone_on_from(prepared_films, run_folder):
    def lesson(fold: int):
        network = {"weights": "file", "weights_file": str(run_folder / "network.safetensors")}
        tables = {"data": {"split": "patient", "fold": fold}, "network": network, "run": {"batch": 8}}
        return prepare_lesson(make_recipe(tables, "test"), prepared_films, World(0, 1, torch.device("cpu")))

    assert len(lesson(0).rows) == 46
    with pytest.raises(FilmsError, match=r"patients who validate or test here: p\d+"):
        lesson(1)


def test_without_epochs_a_run_has_the_weights_that_it_was_given(prepared_films, run_folder, tmp_path):
    network = ["--network.weights", "file", "--network.weights_file", run_folder / "network.safetensors"]
    epochs = ["--first.epochs", 0, "--second.epochs", 0]
    done = run_cxrtrain("fit", "--films", prepared_films, "-o", tmp_path / "run", *TINY, *network, *epochs)
    assert done.returncode == 0, done.stderr
    given, kept = (read_rows(folder / "predictions.csv") for folder in (run_folder, tmp_path / "run"))
    assert kept == given


def test_training_ends_early_where_validation_no_longer_improves(prepared_films, tmp_path):
    still = ["--optimiser.rate", 1e-12, "--optimiser.average", 0, "--network.weights", "none", "--run.patience", 1]
    epochs = ["--first.epochs", 6, "--second.epochs", 0]
    # A frozen body keeps its statistics, so nothing at all can change.
    done = run_cxrtrain(
        "fit", "--films", prepared_films, "-o", tmp_path / "run", *TINY, *still, *epochs, "--first.head_only", True
    )
    assert done.returncode == 0, done.stderr
    assert len(figures(tmp_path / "run")) == 2


def test_a_killed_run_goes_on_as_if_it_had_not_been(prepared_films, tmp_path):
    settings = [*TINY, "--first.epochs", 2, "--second.epochs", 2]
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    done = run_cxrtrain("fit", "--films", prepared_films, "-o", whole, *settings)
    assert done.returncode == 0, done.stderr
    for epochs in (1, 3):
        kill_after(epochs, prepared_films, cut, settings, resume=epochs > 1)
    refused = run_cxrtrain("fit", "--films", prepared_films, "-o", cut, *settings)
    assert refused.returncode == 1 and "--resume" in refused.stderr
    other = run_cxrtrain("fit", "--films", prepared_films, "-o", cut, *settings, "--run.seed", 2, "--resume")
    assert other.returncode == 1 and "other settings of run" in other.stderr
    done = run_cxrtrain("fit", "--films", prepared_films, "-o", cut, *settings, "--resume")
    assert done.returncode == 0, done.stderr
    np.testing.assert_array_equal(figures(cut), figures(whole))
    assert (cut / "predictions.csv").read_text() == (whole / "predictions.csv").read_text()


def kill_after(epochs: int, films, folder, settings, resume: bool) -> None:
    """Train, and kill the process as a power cut would once so many epochs are done."""
    command = [sys.executable, "-m", "cxrtrain", "fit", "--films", films, "-o", folder, *settings]
    process = subprocess.Popen(
        [*map(str, command), *(["--resume"] if resume else [])], env=ALONE, stderr=subprocess.PIPE
    )
    with process:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            if (folder / "metrics.csv").exists() and len(read_rows(folder / "metrics.csv")) >= epochs:
                process.send_signal(signal.SIGKILL)
                break
            time.sleep(0.01)
        assert process.wait() == -signal.SIGKILL, process.stderr.read()


def test_two_processes_train_and_measure_as_one_does(prepared_films, tmp_path):
    alone, pair = tmp_path / "alone", tmp_path / "pair"
    done = run_cxrtrain("fit", "--films", prepared_films, "-o", alone, *WITHOUT_CHANCE)
    assert done.returncode == 0, done.stderr
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "cxrtrain"]
    arguments = ["fit", "--films", prepared_films, "-o", pair, *WITHOUT_CHANCE]
    together = subprocess.run(
        [*launch, *map(str, arguments)], capture_output=True, text=True, timeout=240, check=False, env=ALONE
    )
    assert together.returncode == 0, together.stderr
    np.testing.assert_allclose(figures(pair), figures(alone), atol=1e-5)
    metrics = [json.loads((folder / "run.json").read_text())["metrics"]["float"] for folder in (alone, pair)]
    assert metrics[0] == metrics[1]


@pytest.mark.parametrize("recipe", ["paper-one-vs-all", "paper-multilabel"])
def test_the_papers_recipes_train(recipe, repository, prepared_films, tmp_path):
    small = ["--data.split", "patient", "--first.epochs", 1, "--second.epochs", 1, "--network.weights", "none"]
    small += ["--first.size", 64, "--second.size", 64, "--run.batch", 8, "--run.precision", "fp32"]
    path = repository / "train" / "configs" / f"{recipe}.toml"
    done = run_cxrtrain("fit", path, "--films", prepared_films, "-o", tmp_path / "run", *small)
    assert done.returncode == 0, done.stderr
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["head_kind"] == "concat-pool"
    one = recipe == "paper-one-vs-all"
    assert facts["labels"] == (["Pneumothorax"] if one else list(FINDINGS))
    assert list(read_rows(tmp_path / "run" / "predictions.csv")[0])[2:] == facts["labels"]
