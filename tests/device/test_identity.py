"""Whom a film shows, from the code that lies beside it in a photograph or from its header."""

import warnings

import cv2
import numpy as np
import pydicom
import pytest
import zxingcpp
from cxrbox.command_export import export_rows
from cxrbox.decoding.age import read_age
from cxrbox.demo import copy_demo_films
from cxrbox.header_identity import read_patient_id
from cxrbox.identity import read_code
from cxrbox.reading import open_reader
from cxrbox.settings import Settings
from cxrbox.store import Store
from cxrbundle.phantom import draw_phantom
from photographed import photograph
from stored_films import keep_file, read_queue

KINDS = zxingcpp.BarcodeFormat.QRCode, zxingcpp.BarcodeFormat.Code128


def photo_with(*labels: tuple[str, zxingcpp.BarcodeFormat], turns: int = 0) -> np.ndarray:
    """Return a photograph of a drawn film with labels laid beside it, turned by some quarters."""
    photo = photograph(draw_phantom(5), np.random.default_rng(8), (1440, 1920), "box").photo.copy()
    for number, (text, kind) in enumerate(labels):
        label = np.array(zxingcpp.create_barcode(text, kind).to_image(scale=3))
        top = 20 + 700 * number
        photo[top : top + label.shape[0], 20 : 20 + label.shape[1]] = label[..., np.newaxis]
    return np.ascontiguousarray(np.rot90(photo, turns))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("turns", [0, 1, 2])
def test_a_label_is_read_whichever_way_it_lies(kind, turns):
    assert read_code(photo_with(("P-0042", kind), turns=turns)) == "P-0042"


def test_the_same_code_twice_is_one_code():
    assert read_code(photo_with(("P-0042", KINDS[0]), ("P-0042", KINDS[1]))) == "P-0042"


def test_nobody_guesses_between_two_codes_or_where_there_is_none():
    assert read_code(photo_with(("P-0042", KINDS[0]), ("P-0043", KINDS[0]))) is None
    assert read_code(photo_with()) is None


def test_what_is_too_long_for_a_code_is_none():
    assert read_code(photo_with(("https://example.org/" + "x" * 64, KINDS[0]))) is None


@pytest.fixture(scope="module")
def reader():
    return open_reader(Settings(threads=1))


@pytest.mark.parametrize("wanted", [True, False])
def test_the_film_carries_the_code_of_its_photograph_where_the_site_wants_it(tmp_path, reader, wanted):
    store = Store(tmp_path / "state")
    path = tmp_path / "photo.png"
    assert cv2.imwrite(str(path), photo_with(("P-0042", KINDS[0])))
    keep_file(store, path, "camera")
    settings = Settings(state=tmp_path / "state", threads=1, barcode_identity=wanted)
    read_queue(store, reader, settings)
    if store.film(1)["state"] == "refused":  # a drawn film in a photograph may be no chest film
        store.override(1, "seen by a person")
        read_queue(store, reader, settings)
    film = store.film(1)
    assert film["state"] == "read"
    assert (film["identity"], film["identity_kind"]) == (("P-0042", "barcode") if wanted else (None, "unknown"))
    assert store.find_fault() is None


@pytest.mark.parametrize(
    ("patient", "identity"),
    [("MRN 0042", "MRN 0042"), ("A\\B", "A\\B"), ("9" * 64, "9" * 64), ("9" * 65, None), ("", None)],
)
def test_a_patient_id_is_kept_whole_or_not_at_all(tmp_path, patient, identity):
    path = copy_demo_films(tmp_path)[0]
    film = pydicom.dcmread(path)
    with warnings.catch_warnings(action="ignore"):
        film.PatientID = patient
        film.save_as(path)
    assert read_patient_id(path) == identity


def dicom_film(folder, **header):
    """Return a real film as DICOM, with some of its header changed."""
    path = copy_demo_films(folder)[0]
    film = pydicom.dcmread(path)
    film.update({"PatientID": "MRN 0042"} | header)
    film.save_as(path)
    return path


