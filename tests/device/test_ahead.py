"""The next films are read beside the one that is due."""

import os
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pydicom
import pytest
from cxrbox.ahead import Ahead
from cxrbox.demo import copy_demo_films
from cxrbox.desk import Desk
from cxrbox.errors import BackendError, RefusedError
from cxrbox.reading import open_reader
from cxrbox.results import Refusal, read_queued
from cxrbox.settings import Settings
from cxrbox.store import QueuedFilm, Store
from cxrbundle.bundle import sha256_file
from cxrbundle.phantom import draw_phantom
from stored_films import keep_phantoms, read_queue

BLANK = RefusedError("blank", "it is blank")
# What it is as large as decides how many are read beside each other.
FIRST = QueuedFilm(0, "")


class Trial:
    """Stands where films are read: each takes until it is let go, and comes out as it is told."""

    def __init__(self, size: int):
        self.size, self.read, self.failing = size, [], {}
        self.go, self.inside, self.most = threading.Event(), 0, 0
        self._lock = threading.Lock()

    def __call__(self, film: QueuedFilm) -> Refusal:
        with self._lock:
            self.inside += 1
            self.most = max(self.most, self.inside)
        assert self.go.wait(20)
        with self._lock:
            self.inside -= 1
            self.read.append(film.id)
        if error := self.failing.pop(film.id, None):
            raise error
        return Refusal(BLANK, size=self.size)


def films(*numbers: int) -> list[QueuedFilm]:
    return [QueuedFilm(number, "") for number in numbers]


@pytest.fixture
def begin():
    """Return what makes a trial and something ahead that has read one film and begun with films 1, 2, and so on."""
    opened = []

    def begin_(count: int, threads: int = 2, memory: int = 1 << 20, size: int = 1) -> tuple[Ahead, Trial]:
        trial = Trial(size)
        ahead = Ahead(trial, threads, memory)
        opened.append((ahead, trial))
        trial.go.set()
        ahead.begin(FIRST)
        assert ahead.most == 1
        ahead.take(FIRST)
        trial.go.clear()
        trial.read.clear()
        for film in films(*range(1, count + 1)):
            ahead.begin(film)
        return ahead, trial

    yield begin_
    for ahead, trial in opened:
        trial.go.set()
        ahead.close()


def wait_for(condition) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_films_are_read_side_by_side_and_taken_in_order(begin):
    ahead, trial = begin(4)
    wait_for(lambda: trial.inside == 2)
    trial.go.set()
    for film in films(1, 2, 3, 4):
        assert ahead.first == film.id
        assert ahead.take(film).error is BLANK
    assert ahead.first is None
    assert sorted(trial.read) == [1, 2, 3, 4] and trial.most == 2


def test_no_more_is_begun_than_there_is_room_for_and_nothing_twice(begin):
    ahead, trial = begin(10)
    ahead.begin(films(1)[0])
    trial.go.set()
    for film in films(*range(1, 9)):
        ahead.take(film)
    assert ahead.first is None
    assert sorted(trial.read) == [*range(1, 9)]


@pytest.mark.parametrize(("memory", "most"), [(400, 4), (399, 3), (200, 2), (199, 1), (99, 1)])
def test_there_is_room_for_as_many_films_as_the_memory_holds(begin, memory, most):
    ahead, _ = begin(0, memory=memory, size=100)
    assert ahead.most == most


def test_more_is_wanted_before_a_thread_has_nothing_to_do(begin):
    ahead, trial = begin(8)
    trial.go.set()
    for film in films(1, 2, 3, 4):
        assert not ahead.scarce
        ahead.take(film)
    assert ahead.scarce


def test_what_was_begun_for_another_film_is_dropped(begin):
    ahead, trial = begin(2)
    trial.go.set()
    ahead.take(films(9)[0])
    assert ahead.first is None
    assert trial.read[-1] == 9 and sorted(trial.read) == [1, 2, 9]


@pytest.mark.parametrize("error", [BLANK, MemoryError()])
def test_what_failed_beside_another_film_is_read_again_alone(begin, error):
    ahead, trial = begin(3)
    trial.failing[1] = error
    trial.go.set()
    assert ahead.take(films(1)[0]).error is BLANK
    assert trial.read[-1] == 1 and sorted(trial.read) == [1, 1, 2, 3]
    assert ahead.first == 2  # what was read beside it is not read again
    for film in films(2, 3):
        ahead.take(film)
    assert len(trial.read) == 4


