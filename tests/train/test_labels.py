"""`cxrtrain labels` through its command: on NIH's real metadata where it is, on small tables everywhere."""

import csv
import gzip
import json
import subprocess
import sys
from collections import Counter
from itertools import combinations

import cv2
import numpy as np
import pytest
from cxrbundle.labels import FINDINGS
from cxrtrain.__main__ import main
from cxrtrain.data.counts import split_facts
from cxrtrain.data.films import Film
from cxrtrain.data.labels_command import LabelSettings, write_labels
from cxrtrain.data.metadata import read_metadata
from cxrtrain.data.official import mark_official
from cxrtrain.data.splits import split
from cxrtrain.data.tables import age_in_years
from cxrtrain.errors import FilmsError
from cxrtrain.recipe import DataSettings

WRITTEN = {
    "labels.csv",
    "split.csv",
    "split.json",
    "counts.json",
    "cooccurrence.csv",
    "cooccurrence.png",
    "cooccurrence.svg",
}
# What is well known of ChestX-ray14, and stands on the diagonal of the paper's Fig. 3.
PUBLISHED = {
    "Atelectasis": 11559,
    "Cardiomegaly": 2776,
    "Effusion": 13317,
    "Infiltration": 19894,
    "Mass": 5782,
    "Nodule": 6331,
    "Pneumonia": 1431,
    "Pneumothorax": 5302,
    "Consolidation": 4667,
    "Edema": 2303,
    "Emphysema": 2516,
    "Fibrosis": 1686,
    "Pleural_Thickening": 3385,
    "Hernia": 227,
}
V2020 = (
    "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
    "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y]"
)
# The 2017 form ends each line with a comma, and wrote ages as "058Y" at first.
V2017 = V2020 + ","


