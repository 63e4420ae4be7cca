"""What the tests of the training room share: drawn films, prepared ones, and a small run."""

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest
from cxrbundle.labels import FINDINGS
from cxrbundle.phantom import draw_phantom
from train_command import TINY, run_cxrtrain

COLUMNS = (
    "path",
    "dataset",
    "original_file_name",
    "patient_id",
    "age",
    "sex",
    "view",
    "source_repo",
    "quality",
    "split_official",
    "split_chexnet",
)


@pytest.fixture(scope="session")
def drawn_films(tmp_path_factory) -> Path:
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
            row |= {"age": 20 + number, "sex": "FM"[number % 2], "view": ["PA", "AP"][number % 3 == 0]}
            row |= {"source_repo": f"s{number % 2}", "quality": "drawn"}
            row |= {
                "split_official": ["train_val", "test"][number // 48],
                "split_chexnet": ["train", "test"][number // 32],
            }
            writer.writerow(row | {finding: int(chance.random() < 0.3) for finding in FINDINGS})
    return root


@pytest.fixture(scope="session")
def prepared_films(drawn_films, tmp_path_factory) -> Path:
    """Return the drawn films as `cxrtrain prepare` writes them."""
    folder = tmp_path_factory.mktemp("prepared") / "films"
    done = run_cxrtrain("prepare", drawn_films, "-o", folder, "--size", 96)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="session")
def run_folder(prepared_films, tmp_path_factory) -> Path:
    """Return a finished run: two short phases of the edge network on the drawn films."""
    folder = tmp_path_factory.mktemp("run") / "run"
    epochs = ["--first.epochs", 1, "--second.epochs", 1]
    done = run_cxrtrain("fit", "--films", prepared_films, "-o", folder, *TINY, *epochs)
    assert done.returncode == 0, done.stderr
    return folder
