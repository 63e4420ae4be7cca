"""What a device said before it failed the golden films counts no more: the films are read again."""

import os
import signal

import numpy as np
import pytest
from cxrbox.bodies.stand_in import FAULT_FILE
from cxrbox.bodies.switching import SwitchingBody
from cxrbox.desk import Desk
from cxrbox.operating_points import CAMERA
from cxrbox.reading import make_reader, open_reader
from cxrbox.refusals import refuse
from cxrbox.settings import Settings
from cxrbundle.phantom import draw_phantom
from stored_films import keep_phantoms, read_queue
from tpu_faults import tpu_processes, wait_for

SETTINGS = Settings(tpu="stand-in", threads=1)
BY_DEVICE = {"backend": "edgetpu 1", "bundle": "cxr-test 1"}


@pytest.fixture
def on_device(tmp_path, monkeypatch):
    """Return the file that commands the faults of the stand-in, and a reader that it serves."""
    fault = tmp_path / "fault"
    monkeypatch.setenv(FAULT_FILE, str(fault))
    reader = make_reader(SETTINGS)
    wait_for(lambda: not reader.body.status().degraded)
    yield fault, reader
    reader.body.close()


def test_films_that_a_faulty_device_read_or_refused_are_read_again(store, on_device, monkeypatch):
    fault, reader = on_device
    desk = Desk(SETTINGS, store, reader)

    def read_all() -> None:
        while desk.work():
            pass
        desk._filing.wait()

    keep_phantoms(store, 1)
    read_all()
    # That one is beyond doubt: the golden films are passed once more after it.
    with monkeypatch.context() as now:
        now.setattr(desk._watch, "due", lambda: True)
        desk.work()
    fault.write_text("wrong")
    keep_phantoms(store, 2, 3)
    read_all()
    doubted = [store.film(film)["entry"] for film in (2, 3)]
    assert {entry.facts["backend"].split()[0] for entry in store.ledger() if entry.number in doubted} == {"stand-in"}
    with monkeypatch.context() as now:
        now.setattr(desk._watch, "due", lambda: True)
        desk.work()
    read_all()
    desk.close()
    withdrawn = [entry for entry in store.ledger() if entry.kind == "withdrawal"]
    assert [(entry.film, entry.facts["outcome"]) for entry in withdrawn] == [*zip((2, 3), doubted, strict=True)]
    assert [film["state"] for film in store.all_films()] == ["read"] * 3
    backends = [film["reading"]["backend"].split()[0] for film in store.all_films()]
    assert backends == ["stand-in", "cpu", "cpu"]
    assert [store.was_withdrawn(film) for film in (1, 2, 3)] == [False, True, True]
    assert store.find_fault() is None


def test_a_device_that_fails_when_it_is_opened_again_is_believed_no_more_either(store, on_device):
    """It answers wrongly, dies, and comes back no better."""
    fault, reader = on_device
    desk = Desk(SETTINGS, store, reader)
    fault.write_text("wrong")
    keep_phantoms(store, 1, 2)
    while desk.work():
        pass
    desk._filing.wait()
    assert store.counts()["queued"] == 0
    [process] = tpu_processes()
    os.kill(process, signal.SIGKILL)
    wait_for(lambda: desk.work() is None or any(entry.kind == "withdrawal" for entry in store.ledger()))
    while desk.work():
        pass
    desk.close()
    assert [entry.film for entry in store.ledger() if entry.kind == "withdrawal"] == [1, 2]
    assert {film["reading"]["backend"].split()[0] for film in store.all_films()} == {"cpu"}


def refuse_next(store, code: str, refused_by: dict | None = None) -> int:
    """Refuse the next film of the queue, and return its number."""
    film = store.claim().id
    store.add_refusal(film, refuse(code, "it is"), refused_by)
    return film


def test_a_reader_that_began_anew_knows_when_a_device_passed_last(store, bundle_folder):
    """The process that used the device is gone, and what it answered since then is doubted all the same."""
    keep_phantoms(store, 1, 2)
    refuse_next(store, "not_a_chest_film", BY_DEVICE)
    store.put_status("proven", {"entries": {BY_DEVICE["backend"]: store.last_entry()}})
    doubted = refuse_next(store, "not_a_chest_film", BY_DEVICE)
    desk = Desk(Settings(), store, open_reader(Settings(bundle=bundle_folder)))
    desk._withdraw(BY_DEVICE["backend"])
    desk.close()
    assert [film["id"] for film in store.all_films() if film["state"] == "queued"] == [doubted]


def test_the_pictures_of_what_counts_no_more_are_drawn_anew(store, bundle_folder):
    """They show the film as it was read, turned or inverted it may be."""
    keep_phantoms(store, 1)
    read_queue(store, open_reader(Settings(bundle=bundle_folder)))
    sha256 = store.film(1)["sha256"]
    store.photograph_path(sha256).write_bytes(b"a photograph")
    assert store.has_picture(sha256)
    assert store.withdraw(0, None) == 1
    assert not store.picture_path(sha256).exists() and not store.photograph_path(sha256).exists()


def test_only_what_that_backend_answered_since_then_is_withdrawn(store):
    keep_phantoms(store, *range(5))
    before = refuse_next(store, "not_a_chest_film", BY_DEVICE)
    after = store.last_entry()
    by_device = refuse_next(store, "turned", BY_DEVICE)
    by_another = refuse_next(store, "not_a_chest_film", {"backend": "cpu 1"})
    never_seen = refuse_next(store, "damaged")
    gone = refuse_next(store, "negative", BY_DEVICE)
    store.remove_original(gone, "age")
    assert store.withdraw(after, BY_DEVICE["backend"]) == 1
    assert {film["id"]: film["state"] for film in store.all_films()} == {
        before: "refused",
        by_device: "queued",
        by_another: "refused",
        never_seen: "refused",
        gone: "refused",
    }
    assert store.withdraw(after, BY_DEVICE["backend"]) == 0
    assert store.withdraw(after, None) == 1 and store.film(by_another)["state"] == "queued"
    assert store.find_fault() is None


def test_a_film_on_which_the_device_is_lost_is_read_on_one_backend_alone(on_device, monkeypatch):
    """A photograph is looked at several times; the device answers the first look and aborts at the second."""
    fault, reader = on_device
    answered, look = [], SwitchingBody.__call__

    def watched(body: SwitchingBody, pixels: np.ndarray) -> np.ndarray:
        if len(answered) == 1:
            fault.write_text("abort")
        features = look(body, pixels)
        answered.append(body.backend.split()[0])
        return features

    monkeypatch.setattr(SwitchingBody, "__call__", watched)
    _, output = reader._look(draw_phantom(1), CAMERA, override=False)
    assert answered[:2] == ["stand-in", "cpu"] and reader.body.backend.startswith("cpu")
    assert set(answered[-7:]) == {"cpu"} and len(answered) > 7
    alone = open_reader(Settings())
    np.testing.assert_array_equal(output.logits, alone._look(draw_phantom(1), CAMERA, override=False)[1].logits)
