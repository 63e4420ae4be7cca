"""`cxrbox replay`: a result is arrived at once more, or it is said why not."""

import io
import json
import shutil

import cv2
import numpy as np
import pydicom
import pytest
from cxrbox.command_replay import replay
from cxrbox.demo import copy_demo_films
from cxrbox.errors import FilmError
from cxrbox.reading import open_reader
from cxrbox.settings import Settings
from cxrbox.store import Store
from spoiled_bundle import replace_file
from stored_films import keep_file, keep_phantoms, read_queue


@pytest.fixture(scope="module")
def reader(bundle_folder):
    return open_reader(Settings(bundle=bundle_folder, threads=1))


@pytest.fixture
def store(tmp_path, reader):
    """Return a store with a film that was read."""
    store = Store(tmp_path / "state")
    keep_phantoms(store, 1)
    read_queue(store, reader)
    yield store
    store.close()


def other_bundle(bundle_folder, tmp_path):
    """Return a copy of the shipped bundle under another version, and so of another hash."""
    copied = shutil.copytree(bundle_folder, tmp_path / "bundle")
    manifest = json.loads((copied / "manifest.json").read_text())
    manifest["version"] = "0.0.1"
    (copied / "manifest.json").write_text(json.dumps(manifest))
    return copied


def test_the_same_bundle_gives_the_same_logits(store, reader):
    report = replay(store, reader, 1)
    assert report["reproduced"] and report["difference"] <= report["tolerance"] == 0.001
    assert report["changed"] == [] and report["findings"]["then"] == report["findings"]["now"]


def test_a_result_that_cannot_be_reproduced_is_said_so(store, reader):
    row = store._db.execute("SELECT logits FROM results").fetchone()
    store._db.execute("UPDATE films SET state = 'reading'")
    logits = [value + 0.01 for value in json.loads(row["logits"])]
    store.add_result(1, reader.describe(reader.read(store.original_path(store.film(1)["sha256"]))), b"", 1.0, logits)
    report = replay(store, reader, 1)
    assert report["reproduced"] is False and report["difference"] == pytest.approx(0.01, abs=1e-4)


def test_a_film_that_is_refused_now_is_not_reproduced(store, bundle_folder, tmp_path, cxrbox):
    """The other bundle's film check lets nothing pass."""
    copied, packed = shutil.copytree(bundle_folder, tmp_path / "strict"), io.BytesIO()
    with np.load(copied / "film-check.npz") as arrays:
        np.savez(packed, **{**arrays, "gates": np.float32([[1e6, 2e6], arrays["gates"][1]])})
    replace_file(copied, "film-check.npz", packed.getvalue())
    words = "replay", 1, "--state", tmp_path / "state", "--bundle", copied, "--allow-unsigned"
    done = cxrbox(*words, "--json")
    assert done.returncode == 1, done.stderr
    report = json.loads(done.stdout)
    assert report["reproduced"] is False and report["refused"]["code"] == "not_a_chest_film"
    assert cxrbox(*words).stdout.startswith("film 1 NOT reproduced: it is refused now by cxr-demo-lite0 ")


def test_the_number_of_no_film_is_told_however_large(store, cxrbox, tmp_path):
    for number in (99, 2**63):
        done = cxrbox("replay", number, "--state", tmp_path / "state")
        assert done.returncode == 2 and f"there is no film {number} on this box" in done.stderr


def test_the_command_says_so_in_words_and_json(store, cxrbox, tmp_path):
    done = cxrbox("replay", 1, "--state", tmp_path / "state")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("film 1 reproduced: logits differ by 0.000")
    done = cxrbox("replay", 1, "--state", tmp_path / "state", "--json")
    assert json.loads(done.stdout)["entry"] == 2
    assert len(list(store.ledger())) == 2, "a replay enters nothing"


def test_another_bundle_is_named_and_its_states_are_shown(store, cxrbox, bundle_folder, tmp_path):
    bundle = other_bundle(bundle_folder, tmp_path)
    done = cxrbox("replay", 1, "--state", tmp_path / "state", "--bundle", bundle, "--allow-unsigned", "--json")
    report = json.loads(done.stdout)
    assert done.returncode == 1 and report["reproduced"] is None
    assert report["changed"] == ["bundle_sha256"] and report["bundle"]["now"].endswith("0.0.1")


def test_what_cannot_be_replayed_has_a_reason(store, reader):
    with pytest.raises(FilmError, match="there is no film 99"):
        replay(store, reader, 99)
    original = store.original_path(store.film(1)["sha256"])
    content = original.read_bytes()
    original.write_bytes(content[:-1] + b"x")
    with pytest.raises(FilmError, match="is not the file that was read"):
        replay(store, reader, 1)
    store.remove_original(1, "age")
    with pytest.raises(FilmError, match="was removed, only its result is kept"):
        replay(store, reader, 1)


def test_a_film_that_waits_cannot_be_replayed(store, reader):
    keep_phantoms(store, 2)
    with pytest.raises(FilmError, match="has no result"):
        replay(store, reader, 2)


def test_a_dicom_film_is_read_with_its_identity_and_replayed(store, reader, tmp_path):
    path = copy_demo_films(tmp_path / "demo")[0]
    dicom = pydicom.dcmread(path)
    dicom.PatientID = "MRN 0042"
    dicom.save_as(path)
    keep_file(store, path)
    read_queue(store, reader)
    film = store.film(2)
    assert (film["identity"], film["identity_kind"]) == ("MRN 0042", "dicom")
    assert film["reading"]["thresholds_for"] == "dicom" and replay(store, reader, 2)["reproduced"]


def test_the_header_is_not_asked_where_the_site_does_not_want_it(store, reader, tmp_path):
    keep_file(store, copy_demo_films(tmp_path / "demo")[0])
    read_queue(store, reader, Settings(dicom_identity=False))
    assert store.film(2)["identity_kind"] == "unknown"


def test_what_was_read_at_a_persons_word_is_replayed_so(store, reader, tmp_path):
    noise = tmp_path / "noise.png"
    cv2.imwrite(str(noise), np.random.default_rng(1).integers(0, 256, (512, 512), np.uint8))
    keep_file(store, noise)
    read_queue(store, reader)
    assert store.film(2)["state"] == "refused"
    store.override(2, "Dr B wants it read")
    read_queue(store, reader)
    assert replay(store, reader, 2)["reproduced"]


def test_what_counts_no_more_is_not_replayed(store, reader):
    assert store.withdraw(0, None) == 1
    with pytest.raises(FilmError, match="has no result"):
        replay(store, reader, 1)
