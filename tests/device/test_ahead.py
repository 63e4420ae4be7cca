"""The next films are decoded while one is read."""

import threading
from pathlib import Path

import cv2
import numpy as np
import pydicom
import pytest
from cxrbox.ahead import Ahead
from cxrbox.demo import copy_demo_films
from cxrbox.errors import RefusedError
from cxrbox.reader import Desk
from cxrbox.reading import open_reader
from cxrbox.settings import Settings
from cxrbox.store import Store
from cxrbundle.phantom import draw_phantom
from stored_films import keep_phantoms


@pytest.fixture
def ahead():
    return Ahead(with_patient_id=True, most=2, memory=1 << 20)


def test_a_film_decoded_ahead_is_the_film_and_its_time_counts(ahead, phantom_png):
    path = phantom_png(1)
    ahead.begin(1, path)
    assert ahead.first == 1
    decoded = ahead.take(1, path)
    np.testing.assert_array_equal(decoded.film.grey, draw_phantom(1))
    assert decoded.milliseconds > 0 and decoded.patient_id is None
    assert ahead.first is None


def test_films_decoded_side_by_side_are_taken_in_order(ahead, phantom_png):
    for film in (1, 2, 1):  # what was begun is not begun again
        ahead.begin(film, phantom_png(film))
    for film in (1, 2):
        assert ahead.first == film
        np.testing.assert_array_equal(ahead.take(film, Path("nowhere")).film.grey, draw_phantom(film))


def test_there_is_room_for_as_many_films_as_the_memory_holds(ahead, phantom_png):
    assert ahead.most == 2
    size = ahead.take(1, phantom_png(1)).size
    assert size == draw_phantom(1).nbytes and ahead.most == 2
    for memory, most in ((size * 2, 2), (size * 2 - 1, 1), (size - 1, 1)):
        narrow = Ahead(with_patient_id=False, most=2, memory=memory)
        narrow.take(1, phantom_png(1))
        assert narrow.most == most


def test_what_was_begun_for_another_film_is_dropped(ahead, phantom_png):
    ahead.begin(1, phantom_png(1))
    np.testing.assert_array_equal(ahead.take(2, phantom_png(2)).film.grey, draw_phantom(2))
    assert "decoding" not in {thread.name for thread in threading.enumerate()}


def test_what_was_refused_beside_another_film_is_tried_alone(ahead, tmp_path, phantom_png):
    path = tmp_path / "late.png"
    ahead.begin(1, path)
    while any(thread.name == "decoding" for thread in threading.enumerate()):
        pass
    phantom_png(3, tmp_path, "late.png")
    np.testing.assert_array_equal(ahead.take(1, path).film.grey, draw_phantom(3))


def test_what_cannot_be_decoded_is_refused_by_whoever_takes_it(ahead, tmp_path):
    path = tmp_path / "no film.png"
    path.write_bytes(b"no film")
    ahead.begin(1, path)
    with pytest.raises(RefusedError):
        ahead.take(1, path)


def test_a_header_says_whom_it_shows_only_where_that_is_wanted(ahead, tmp_path):
    path = copy_demo_films(tmp_path)[0]
    film = pydicom.dcmread(path)
    film.PatientID = "MRN 0042"
    film.save_as(path)
    assert ahead.take(1, path).patient_id == "MRN 0042"
    assert Ahead(with_patient_id=False, most=1, memory=1).take(1, path).patient_id is None


def test_the_largest_films_are_read_one_after_the_other_in_bounded_memory(idle_box):
    """One of them and the reader take 520 MiB; the third finds room only if the first two gave all of theirs back."""
    for seed in range(3):
        cv2.imwrite(str(idle_box.films / f"large-{seed}.png"), cv2.resize(draw_phantom(seed), (7900, 7900)))
    idle_box.start("--memory-mb", "600")
    films = idle_box.wait_for(*(f"large-{seed}.png" for seed in range(3)), seconds=120)
    assert [film["state"] for film in films] == ["read"] * 3
    assert "ended with status" not in idle_box.log


def test_a_film_that_lacks_what_the_next_one_took_is_read_once_more_alone(tmp_path, bundle_folder, monkeypatch):
    """Which of two films lacks memory is chance, so the want is provoked: there is none while the next is decoded."""
    store = Store(tmp_path / "state")
    keep_phantoms(store, 1, 2)
    desk = Desk(Settings(), store, open_reader(Settings(bundle=bundle_folder, threads=1)))
    plenty = desk.reader.read_decoded

    def scarce(*words):
        if desk._ahead.first is not None:
            raise MemoryError
        return plenty(*words)

    with monkeypatch.context() as small:
        small.setattr(desk.reader, "read_decoded", scarce)
        while desk.work():
            pass
    desk.close()
    assert [film["state"] for film in store.all_films()] == ["read"] * 2
    store.close()


def test_a_film_that_hangs_ahead_is_given_up_and_its_neighbours_are_read(idle_box, phantom_png):
    noise = np.random.default_rng(0).integers(0, 256, (7900, 7900), np.uint8)
    cv2.imwrite(str(idle_box.films / "phantom-2, a long one.png"), noise, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    names = [phantom_png(seed, idle_box.films).name for seed in (1, 3)]
    idle_box.start("--film-seconds", "0.2")
    assert [film["state"] for film in idle_box.wait_for(*names)] == ["read"] * 2
    [film] = idle_box.wait_for("phantom-2, a long one.png")
    assert film["refusal_code"] == "took_too_long"
