"""A bundle's folder: what is read of it, and what is refused before anything is parsed."""

import os

import numpy as np
import pytest
from cxrbundle.bundle import MOST_GOLDEN_FILMS, load_bundle
from cxrbundle.errors import ManifestError, TamperedError
from cxrbundle.labels import FINDINGS
from cxrbundle.package import MOST_BYTES, read_package
from tiny_bundle import as_npz, golden_arrays, head_arrays, tiny_files, write_files


def test_only_what_the_manifest_names_is_read(tmp_path):
    folder = write_files(tmp_path / "tiny", tiny_files())
    (folder / "diary.txt").write_text("mine")
    (folder / "photos").mkdir()
    assert set(read_package(folder).files) == set(tiny_files())


def test_a_pipe_in_place_of_a_file_does_not_stop_the_box(tmp_path):
    folder = write_files(tmp_path / "tiny", tiny_files())
    (folder / "body.tflite").unlink()
    os.mkfifo(folder / "body.tflite")
    with pytest.raises(TamperedError, match=r"body\.tflite cannot be read \(not a plain file\)"):
        read_package(folder)


def test_a_folder_larger_than_a_bundle_is_refused(tmp_path):
    folder = write_files(tmp_path / "tiny", tiny_files())
    with (folder / "body.tflite").open("wb") as file:
        file.truncate(MOST_BYTES)
    with pytest.raises(TamperedError, match="larger than the"):
        read_package(folder)


def test_maps_of_golden_films_may_be_there_or_not(tmp_path):
    with_maps = load_bundle(write_files(tmp_path / "new", tiny_files()))
    assert with_maps.golden.maps.shape == (2, 14, 2, 2)
    arrays = golden_arrays()
    del arrays["maps"]
    assert load_bundle(write_files(tmp_path / "old", tiny_files(golden=as_npz(**arrays)))).golden.maps is None


@pytest.mark.parametrize(
    "change",
    [
        {"maps": np.zeros((2, 14, 7, 7), np.float16)},
        {"logits": np.zeros((2, 13), np.float32)},
        {"seeds": np.array([0.5, 1.5])},
        {"seeds": np.array([-1, 1])},
        {"seeds": np.zeros((2, 1), int)},
        {"seeds": np.zeros(0, int), "logits": np.zeros((0, 14)), "maps": np.zeros((0, 14, 2, 2))},
        {"seeds": np.arange(MOST_GOLDEN_FILMS + 1), "logits": np.zeros((MOST_GOLDEN_FILMS + 1, 14))},
        {"colours": np.zeros(2)},
    ],
)
def test_golden_films_that_cannot_be_are_refused(tmp_path, change):
    folder = write_files(tmp_path / "tiny", tiny_files(golden=as_npz(**golden_arrays() | change)))
    with pytest.raises(ManifestError, match="must hold seeds"):
        load_bundle(folder)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weight": np.zeros((14, 5), np.float32)}, "does not fit the features"),
        ({"weight": np.zeros((2, 3), np.float32), "bias": np.zeros(2, np.float32)}, "no logit for each finding"),
        ({"bias": np.full(14, np.nan, np.float32)}, "no logit for each finding"),
        ({"bias": np.array(["zero"] * 14)}, "an array of <U4"),
        ({"bias": np.array([None] * 14)}, "no plain numpy archive"),
        ({"bias": np.zeros((1 << 23) + 1, np.float32)}, "more than"),
    ],
)
def test_a_head_that_cannot_be_is_refused(tmp_path, change, words):
    folder = write_files(tmp_path / "tiny", tiny_files(head=as_npz(**head_arrays() | change)))
    with pytest.raises(ManifestError, match=words):
        load_bundle(folder)


def test_findings_stand_in_the_order_of_the_contract(tmp_path):
    assert load_bundle(write_files(tmp_path / "tiny", tiny_files())).manifest.labels == FINDINGS