def test_what_fails_alone_as_well_is_told_whoever_takes_it(begin):
    ahead, trial = begin(0)
    trial.go.set()
    trial.failing[1] = BLANK
    with pytest.raises(RefusedError, match="it is blank"):
        ahead.take(films(1)[0])


def test_what_nobody_foresaw_is_told_whoever_takes_it(begin):
    ahead, trial = begin(1)
    trial.failing[1] = ZeroDivisionError()
    trial.go.set()
    with pytest.raises(ZeroDivisionError):
        ahead.take(films(1)[0])


def test_a_film_that_hangs_does_not_keep_the_box_from_ending(begin, monkeypatch):
    monkeypatch.setattr("cxrbox.ahead.CLOSE_SECONDS", 0.1)
    ahead, trial = begin(4)
    wait_for(lambda: trial.inside == 2)
    ahead.close()
    trial.go.set()
    wait_for(lambda: not trial.inside)
    assert sorted(trial.read) == [1, 2]


def test_a_header_says_whom_it_shows_only_where_that_is_wanted(tmp_path, bundle_folder):
    path = copy_demo_films(tmp_path)[0]
    film = pydicom.dcmread(path)
    film.PatientID = "MRN 0042"
    film.save_as(path)
    for wanted, told in ((True, ("MRN 0042", "dicom")), (False, None)):
        settings = Settings(bundle=bundle_folder, threads=1, dicom_identity=wanted)
        queued = QueuedFilm(1, sha256_file(path))
        assert read_queued(open_reader(settings), settings, queued, path).identity == told


def test_the_largest_films_are_read_one_after_the_other_in_bounded_memory(idle_box):
    """One of them and the reader take 520 MiB; the third finds room only if the first two gave all of theirs back."""
    for seed in range(3):
        cv2.imwrite(str(idle_box.films / f"large-{seed}.png"), cv2.resize(draw_phantom(seed), (7900, 7900)))
    idle_box.start("--memory-mb", "600")
    films = idle_box.wait_for(*(f"large-{seed}.png" for seed in range(3)), seconds=120)
    assert [film["state"] for film in films] == ["read"] * 3
    assert "ended with status" not in idle_box.log


def test_a_film_that_lacks_what_the_next_one_took_is_read_once_more_alone(tmp_path, bundle_folder, monkeypatch):
    """Which of two films lacks memory is chance, so the want is provoked: there is none beside another film."""
    store = Store(tmp_path / "state")
    keep_phantoms(store, 1, 2)
    desk = Desk(Settings(), store, open_reader(Settings(bundle=bundle_folder, threads=1)))
    plenty = desk.reader.read_decoded

    def scarce(*words):
        if threading.current_thread() is not threading.main_thread():
            raise MemoryError
        return plenty(*words)

    with monkeypatch.context() as small:
        small.setattr(desk.reader, "read_decoded", scarce)
        while desk.work():
            pass
    desk.close()
    assert [film["state"] for film in store.all_films()] == ["read"] * 2
    store.close()


def test_what_was_read_ahead_by_a_body_that_drifted_does_not_count(tmp_path, bundle_folder, monkeypatch):
    store = Store(tmp_path / "state")
    keep_phantoms(store, 1, 2, 3, 4)
    desk = Desk(Settings(), store, open_reader(Settings(bundle=bundle_folder)))
    for _ in range(2):
        desk.work()
    assert desk._ahead.first == 3

    def drift(_) -> None:
        raise BackendError("it drifted")

    with monkeypatch.context() as drifting:
        drifting.setattr(desk._watch, "due", lambda: True)
        drifting.setattr(desk.reader.body, "check", drift)
        assert not desk.work()
        assert (desk.unfit, desk._ahead.first) == ("it drifted", None)
    desk.close()
    # Nor does what it read before it was found out.
    assert [film["state"] for film in store.all_films()] == ["queued"] * 4
    assert [entry.film for entry in store.ledger() if entry.kind == "withdrawal"] == [1, 2]
    assert store.find_fault() is None
    store.close()