def read_rows(path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def read_json(path) -> dict:
    return json.loads(path.read_text())


def cxrtrain(monkeypatch, *arguments) -> str:
    """Run the command in this process, where torch is loaded already; return the sentence it ends with."""
    monkeypatch.setattr(sys, "argv", ["cxrtrain", *map(str, arguments)])
    try:
        main()
    except SystemExit as end:
        return str(end.code)
    return ""


@pytest.fixture
def labels(tmp_path, monkeypatch):
    """Return a function that runs `labels` into a new folder and returns the sentence it ends with."""
    return lambda *arguments: cxrtrain(monkeypatch, "labels", *arguments, "-o", tmp_path / "out")


def small_rows(count: int = 40) -> list[str]:
    """Return rows of two images for each patient; every third image has no finding."""
    texts = ["No Finding", "Mass|Hernia", "Effusion"]
    return [f"{n:08}_000.png,{texts[n % 3]},0,{n // 2},{40 + n},F,PA,2682,2749,0.143,0.143" for n in range(count)]


@pytest.fixture
def small(tmp_path):
    """Return a function that writes a small table with its two lists and returns the table's path."""

    def write(rows: list[str] | None = None, header: str = V2020, name: str = "Data_Entry_2017.csv"):
        rows = small_rows() if rows is None else rows
        images = [row.split(",")[0] for row in rows]
        (tmp_path / "train_val_list.txt").write_text("\n".join(images[:30]))
        (tmp_path / "test_list.txt").write_text("\n".join(images[30:]) + "\n")
        path = tmp_path / name
        path.write_text("\n".join([header, *rows]) + "\n")
        return path

    return write


@pytest.fixture(scope="module")
def metadata(shared_films):
    return shared_films / "meta" / "Data_Entry_2017_v2020.csv.gz"


@pytest.fixture(scope="module")
def entries(metadata) -> list[Film]:
    return mark_official(read_metadata(metadata), metadata.parent)


@pytest.fixture(scope="module")
def raw(metadata) -> list[tuple[str, str, set[str]]]:
    """Return image, patient and findings of each row, read by other means than the command's."""
    lines = gzip.decompress(metadata.read_bytes()).decode().splitlines()[1:]
    cells = [line.split(",") for line in lines]
    return [(row[0], row[3], set(row[1].split("|")) - {"No Finding"}) for row in cells]


@pytest.fixture(scope="module")
def official(metadata, tmp_path_factory):
    """Return the folder that the command wrote from the real metadata, as a user runs it."""
    folder = tmp_path_factory.mktemp("official") / "labels"
    command = [sys.executable, "-m", "cxrtrain", "labels", str(metadata), "-o", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_counts_are_the_published_ones(official):
    counts = read_json(official / "counts.json")
    assert {path.name for path in official.iterdir()} == WRITTEN
    assert (counts["images"], counts["patients"], counts["images_with_a_finding"]) == (112120, 30805, 51759)
    assert counts["findings"] == PUBLISHED and list(counts["findings"]) == list(FINDINGS)
    assert counts["one_vs_all"] == {"finding": "Pneumothorax", "images_with": 5302, "images_without": 46457}
    assert counts["left_out"] == counts["images_without_age"] == 0


def test_the_cooccurrence_matrix_agrees_with_a_count_by_sets(official, raw):
    rows = read_rows(official / "cooccurrence.csv")
    matrix = {(row["finding"], other): int(row[other]) for row in rows for other in FINDINGS}
    pairs = Counter(pair for _, _, found in raw for pair in combinations(sorted(found), 2))
    assert len(matrix) == 196 and {f: matrix[f, f] for f in FINDINGS} == PUBLISHED
    for one, other in combinations(FINDINGS, 2):
        assert matrix[one, other] == matrix[other, one] == pairs[tuple(sorted((one, other)))]


def test_every_image_has_its_labels_in_the_order_of_the_contract(official, raw):
    rows = read_rows(official / "labels.csv")
    assert list(rows[0]) == ["image", "findings", "patient", "age", "sex", "view", "official", *FINDINGS]
    assert len(rows) == len(raw)
    for row, (image, patient, found) in zip(rows, raw, strict=True):
        assert (row["image"], row["patient"]) == (image, patient)
        assert set(filter(None, row["findings"].split("|"))) == found == {f for f in FINDINGS if row[f] == "1"}
    assert (rows[0]["age"], rows[0]["sex"], rows[0]["view"]) == ("57", "M", "PA")
    assert Counter(row["official"] for row in rows) == {"train_val": 86524, "test": 25596}


def test_the_figure_is_drawn_for_print(official):
    picture = cv2.imread(str(official / "cooccurrence.png"))
    assert picture.shape == (1920, 2160, 3)
    assert (picture[:, :8] == 255).all() and (picture[:, -8:] == 255).all(), "something is cut off at the side"
    drawing = (official / "cooccurrence.svg").read_text()
    assert all(f">{count:,}<" in drawing for count in PUBLISHED.values())


def test_the_official_split_is_nihs_and_leaks_nothing(official, metadata, raw):
    parts = {row["image"]: row["part"] for row in read_rows(official / "split.csv")}
    tested = set((metadata.parent / "test_list.txt").read_text().split())
    assert {image for image, part in parts.items() if part == "test"} == tested and len(parts) == 112120
    facts = read_json(official / "split.json")
    assert facts["leakage"]["validation"]["images"] == facts["leakage"]["test"]["images"] == 0
    assert patients_in_two_parts(parts, raw) == set()
    train, validation = facts["parts"]["train"], facts["parts"]["validation"]
    for key in ("images", "patients"):
        assert 0.12 < validation[key] / (validation[key] + train[key]) < 0.13
    for finding in FINDINGS:
        own = validation["findings"][finding]
        assert 0.1 < own / (own + train["findings"][finding]) < 0.2, finding


def patients_in_two_parts(parts: dict[str, str], raw) -> set[str]:
    seen: dict[str, set[str]] = {}
    for image, patient, _ in raw:
        seen.setdefault(patient, set()).add(parts[image])
    return {patient for patient, own in seen.items() if len(own) > 1}


def test_the_split_by_patient_is_seven_one_two(entries, raw):
    parts = split(entries, DataSettings(split="patient"))
    facts = split_facts(entries, parts)
    shares = {part: own["images"] / 112120 for part, own in facts["parts"].items()}
    assert shares == pytest.approx({"train": 0.7, "validation": 0.1, "test": 0.2}, abs=0.01)
    assert patients_in_two_parts(part_of(entries, parts), raw) == set()
    assert facts["leakage"]["validation"]["images"] == facts["leakage"]["test"]["images"] == 0


def part_of(films: list[Film], parts: list[str]) -> dict[str, str]:
    """Return the part of each image that is not left out."""
    return {film.image: part for film, part in zip(films, parts, strict=True) if part}


@pytest.mark.parametrize("name", ["official", "patient"])
def test_each_patient_who_is_not_tested_on_is_validated_on_in_exactly_one_fold(name, entries):
    folds = [split(entries, DataSettings(split=name, folds=5, fold=fold)) for fold in range(5)]
    assert len({tuple(part == "test" for part in parts) for parts in folds}) == 1
    patients = {film.patient for film, part in zip(entries, folds[0], strict=True) if part != "test"}
    validated = Counter()
    for parts in folds:
        own = {film.patient for film, part in zip(entries, parts, strict=True) if part == "validation"}
        trained = {film.patient for film, part in zip(entries, parts, strict=True) if part == "train"}
        assert own | trained == patients and not own & trained
        validated.update(own)
    assert validated == dict.fromkeys(patients, 1)


def test_the_papers_split_and_its_leak_are_reproduced(entries, raw):
    parts = split(entries, DataSettings(split="paper", split_seed=5))
    found = [(image, patient) for image, patient, labels in raw if labels]
    np.random.seed(42)
    order = np.random.permutation(len(found))
    validated, trained = [found[i] for i in order[:10351]], [found[i] for i in order[10351:]]
    assert part_of(entries, parts) == dict.fromkeys((i for i, _ in validated), "validation") | dict.fromkeys(
        (i for i, _ in trained), "train"
    )
    facts = split_facts(entries, parts)
    assert {part: own["images"] for part, own in facts["parts"].items()} == {"train": 41408, "validation": 10351}
    known = {patient for _, patient in trained}
    leak = facts["leakage"]["validation"]
    assert leak["images"] == sum(patient in known for _, patient in validated) == 8627
    assert leak["patients"] == len(known & {patient for _, patient in validated}) == 3901
    assert (leak["share_of_images"], leak["share_of_patients"]) == (0.8334, 0.7053)


@pytest.mark.parametrize("header", [V2017, V2020, V2020.replace("Gender", "Sex"), "\ufeff" + V2020])
def test_either_form_of_the_metadata_is_read(small, header):
    rows = ["00000001_000.png,Hernia|Mass,0,1,058Y,M,PA,2682,2749,0.143,0.143,"]
    [entry] = read_metadata(small(rows, header))
    assert (entry.image, entry.patient, entry.age, entry.sex, entry.view) == ("00000001_000.png", "1", 58, "M", "PA")
    assert {finding for finding, on in zip(FINDINGS, entry.labels, strict=True) if on} == {"Mass", "Hernia"}


@pytest.mark.parametrize(
    ("text", "years"),
    [("58", 58), ("058Y", 58), ("013M", 1), ("010D", 0), ("414", None), ("", None), ("-3", None), ("old", None)],
)
def test_an_age_is_in_years_or_unknown(text, years):
    assert age_in_years(text) == years


def test_an_empty_folder_is_filled_and_a_full_one_is_left_alone(small, labels, tmp_path):
    path = small()
    (tmp_path / "out").mkdir()
    assert labels(path) == ""
    assert {file.name for file in (tmp_path / "out").iterdir()} == WRITTEN
    before = (tmp_path / "out" / "labels.csv").stat()
    assert labels(path) == f"cxrtrain: {tmp_path / 'out'} is not empty; name a new folder with -o"
    assert (tmp_path / "out" / "labels.csv").stat() == before


def test_the_same_table_gives_the_same_bytes(small, tmp_path):
    path = small()
    for name in ("one", "two"):
        write_labels(LabelSettings(path, tmp_path / name))
    for name in WRITTEN:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


ROW = "00000001_000.png,Mass,0,1,58,M,PA,2682,2749,0.143,0.143"
BAD_TABLES = {
    "unknown labels": ([ROW.replace("Mass", "Mass|Odd0")], "1 labels unknown", "'Odd0'"),
    "many unknown": (
        [ROW.replace("Mass", f"Odd{n}").replace("1_0", f"{n}_0") for n in range(8)],
        "8 labels unknown in ChestX-ray14: 'Odd0', 'Odd1', 'Odd2', 'Odd3', 'Odd4' and 3 more",
        "",
    ),
    "two rows of an image": ([ROW, ROW], "more than one row of 1 images: 00000001_000.png", ""),
    "torn": ([ROW.replace("Mass", "Mass|No Finding")], "'No Finding' beside another label in 1 images", "00000001"),
    "no patient": ([ROW, "00000002_000.png,Mass,0,,58,M,PA"], "1 rows without image, labels or patient: row 2", ""),
    "short row": ([ROW, "00000002_000.png"], "row 2", ""),
    "no rows": ([], "is empty or ends after its header", ""),
    "open quote": (['"00000001_000.png,Mass'], "is not CSV", "line "),
}


@pytest.mark.parametrize("case", BAD_TABLES)
def test_a_bad_table_is_refused_in_one_sentence(case, small, labels, tmp_path):
    rows, *said = BAD_TABLES[case]
    refused(labels(small(rows)), tmp_path, *said)


def refused(sentence: str, folder, *said: str) -> None:
    """Check that a sentence says why, and that nothing half-written stands in the folder."""
    assert sentence.startswith("cxrtrain: ") and "\n" not in sentence
    for words in said:
        assert words in sentence
    assert not (folder / "out").exists() and not list(folder.glob(".out*"))


def test_missing_columns_are_named(small, labels, tmp_path):
    path = small(header="Image Index,Labels,Patient ID,Age")
    refused(labels(path), tmp_path, "lacks the columns Finding Labels, Patient Age, Patient Gender, View Position")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\x89PNG\r\n\x1a\n\xff\xfe", "is not a CSV file"),
        (gzip.compress(V2020.encode())[:-9], "cannot be unpacked"),
        (b"\x1f\x8bnothing", "cannot be unpacked"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_file_that_is_no_table_is_refused(content, said, labels, tmp_path):
    path = tmp_path / "table.csv"
    if content is not None:
        path.write_bytes(content)
    refused(labels(path), tmp_path, str(path), said)


def test_a_folder_in_place_of_the_table_is_refused(labels, tmp_path):
    refused(labels(tmp_path), tmp_path, "cannot be read (Is a directory)")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("test_list.txt", "no.png\n" * 2, "images without metadata: no.png"),
        ("test_list.txt", "00000000_000.png", "1 images stand in train_val_list.txt and test_list.txt: 00000000_000"),
        ("test_list.txt", "", "10 images stand in neither list: 00000030_000.png"),
        ("train_val_list.txt", None, "name its folder with --lists, or take --split patient"),
    ],
)
def test_lists_of_other_images_are_refused(name, text, said, small, labels, tmp_path):
    path = small()
    (tmp_path / name).unlink() if text is None else (tmp_path / name).write_text(text)
    refused(labels(path), tmp_path, said)


@pytest.mark.parametrize(
    ("split", "sizes"),
    [("patient", {"train": 28, "validation": 4, "test": 8}), ("paper", {"train": 21, "validation": 5})],
)
def test_the_other_splits_need_no_lists(split, sizes, small, labels, tmp_path):
    path = small()
    (tmp_path / "test_list.txt").unlink()
    assert labels(path, "--split", split) == ""
    assert {part: own["images"] for part, own in read_json(tmp_path / "out" / "split.json")["parts"].items()} == sizes
    assert Counter(row["part"] for row in read_rows(tmp_path / "out" / "split.csv")) == sizes
    assert {row["official"] for row in read_rows(tmp_path / "out" / "labels.csv")} == {""}


def test_nihs_part_is_written_with_any_split_where_its_lists_are(small, labels, tmp_path):
    assert labels(small(), "--split", "paper") == ""
    assert Counter(row["official"] for row in read_rows(tmp_path / "out" / "labels.csv")) == {
        "train_val": 30,
        "test": 10,
    }


def test_lists_may_stand_elsewhere(small, labels, tmp_path):
    path = small()
    (tmp_path / "lists").mkdir()
    for name in ("train_val_list.txt", "test_list.txt"):
        (tmp_path / name).rename(tmp_path / "lists" / name)
    assert labels(path, "--lists", tmp_path / "lists") == ""


@pytest.fixture
def films(tmp_path):
    """Return a folder with the first 33 of the small table's 40 films in two folders, as NIH packs them."""
    root = tmp_path / "films"
    for n in range(33):
        folder = root / f"images_{n % 2:03}" / "images"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{n:08}_000.png").touch()
    return root


def test_missing_films_are_listed(small, labels, films, tmp_path):
    said = "lacks 7 of 40 images: 00000033_000.png, 00000034_000.png, 00000035_000.png, 00000036_000.png, "
    refused(labels(small(), "--films", films), tmp_path, said + "00000037_000.png and 2 more; leave them out with")


def test_missing_films_are_left_out_and_no_image_changes_its_part(small, labels, films, tmp_path, caplog):
    path = small()
    write_labels(LabelSettings(path, tmp_path / "all"))
    assert labels(path, "--films", films, "--allow-missing") == ""
    assert "7 images were left out" in caplog.text
    assert read_json(tmp_path / "out" / "counts.json")["left_out"] == 7
    assert len(read_rows(tmp_path / "out" / "labels.csv")) == 33
    assert read_rows(tmp_path / "out" / "split.csv") == read_rows(tmp_path / "all" / "split.csv")[:33]


def test_a_film_that_stands_there_twice_is_refused(small, labels, films, tmp_path):
    (films / "copy").mkdir()
    (films / "copy" / "00000003_000.jpg").touch()
    said = "films holds more than one film of 1 images: 00000003_000.png"
    refused(labels(small(), "--films", films, "--allow-missing"), tmp_path, said)


def test_a_folder_without_any_film_is_refused(small, labels, tmp_path):
    (tmp_path / "films").mkdir()
    refused(labels(small(), "--films", tmp_path / "films", "--allow-missing"), tmp_path, "holds none of the 40 images")
    refused(labels(small(), "--films", tmp_path / "nowhere"), tmp_path, "is no folder")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--allow-missing",), "--allow-missing needs --films"),
        (("--folds", "1"), "data.folds Input should be greater than or equal to 2"),
        (("--folds", "16"), "15 patients to train on cannot be divided into 16 folds"),
        (("--folds", "4", "--fold", "4"), "data.fold 4 must be below data.folds 4"),
        (("--seed", "-1"), "data.split_seed Input should be greater than or equal to 0"),
    ],
)
def test_settings_that_make_no_sense_are_refused(options, said, small, labels, tmp_path):
    refused(labels(small(), *options), tmp_path, said)


def test_a_failed_write_leaves_nothing_behind(small, labels, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("cxrtrain.data.labels_command.draw_cooccurrence", fail)
    refused(labels(small()), tmp_path, "cannot be written (No space left on device)")
    (tmp_path / "file").touch()
    with pytest.raises(FilmsError, match="is a file"):
        write_labels(LabelSettings(small(), tmp_path / "file"))
