"""Whom a film shows, from the code that lies beside it in a photograph or from its header."""

import warnings

import cv2
import numpy as np
import pydicom
import pytest
import zxingcpp
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