def test_nothing_is_read_beside_the_films_among_which_is_what_ended_the_last_reader(tmp_path, bundle_folder):
    store, reader = Store(tmp_path / "state"), open_reader(Settings(bundle=bundle_folder))
    keep_phantoms(store, 1, 2, 3, 4)
    store.claim()
    store.count_crash()
    store.requeue_interrupted()
    desk, beside = Desk(Settings(), store, reader), set()
    while store.counts()["queued"]:
        desk.work()
        beside.add(desk._ahead.first)
    desk.close()
    assert beside == {None} and store.counts()["read"] == 4
    store.close()


def test_an_empty_picture_that_a_power_cut_left_is_drawn_again(tmp_path, bundle_folder):
    store, reader = Store(tmp_path / "state"), open_reader(Settings(bundle=bundle_folder))
    keep_phantoms(store, 1)
    read_queue(store, reader)
    picture = store.picture_path(store.film(1)["sha256"])
    picture.write_bytes(b"")
    desk = Desk(Settings(), store, reader)
    while desk.work():
        pass
    desk.close()
    assert picture.read_bytes().startswith(b"\xff\xd8")
    store.close()


def test_a_film_whose_original_was_exchanged_is_neither_read_nor_drawn(tmp_path, bundle_folder):
    """It would be another patient's film under this one's result."""
    store, reader = Store(tmp_path / "state"), open_reader(Settings(bundle=bundle_folder))
    keep_phantoms(store, 1, 2, 3)
    paths = [store.original_path(film["sha256"]) for film in store.all_films()]
    paths[0].write_bytes(paths[2].read_bytes())
    read_queue(store, reader)
    assert [film["state"] for film in store.all_films()] == ["refused", "read", "read"]
    assert "the copy of the film that the box keeps is damaged" in store.film(1)["refusal_reason"]
    shown = store.picture_path(store.film(2)["sha256"])
    shown.unlink()
    paths[1].write_bytes(paths[2].read_bytes())
    desk = Desk(Settings(), store, reader)
    while desk.work():
        pass
    desk.close()
    assert not shown.exists() and store.statuses()["pictures"]["undrawable"] == [2]
    store.close()


def test_a_picture_that_was_not_drawn_is_drawn_at_the_next_start_where_it_can_be(tmp_path, bundle_folder):
    store, reader = Store(tmp_path / "state"), open_reader(Settings(bundle=bundle_folder))
    keep_phantoms(store, 1, 2)
    read_queue(store, reader)
    drawn, damaged = (film["sha256"] for film in store.all_films())
    for sha256 in (drawn, damaged):
        store.picture_path(sha256).unlink()
    store.original_path(damaged).write_bytes(b"damaged")
    desk = Desk(Settings(), store, reader)
    while desk.work():
        pass
    desk.close()
    assert store.picture_path(drawn).is_file() and not store.picture_path(damaged).exists()
    assert [film["state"] for film in store.all_films()] == ["read"] * 2
    store.close()


def test_a_picture_whose_original_was_removed_meanwhile_is_left(tmp_path, bundle_folder, caplog):
    store, reader = Store(tmp_path / "state"), open_reader(Settings(bundle=bundle_folder))
    keep_phantoms(store, 1)
    read_queue(store, reader)
    [film] = store.all_films()
    store.picture_path(film["sha256"]).unlink()
    desk = Desk(Settings(), store, reader)
    store.remove_original(film["id"], "age")
    while desk.work():
        pass
    desk.close()
    assert not store.picture_path(film["sha256"]).exists()
    assert "cannot be drawn" not in caplog.text
    store.close()


def test_a_picture_that_cannot_be_drawn_is_tried_once_however_often_it_is_asked_for(
    tmp_path, bundle_folder, monkeypatch, caplog
):
    monkeypatch.setattr("cxrbox.desk.LOOK_SECONDS", 0)
    store, reader = Store(tmp_path / "state"), open_reader(Settings(bundle=bundle_folder))
    keep_phantoms(store, 1)
    read_queue(store, reader)
    [film] = store.all_films()
    desk = Desk(Settings(), store, reader)
    store.picture_path(film["sha256"]).unlink()
    store.original_path(film["sha256"]).write_bytes(b"damaged")
    for _ in range(3):
        store.ask("picture", {"film": film["id"]})
        while desk.work():
            pass
    desk.close()
    assert len([line for line in caplog.messages if "cannot be drawn" in line]) == 1
    assert store.statuses()["pictures"]["undrawable"] == [film["id"]]
    assert store.take_request("picture") is None
    store.close()


