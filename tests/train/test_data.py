"""From a folder of films to what training reads: tables, splits, prepared arrays and tasks."""

import csv
import json
import os
import re
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from cxrbundle.bundle import load_bundle
from cxrbundle.labels import FINDINGS
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import resize_film, stretch_levels, to_input
from cxrbundle.shipped import shipped_bundle
from cxrtrain.data.counts import split_facts
from cxrtrain.data.films import Film, label_array, load_grey, source_names
from cxrtrain.data.folders import read_films
from cxrtrain.data.pixels import in_order
from cxrtrain.data.prepare import PrepareSettings, prepare
from cxrtrain.data.prepared import open_prepared
from cxrtrain.data.reference import REFERENCE, read_reference
from cxrtrain.data.shipped import split_as_shipped
from cxrtrain.data.splits import split
from cxrtrain.data.tasks import Task
from cxrtrain.errors import FilmsError
from cxrtrain.recipe import DataSettings, LossSettings, TaskSettings
from train_command import ALONE, run_cxrtrain

WRITTEN = {"films.csv", "pixels.npy", "prepared.json"}


@pytest.fixture(scope="module")
def real_films(shared_films) -> list[Film]:
    return read_films(shared_films)


def patients_of(films: list[Film], parts: list[str], part: str) -> set[str]:
    return {film.patient for film, own in zip(films, parts, strict=True) if own == part}


def change_manifest(root: Path, change) -> None:
    """Let CHANGE(rows) change the rows of a manifest."""
    with (root / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    change(rows)
    with (root / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture
def own_films(drawn_films, tmp_path) -> Path:
    """Return the folder of drawn films as links of its own, to be spoilt."""
    root = tmp_path / "films"
    root.mkdir()
    for path in drawn_films.iterdir():
        if path.suffix == ".png":
            os.link(path, root / path.name)
    (root / "manifest.csv").write_bytes((drawn_films / "manifest.csv").read_bytes())
    return root


def test_a_real_film_is_read_with_all_that_is_known_of_it(real_films):
    assert len(real_films) == 3098 and sum(film.thumbnail for film in real_films) == 753
    first = replace(real_films[0], labels=())
    known = {"age": 57, "sex": "M", "view": "PA", "official": "train_val", "reference": "train"}
    path = "images/nih14/00000001_000.jpg"
    assert first == Film("00000001_000.png", "nih-1", labels=(), path=path, source="mlmed/dl-web-xray", **known)
    assert [name for name, on in zip(FINDINGS, real_films[0].labels, strict=True) if on] == ["Cardiomegaly"]
    assert len(set(source_names(real_films))) == 5 and "other" in source_names(real_films)


def test_the_reference_network_is_read_for_every_film_that_it_never_saw(real_films, shared_films):
    reference = read_reference(shared_films / REFERENCE)
    unseen = [film for film in real_films if film.reference == "test"]
    assert len(unseen) == 837 and all(len(reference[film.image]) == 14 for film in unseen)
    assert read_reference(shared_films / "nowhere.csv") == {}


def spoil(rows: list[dict[str, str]], **cells: str) -> None:
    for row in rows[:7]:
        row.update(cells)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda rows: spoil(rows, Mass="2"), "7 unknown labels or parts: Mass '2' of 00000000_000.png, .* and 2 more"),
        (lambda rows: spoil(rows, split_official="tset"), "7 unknown labels or parts: official 'tset' of"),
        (lambda rows: spoil(rows, split_chexnet="tests"), "7 unknown labels or parts: reference 'tests' of"),
        (lambda rows: spoil(rows, patient_id=""), "7 rows without image or patient: row 1, .*row 5 and 2 more"),
        (lambda rows: spoil(rows, original_file_name="a.png"), "more than one row of 1 images: a.png"),
        (lambda rows: spoil(rows, path="gone.png"), "lacks 7 of 64 images: .* and 2 more; leave them out with"),
        (lambda rows: [row.pop("Mass") for row in rows], "lacks the columns Mass"),
        (lambda rows: [row.update(dataset="kermany") for row in rows], "names no film of ChestX-ray14"),
    ],
)
def test_a_manifest_that_cannot_be_trained_on_is_refused_by_its_first_culprits(change, said, own_films):
    change_manifest(own_films, change)
    with pytest.raises(FilmsError, match=said) as caught:
        read_films(own_films)
    assert "\n" not in str(caught.value)


