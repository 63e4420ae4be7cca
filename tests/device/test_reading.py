"""A body that does not answer as it should reads no film."""

import json
import shutil

import cv2
import numpy as np
import pytest
from cxrbox.bodies.cpu import CpuBody, usable_threads
from cxrbox.errors import BackendError, RefusedError
from cxrbox.reading import GOLDEN_TOLERANCE, open_reader
from cxrbox.settings import Settings
from cxrbundle.bundle import load_bundle
from spoiled_bundle import replace_file, replace_golden


def allowed(folder) -> Settings:
    return Settings(bundle=folder, threads=1, allow_unsigned=True)


@pytest.fixture
def copied(bundle_folder, tmp_path):
    return shutil.copytree(bundle_folder, tmp_path / "bundle")


def shift_golden(folder, change: float) -> None:
    """Write golden logits that are off by `change`."""
    replace_golden(folder, logits=load_bundle(folder).golden.logits + np.float32(change))


def test_the_shipped_body_answers_its_golden_films(bundle_folder):
    reader = open_reader(Settings(bundle=bundle_folder, threads=1))
    assert reader.check_golden_films() < GOLDEN_TOLERANCE / 3


@pytest.mark.parametrize("change", [2 * GOLDEN_TOLERANCE, float("nan")])
def test_a_body_that_answers_otherwise_is_not_used(copied, change):
    shift_golden(copied, change)
    with pytest.raises(BackendError, match="it reads no film"):
        open_reader(allowed(copied))


def test_the_box_ends_with_the_reason_instead_of_reading(copied, cxrbox, tmp_path):
    shift_golden(copied, 2 * GOLDEN_TOLERANCE)
    folders = ["--films", tmp_path / "f", "--state", tmp_path / "s"]
    done = cxrbox("run", "--bundle", copied, "--allow-unsigned", *folders, "--port", 1024)
    assert done.returncode == 2
    assert "it reads no film" in done.stderr and "the reader cannot start" in done.stderr


def test_a_body_whose_ends_the_manifest_does_not_describe_is_refused(copied):
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["features"]["zero_point"] += 1
    (copied / "manifest.json").write_text(json.dumps(manifest))
    bundle = load_bundle(copied)
    with pytest.raises(BackendError, match="features of the body"):
        CpuBody(bundle, 1)


def test_a_body_that_is_no_network_is_refused(copied):
    replace_file(copied, "body.tflite", b"no network")
    with pytest.raises(BackendError, match="does not load"):
        open_reader(allowed(copied))


def test_a_blank_film_is_refused(bundle_folder, tmp_path):
    cv2.imwrite(str(tmp_path / "blank.png"), np.full((300, 300), 128, np.uint8))
    with pytest.raises(RefusedError) as refusal:
        open_reader(Settings(bundle=bundle_folder, threads=1)).read(tmp_path / "blank.png")
    assert refusal.value.code == "blank"


def test_no_more_threads_are_used_than_there_are_cores():
    assert usable_threads(1) == 1
    assert 1 <= usable_threads(64) <= 64