def test_what_a_person_said_of_a_film_outlives_its_reading_anew(tmp_path, reader):
    """Unknown is what was said here: the header may name another patient."""
    store, settings = Store(tmp_path / "state"), Settings(threads=1)
    keep_file(store, dicom_film(tmp_path / "films"))
    read_queue(store, reader, settings)
    assert (store.film(1)["identity"], store.film(1)["identity_kind"]) == ("MRN 0042", "dicom")
    store.set_identity(1, None, "unknown")
    store.withdraw(0, None)
    read_queue(store, reader, settings)
    assert (store.film(1)["state"], store.film(1)["identity"]) == ("read", None)
    assert [one["kind"] for one in store.identities(1)] == ["dicom", "unknown"]
    store.close()


@pytest.mark.parametrize(
    ("header", "code"),
    [
        ({"Modality": "CT"}, "wrong_modality"),
        ({"ViewPosition": "LL"}, "lateral_view"),
        ({"PatientAge": "009Y"}, "child"),
    ],
)
def test_whose_film_was_refused_is_known_as_well(tmp_path, reader, header, code):
    """That patient has to be called once more."""
    store, settings = Store(tmp_path / "state"), Settings(threads=1)
    keep_file(store, dicom_film(tmp_path / "films", **header))
    read_queue(store, reader, settings)
    film = store.film(1)
    assert (film["refusal_code"], film["identity"], film["identity_kind"]) == (code, "MRN 0042", "dicom")
    assert store.find_fault() is None
    store.close()


def test_nobody_is_named_by_an_original_that_is_another_film(tmp_path, reader):
    store, settings = Store(tmp_path / "state"), Settings(threads=1)
    path = dicom_film(tmp_path / "films")
    keep_file(store, path)
    store.original_path(store.film(1)["sha256"]).write_bytes(dicom_film(tmp_path / "films", Modality="CT").read_bytes())
    read_queue(store, reader, settings)
    assert (store.film(1)["refusal_code"], store.film(1)["identity"]) == ("damaged", None)
    store.close()


def test_a_child_is_refused_and_read_all_the_same_with_a_remark(tmp_path, reader):
    store, settings = Store(tmp_path / "state"), Settings(threads=1)
    keep_file(store, dicom_film(tmp_path / "films", PatientAge="003Y"))
    read_queue(store, reader, settings)
    assert store.film(1)["refusal_reason"].startswith("the patient is 3 years old, and the box was made for adults; ")
    assert store.photograph_path(store.film(1)["sha256"]).exists(), "who may have it read all the same must see it"
    store.override(1, "Dr B knows that")
    read_queue(store, reader, settings)
    [row] = export_rows(store)
    assert row["state"] == "read" and "The patient is 3 years old, and the box was made for adults" in row["remarks"]
    store.close()


@pytest.mark.parametrize(
    ("header", "age"),
    [
        ({}, None),
        ({"PatientAge": "034Y"}, 34),
        ({"PatientAge": "18"}, 18),
        ({"PatientAge": "018M"}, 1.5),
        ({"PatientAge": "003W"}, 0.06),
        ({"PatientAge": "000Y"}, None),
        ({"PatientAge": "old"}, None),
        ({"PatientAge": "000Y", "PatientBirthDate": "20200101", "StudyDate": "20230101"}, 3),
        ({"PatientBirthDate": "19400305", "StudyDate": "20040826"}, 64.48),
        ({"PatientBirthDate": "18000101", "StudyDate": "20230101"}, None),
        ({"PatientBirthDate": "20230101", "StudyDate": "20230101"}, None),
        ({"PatientBirthDate": "20240101", "StudyDate": "20230101"}, None),
        ({"PatientBirthDate": "1940", "StudyDate": "20230101"}, None),
        ({"PatientBirthDate": "20200101", "StudyDate": "", "AcquisitionDate": "20220101"}, 2),
    ],
)
def test_the_age_is_told_by_itself_or_by_two_dates(header, age):
    dataset = pydicom.Dataset()
    with warnings.catch_warnings(action="ignore"):
        dataset.update(header)
        assert read_age(dataset) == pytest.approx(age, abs=0.02)