def test_missing_films_are_left_out_on_request(own_films, caplog):
    change_manifest(own_films, lambda rows: spoil(rows, path="gone.png"))
    assert len(read_films(own_films, allow_missing=True)) == 57
    assert "7 images were left out, their films are missing: 00000000_000.png, " in caplog.text


@pytest.mark.parametrize(
    ("table", "said"),
    [(None, "has no manifest.csv, nor the labels.csv"), (b"\xff\xfe", "is not a CSV"), (b"", "lacks the columns data")],
)
def test_a_folder_without_a_table_is_refused(table, said, tmp_path):
    if table is not None:
        (tmp_path / "manifest.csv").write_bytes(table)
    with pytest.raises(FilmsError, match=said):
        read_films(tmp_path)


def test_the_real_reference_split_holds_out_patients_the_reference_never_saw(real_films):
    parts = split(real_films, DataSettings(split="reference"))
    test = [film for film, part in zip(real_films, parts, strict=True) if part == "test"]
    assert all(film.reference == "test" for film in test)
    assert label_array([film for film in test if not film.thumbnail]).sum(axis=0).min() >= 3
    assert len(patients_of(real_films, parts, "validation")) > 100
    assert [parts.count(part) for part in ("train", "validation", "test")] == [2395, 283, 420]


def test_the_shipped_network_is_measured_on_the_patients_that_its_training_held_out(real_films):
    parts = split_as_shipped(real_films)
    stated = load_bundle(shipped_bundle()).manifest.training["data"]
    facts = split_facts(real_films, parts)
    assert {part: (own["images"], own["patients"], own["findings"]) for part, own in facts["parts"].items()} == {
        part: (own["films"], own["patients"], own["positives"]) for part, own in stated.items()
    }
    assert all(own["patients"] == 0 for own in facts["leakage"].values())


@pytest.mark.parametrize("name", ["official", "reference", "patient"])
def test_the_folds_of_the_real_films_share_no_patient_and_leave_none_out(name, real_films):
    folds = [split(real_films, DataSettings(split=name, fold=fold)) for fold in range(8)]
    tested = patients_of(real_films, folds[0], "test")
    assert all(patients_of(real_films, parts, "test") == tested for parts in folds)
    validated = [patient for parts in folds for patient in patients_of(real_films, parts, "validation")]
    assert sorted(validated) == sorted({film.patient for film in real_films} - tested)
    for parts in folds:
        leaks = split_facts(real_films, parts)["leakage"]
        assert leaks["validation"]["images"] == leaks["test"]["images"] == 0


def some_films(count: int = 400, **facts) -> list[Film]:
    return [Film(f"{n}.png", f"p{n // 2}", 50, "F", "PA", (n % 2,) + (0,) * 13, **facts) for n in range(count)]


def test_the_same_seed_draws_the_same_patients_and_another_seed_others():
    first, again, other = (split(some_films(), DataSettings(split="patient", split_seed=seed)) for seed in (1, 1, 2))
    assert first == again != other
    assert [first.count(part) for part in ("train", "validation", "test")] == [280, 40, 80]


def test_the_papers_split_leaves_films_without_a_finding_out():
    parts = split(some_films(), DataSettings(split="paper"))
    assert set(parts[::2]) == {""}
    assert (parts.count("validation"), parts.count("train")) == (40, 160)


@pytest.mark.parametrize(
    ("films", "name", "said"),
    [
        (
            some_films(),
            "official",
            "400 of 400 films have no part in NIH's official split: 0.png, .*take another split",
        ),
        (some_films(), "reference", "no film has a part in the split of the reference network"),
        (some_films(8), "patient", "4 patients to train on cannot be divided into 8 folds"),
        (
            [replace(film, official=["test", "train_val"][n % 2]) for n, film in enumerate(some_films(20))],
            "official",
            "10 patients stand in both parts of NIH's official split: p0, p1, p2, p3, p4 and 5 more",
        ),
    ],
)
def test_films_that_cannot_be_split_are_refused(films, name, said):
    with pytest.raises(FilmsError, match=said):
        split(films, DataSettings(split=name))