@pytest.mark.parametrize(("deaths", "drawn"), [(0, True), (1, False)])
def test_a_picture_on_which_readers_died_is_left_in_the_end(tmp_path, bundle_folder, deaths, drawn):
    """The next reader would die on it as well, and so on for ever."""
    store, reader = Store(tmp_path / "state"), open_reader(Settings(bundle=bundle_folder))
    keep_phantoms(store, 1, 2)
    read_queue(store, reader)
    for film in store.all_films():
        store.picture_path(film["sha256"]).unlink()
    store.begin_drawing(2, deaths)
    desk = Desk(Settings(), store, reader)
    assert store.statuses()["pictures"]["undrawable"] == ([] if drawn else [2])
    while desk.work():
        pass
    desk.close()
    assert [store.has_picture(film["sha256"]) for film in store.all_films()] == [True, drawn]
    assert "drawing" not in store.statuses()
    store.close()


def test_the_pictures_of_a_queue_are_drawn_after_it_but_one_that_is_asked_for_at_once(
    tmp_path, bundle_folder, monkeypatch
):
    monkeypatch.setattr("cxrbox.filing.LINGER_SECONDS", 0)
    monkeypatch.setattr("cxrbox.desk.LOOK_SECONDS", 0)
    store = Store(tmp_path / "state")
    keep_phantoms(store, *range(1, 25))
    desk = Desk(Settings(), store, open_reader(Settings(bundle=bundle_folder, threads=1)))

    def drawn() -> list[int]:
        return [film["id"] for film in store.all_films() if store.picture_path(film["sha256"]).is_file()]

    while store.film(4)["state"] != "read":
        desk.work()
    # The first of all is read alone, and has its picture with its result.
    assert 1 in drawn() and not {2, 3, 4} & {*drawn()}
    store.ask("picture", {"film": 3})
    desk.work()
    assert 3 in drawn() and not {2, 4} & {*drawn()} and store.counts()["queued"] > 0
    while desk.work():
        pass
    desk.close()
    assert drawn() == [*range(1, 25)] and store.counts()["read"] == 24
    store.close()


def test_a_film_that_hangs_ahead_is_given_up_and_its_neighbours_are_read(idle_box, phantom_png):
    noise = np.random.default_rng(0).integers(0, 256, (7900, 7900), np.uint8)
    cv2.imwrite(str(idle_box.films / "phantom-2, a long one.png"), noise, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    names = [phantom_png(seed, idle_box.films).name for seed in (1, 3)]
    idle_box.start("--film-seconds", "0.2")
    assert [film["state"] for film in idle_box.wait_for(*names)] == ["read"] * 2
    [film] = idle_box.wait_for("phantom-2, a long one.png")
    assert film["refusal_code"] == "took_too_long"


# Runs a command as `python -m cxrbox` does, and tells how many threads its linear algebra then has.
COUNT_THREADS = """
import sys
from cxrbox.__main__ import main
try:
    main()
except SystemExit as end:
    assert end.code == 0, end.code
from threadpoolctl import threadpool_info
print(*{pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}, file=sys.stderr)
"""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core has no second thread to give")
def test_linear_algebra_takes_no_core_from_the_films_beside_it_unless_told_to():
    for said, threads in (({}, "1"), ({"OPENBLAS_NUM_THREADS": "2"}, "2")):
        environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"} | said
        command = [sys.executable, "-c", COUNT_THREADS, "selftest"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert done.returncode == 0 and done.stderr.splitlines()[-1] == threads, done.stderr


def test_what_waits_for_its_picture_takes_little_memory(tmp_path, bundle_folder):
    """Sixteen results may wait to be filed, whose films could be of 64 million pixels each."""
    settings = Settings(bundle=bundle_folder)
    reader, path = open_reader(settings), tmp_path / "film.png"
    film = draw_phantom(1)
    for side, held in ((2048, 2048), (3072, 1024)):
        cv2.imwrite(str(path), cv2.resize(film, (side, side)))
        result = read_queued(reader, settings, QueuedFilm(1, sha256_file(path)), path)
        assert result.pictures.film.shape == (held, held)
        assert result.small().pictures is None