def test_the_command_prepares_films_as_the_contract_does(prepared_films, drawn_films):
    assert {path.name for path in prepared_films.iterdir()} == WRITTEN
    prepared = open_prepared(prepared_films)
    assert prepared.films == read_films(drawn_films)
    assert (prepared.root, prepared.size, prepared.pixels.shape) == (drawn_films, 96, (64, 96, 96))
    assert not prepared.pixels.flags.writeable
    for film, square in zip(prepared.films, prepared.pixels, strict=True):
        assert (square == stretch_levels(resize_film(load_grey(drawn_films / film.path), 96))).all()


def test_inputs_are_those_of_the_box_from_the_films_as_they_were(prepared_films, drawn_films):
    prepared = open_prepared(prepared_films)
    inputs = prepared.inputs([5, 3, 5], 112)
    assert inputs.dtype == np.uint8 and inputs.shape == (3, 112, 112)
    for square, row in zip(inputs, (5, 3, 5), strict=True):
        film = load_grey(drawn_films / prepared.films[row].path)
        assert (square == to_input(film, 112)[0, ..., 1]).all()


def test_what_labels_writes_can_be_prepared(drawn_films, tmp_path):
    header = "Image Index,Finding Labels,Patient ID,Patient Age,Patient Gender,View Position"
    rows = [f"{n:08}_000.png,{'Mass|Hernia' if n % 2 else 'No Finding'},{n},{n},F,AP" for n in range(70)]
    (tmp_path / "Data_Entry_2017.csv").write_text("\n".join([header, *rows]))
    labels, out = tmp_path / "labels", tmp_path / "out"
    done = run_cxrtrain("labels", tmp_path / "Data_Entry_2017.csv", "--split", "patient", "-o", labels)
    assert done.returncode == 0, done.stderr
    refused = run_cxrtrain("prepare", labels, "-o", out)
    assert "does not say where its films stand; name their folder with --films" in refused.stderr
    refused = run_cxrtrain("prepare", labels, "--films", drawn_films, "-o", out)
    assert (
        "lacks 6 of 70 images: 00000064_000.png, 00000065_000.png, 00000066_000.png, 00000067_000.png, "
        "00000068_000.png and 1 more" in refused.stderr
    )
    prepare(PrepareSettings(labels, out, drawn_films, size=32, allow_missing=True))
    film = open_prepared(out).films[63]
    assert film == Film("00000063_000.png", "63", 63, "F", "AP", film.labels, path="00000063_000.png")
    assert [name for name, on in zip(FINDINGS, film.labels, strict=True) if on] == ["Mass", "Hernia"]


def test_a_killed_command_goes_on_where_it_was_and_ends_with_the_same_bytes(tmp_path):
    root, whole, killed = tmp_path / "films", tmp_path / "whole", tmp_path / "killed"
    write_many(root, 800)
    command = [sys.executable, "-m", "cxrtrain", "prepare", str(root), "--workers", "1", "-o"]
    process = subprocess.Popen([*command, str(killed)], stderr=subprocess.DEVNULL, env=ALONE)
    while not (killed / "prepared.json").exists() or not done(killed):
        assert process.poll() is None
        time.sleep(0.002)
    process.kill()
    process.wait()
    before = done(killed)
    assert 0 < before < 800
    with pytest.raises(FilmsError, match=rf"has {before} of 800 films; run the same `cxrtrain prepare` again"):
        open_prepared(killed)
    with pytest.raises(FilmsError, match="was begun with the size 256, not 128; name a new folder"):
        prepare(PrepareSettings(root, killed, size=128))
    begun = subprocess.run([*command, str(killed)], capture_output=True, text=True, check=True, env=ALONE)
    assert re.search(r"(\d+)/800", begun.stderr)[1] == str(before)
    subprocess.run([*command, str(whole)], capture_output=True, check=True, env=ALONE)
    assert {path.name for path in killed.iterdir()} == WRITTEN
    for name in WRITTEN:
        assert (killed / name).read_bytes() == (whole / name).read_bytes(), name


def write_many(root: Path, count: int) -> None:
    """Write a folder of many names for a few drawn films."""
    root.mkdir()
    header = "dataset,quality,path,age,sex,view,original_file_name,patient_id,source_repo,split_official,split_chexnet,"
    lines = [header + ",".join(FINDINGS)]
    for n in range(count):
        path = root / f"{n}.png"
        if n < 8:
            cv2.imwrite(str(path), cv2.resize(draw_phantom(n), (512, 512)))
        else:
            os.link(root / f"{n % 8}.png", path)
        lines.append(f"nih14,,{n}.png,50,F,PA,{n}.png,p{n},,,," + "0," * 13 + "0")
    (root / "manifest.csv").write_text("\n".join(lines) + "\n")


def done(folder: Path) -> int:
    return json.loads((folder / "prepared.json").read_text())["done"]


@pytest.fixture
def spoilt_films(own_films) -> Path:
    """Return drawn films of which one is torn, one tiny and one blank."""
    for number in (3, 5, 8):
        (own_films / f"{number:08}_000.png").unlink()
    (own_films / "00000003_000.png").write_bytes(b"no picture")
    cv2.imwrite(str(own_films / "00000005_000.png"), np.zeros((7, 5), np.uint8))
    cv2.imwrite(str(own_films / "00000008_000.png"), np.full((96, 96), 7, np.uint8))
    return own_films


SPOILT = (
    "3 of 64 films below .* cannot be used: 00000003_000.png cannot be decoded, "
    r"00000005_000.png has 5 x 7 pixels, too few for a film, 00000008_000.png is blank; copy them again"
)


def test_films_that_cannot_be_used_are_listed_and_read_again_once_mended(spoilt_films, drawn_films, tmp_path):
    for _ in range(2):
        with pytest.raises(FilmsError, match=SPOILT):
            prepare(PrepareSettings(spoilt_films, tmp_path / "out", size=64))
    for number in (3, 5, 8):
        name = f"{number:08}_000.png"
        (spoilt_films / name).write_bytes((drawn_films / name).read_bytes())
    prepare(PrepareSettings(spoilt_films, tmp_path / "out", size=64))
    prepare(PrepareSettings(spoilt_films, tmp_path / "whole", size=64))
    for name in WRITTEN:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_films_that_cannot_be_used_are_left_out_on_request(spoilt_films, tmp_path):
    settings = PrepareSettings(spoilt_films, tmp_path / "out", size=64)
    with pytest.raises(FilmsError, match=SPOILT):
        prepare(settings)
    for _ in range(2):
        prepare(replace(settings, allow_missing=True))
    prepared = open_prepared(tmp_path / "out")
    kept = [film for n, film in enumerate(read_films(spoilt_films)) if n not in (3, 5, 8)]
    assert prepared.films == kept and len(prepared.pixels) == 61
    for film, square in zip(prepared.films, prepared.pixels, strict=True):
        assert (square == stretch_levels(resize_film(load_grey(spoilt_films / film.path), 64))).all()
    assert {path.name for path in (tmp_path / "out").iterdir()} == WRITTEN


def test_leaving_films_out_can_be_interrupted(spoilt_films, tmp_path, monkeypatch):
    settings = PrepareSettings(spoilt_films, tmp_path / "out", size=64, allow_missing=True)

    def fail(*_):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        # The pixels have moved by then, and nothing says so but their number.
        patch.setattr("cxrtrain.data.prepare.write_rows", fail)
        with pytest.raises(FilmsError, match=r"out cannot be written \(No space left on device\); make room and run"):
            prepare(settings)
    prepare(settings)
    prepare(replace(settings, output=tmp_path / "whole"))
    for name in WRITTEN:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name


def test_another_list_of_films_is_not_mixed_with_the_first(own_films, tmp_path):
    settings = PrepareSettings(own_films, tmp_path / "out", size=64)
    prepare(settings)
    change_manifest(own_films, lambda rows: spoil(rows, Mass="1"))
    with pytest.raises(FilmsError, match=r"was begun with the list of films \w+, not \w+; name a new folder with -o"):
        prepare(settings)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"size": 8}, "--size 8 is not from 32 to 1024"),
        ({"workers": 0}, "--workers 0 is below 1"),
        ({"output": Path(__file__)}, "test_data.py is a file; name a new folder"),
        ({"output": Path(__file__).parent}, "is not empty and not prepared; name a new folder"),
    ],
)
def test_settings_that_make_no_sense_are_refused(change, said, drawn_films, tmp_path):
    with pytest.raises(FilmsError, match=said):
        prepare(replace(PrepareSettings(drawn_films, tmp_path / "out"), **change))


@pytest.fixture
def own_prepared(own_films, tmp_path) -> Path:
    """Return a prepared folder to be spoilt."""
    prepare(PrepareSettings(own_films, tmp_path / "prepared", size=64))
    return tmp_path / "prepared"


def change_facts(folder: Path, **facts) -> None:
    path = folder / "prepared.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | facts))


def lose_films(folder: Path) -> None:
    for number in range(7):
        (folder.parent / "films" / f"{number:08}_000.png").unlink()


@pytest.mark.parametrize(
    ("ruin", "said"),
    [
        (lambda folder: (folder / "prepared.json").unlink(), "is not prepared .*; run `cxrtrain prepare`"),
        (lambda folder: change_facts(folder, colour="red"), "is not of this version"),
        (
            lambda folder: change_facts(folder, preprocessing="letter-box-9"),
            "by letter-box-9 .*, not grey-area-levels-1",
        ),
        (lambda folder: os.truncate(folder / "pixels.npy", 4096), "pixels.npy cannot be read"),
        (
            lambda folder: np.save(folder / "pixels.npy", np.zeros((2, 64, 64), np.uint8)),
            r"has the shape \(2, 64, 64\)",
        ),
        (lose_films, "7 of 64 films of .* are no longer below .*: 00000000_000.png, .* and 2 more; bring them back"),
    ],
)
def test_a_prepared_folder_that_cannot_be_trained_on_is_refused(ruin, said, own_prepared):
    ruin(own_prepared)
    with pytest.raises(FilmsError, match=said):
        open_prepared(own_prepared)


def test_a_film_that_goes_away_after_opening_is_named(own_prepared, own_films):
    prepared = open_prepared(own_prepared)
    (own_films / "00000002_000.png").write_bytes(b"torn")
    with pytest.raises(FilmsError, match=r"00000002_000\.png cannot be decoded; copy it again"):
        prepared.inputs([1, 2, 3], 64)


def test_work_in_order_is_begun_only_a_little_ahead():
    begun = []
    with ThreadPoolExecutor(3) as pool:
        results = in_order(pool, lambda n: begun.append(n) or 2 * n, range(50), ahead=4)
        assert [next(results) for _ in range(3)] == [0, 2, 4] and max(begun) <= 7
        assert list(results) == [2 * n for n in range(3, 50)]


TASKS = {
    "multi-label": (TaskSettings(), LossSettings(), FINDINGS, 14),
    "one logit": (TaskSettings(kind="one-vs-all"), LossSettings(), ("Pneumothorax",), 1),
    "two logits": (TaskSettings(kind="one-vs-all"), LossSettings(kind="cross-entropy"), ("Pneumothorax",), 2),
}


@pytest.mark.parametrize("case", TASKS)
def test_a_task_has_its_findings_targets_and_scores(case):
    settings, loss, findings, outputs = TASKS[case]
    task = Task.of(settings, loss)
    assert (task.findings, task.outputs) == (findings, outputs)
    labels = np.eye(14, dtype=np.int64)[[7, 2, 7]]
    logits = np.random.default_rng(0).normal(size=(3, outputs)).astype(np.float32)
    for targets in (task.targets(labels), task.targets(torch.from_numpy(labels))):
        assert str(targets.dtype).removeprefix("torch.") == "float32"
        assert np.array_equal(targets, labels if outputs == 14 else [[1], [0], [1]])
    for scores in (task.scores(logits), task.scores(torch.from_numpy(logits))):
        assert tuple(scores.shape) == (3, len(findings)) and type(scores) in (np.ndarray, torch.Tensor)
        if outputs == 2:
            scores = np.asarray(scores)
            softmax = torch.from_numpy(logits).softmax(dim=1)[:, 1:].numpy()
            assert np.allclose(1 / (1 + np.exp(-scores)), softmax, atol=1e-6)
        else:
            assert np.array_equal(scores, logits)


def test_the_paper_learns_from_films_with_a_finding_only():
    healthy, ill = some_films(2)
    ours, paper = (Task.of(TaskSettings(normal_films=normal), LossSettings()) for normal in (True, False))
    assert [task.keeps(film) for task in (ours, paper) for film in (healthy, ill)] == [True, True, False, True]
