"""How long originals are kept, and what becomes of the box where the disk is full."""

import subprocess
import time
from datetime import UTC, datetime, timedelta

import cv2
import pytest
from cxrbox import retention
from cxrbox.reading import open_reader
from cxrbox.results import Pictures
from cxrbox.retention import Keeper, disk_status, free_mb
from cxrbox.settings import Settings
from cxrbox.store import Store
from cxrbundle.phantom import draw_phantom
from running_box import RunningBox, free_port, is_root
from stored_films import keep_phantoms, read_queue


@pytest.fixture(scope="module")
def reader(bundle_folder):
    return open_reader(Settings(bundle=bundle_folder, threads=1))


@pytest.fixture
def store(tmp_path, reader):
    """Return a store with three films that were read and one that waits, a day apart."""
    store = Store(tmp_path / "state")
    keep_phantoms(store, 1, 2, 3)
    read_queue(store, reader)
    keep_phantoms(store, 4)
    for film in range(1, 5):
        came = datetime.now(UTC) - timedelta(days=9.5 - film)
        moment = came.isoformat(timespec="milliseconds")
        store._db.execute("UPDATE films SET original_at = ? WHERE id = ?", (moment, film))
    yield store
    store.close()


@pytest.fixture
def trusted(monkeypatch):
    monkeypatch.setattr(retention, "clock_trusted", lambda: True)


def settings_of(store, **changed) -> Settings:
    return Settings(state=store.originals.parent, **({"retention_free_mb": 0} | changed))


def kept(store) -> list[int]:
    return [film["id"] for film in store.all_films() if store.original_path(film["sha256"]).exists()]


def test_originals_past_their_age_are_removed_and_their_results_stay(store, trusted):
    shown = store.film(1)
    assert Keeper(settings_of(store, retention_days=8), store).look() == 1
    assert kept(store) == [2, 3, 4]
    film = store.film(1)
    assert film["reading"] == shown["reading"] and film["original_at"] is None
    assert not store.picture_path(film["sha256"]).exists() and store.maps(1)
    last = list(store.ledger())[-1]
    assert (last.kind, last.film, last.facts["reason"]) == ("removal", 1, "age")
    assert store.find_fault() is None


def test_a_clock_that_is_known_to_be_wrong_removes_nothing_by_age(store, monkeypatch):
    monkeypatch.setattr(retention, "clock_trusted", lambda: False)
    assert Keeper(settings_of(store, retention_days=1), store).look() == 0


def test_where_the_disk_is_short_the_oldest_go_first_and_none_that_waits(store, monkeypatch):
    """Nothing this small shows on a disk's free space, so each original that is there takes a gigabyte."""
    monkeypatch.setattr(retention, "free_mb", lambda _: 10_000 - 1000 * len(kept(store)))
    assert Keeper(settings_of(store, retention_free_mb=8000), store).look() == 2
    assert kept(store) == [3, 4]
    assert Keeper(settings_of(store, retention_free_mb=9500), store).look() == 1
    assert kept(store) == [4] and store.counts()["queued"] == 1


def test_a_film_that_is_being_read_is_kept(store, trusted):
    film = store.claim()
    assert Keeper(settings_of(store, retention_days=1), store).look() == 3
    assert kept(store) == [film.id]


@pytest.mark.parametrize("film", [1, 3], ids=["the oldest", "any other"])
def test_an_original_that_is_gone_is_on_record_as_missing(store, film):
    """A power cut came between its removal and the record of it, or somebody removed it past the box."""
    others = [number for number in kept(store) if number != film]
    store.original_path(store.film(film)["sha256"]).unlink()
    keeper = Keeper(settings_of(store), store)
    assert (keeper.look(), keeper.look()) == (1, 0)
    assert store.film(film)["original_at"] is None and kept(store) == others
    assert list(store.ledger())[-1].facts["reason"] == "missing"


def test_an_original_that_is_gone_of_a_film_that_waits_is_left_to_the_reader(store):
    store.original_path(store.film(4)["sha256"]).unlink()
    assert Keeper(settings_of(store), store).look() == 0 and store.counts()["queued"] == 1


def test_a_removed_film_that_is_sent_again_is_kept_again_and_not_read_twice(store, trusted):
    Keeper(settings_of(store, retention_days=8), store).look()
    keep_phantoms(store, 1)
    assert store.film(1)["original_at"] and store.counts() == {"queued": 1, "reading": 0, "read": 3, "refused": 0}
    assert Keeper(settings_of(store, retention_days=8), store).look() == 0


def test_no_picture_is_asked_of_a_film_that_is_gone(store, trusted):
    store.remove_original(1, "age")
    assert store.without_picture() == []


def test_the_warning_comes_long_before_anything_is_removed(store):
    free = free_mb(store.originals)
    for reserve, level in ((0, "ok"), (free // 3, "ok"), (int(free / 1.5), "low"), (free + 10_000, "reserve")):
        status = disk_status(settings_of(store, retention_free_mb=reserve))
        assert status["level"] == level and status["reserve_mb"] == reserve


def test_the_page_is_told_how_the_disk_is(store):
    Keeper(settings_of(store), store).look()
    status = store.statuses()["disk"]
    assert status["level"] == "ok" and status["free_mb"] > 0 and status["at"]


@pytest.fixture
def small_disk(tmp_path, request):
    """Return a box whose state folder lies on a real disk of 24 MiB, or as many as the test asks for."""
    if not is_root():
        pytest.skip("only root may mount a small disk")
    box = RunningBox(tmp_path, free_port())
    box.films.mkdir()
    box.state.mkdir()
    size = f"size={getattr(request, 'param', 24)}m"
    mount = ["mount", "-t", "tmpfs", "-o", size, "cxrbox-test", str(box.state)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no small disk can be mounted here")
    yield box
    if box.process and box.process.poll() is None:
        box.stop()
    subprocess.run(["umount", str(box.state)], check=True)


def fill(folder) -> None:
    """Write into a folder until the disk is full to the last byte."""
    with (folder / "ballast").open("wb", buffering=0) as ballast:
        for size in (1 << 20, 4096, 1):
            try:
                while ballast.write(bytes(size)):
                    pass
            except OSError as err:
                assert err.errno == 28, err


@pytest.mark.parametrize("small_disk", [96], indirect=True)
def test_a_box_that_was_stopped_starts_on_a_full_disk_and_makes_room_on_it(small_disk):
    box = small_disk
    box.start("--retention-free-mb", "0")
    cv2.imwrite(str(box.films / "before.png"), draw_phantom(1))
    box.wait_for("before.png")
    box.wait_until((box.state / "room").exists)
    assert box.stop() == 0 and not (box.state / "box.sqlite-shm").exists()
    fill(box.state)
    box.start("--retention-free-mb", "10")
    box.wait_until(lambda: "the originals of 1 films were removed" in box.log)
    box.wait_until(lambda: box.list_films()[0]["original_at"] is None)
    (box.state / "ballast").unlink()
    cv2.imwrite(str(box.films / "after.png"), draw_phantom(2))
    assert box.wait_for("after.png")[0]["state"] == "read"


def test_a_full_disk_loses_no_film_and_the_box_recovers_by_itself(small_disk):
    box = small_disk
    box.start("--retention-free-mb", "0", "--settle-seconds", "0.05")
    cv2.imwrite(str(box.films / "before.png"), draw_phantom(1))
    box.wait_for("before.png")
    fill(box.state)
    for seed in (2, 3, 4):
        cv2.imwrite(str(box.films / f"{seed}.png"), draw_phantom(seed))
    box.wait_until(lambda: "is tried again" in box.log or "could not be written" in box.log)
    time.sleep(3)
    assert box.process.poll() is None, box.log
    assert disk_status(Settings(state=box.state))["level"] == "full"
    assert [film["state"] for film in box.list_films()] == ["read"]
    (box.state / "ballast").unlink()
    assert {film["state"] for film in box.wait_for("before.png", "2.png", "3.png", "4.png")} == {"read"}
    assert box.stop() == 0
    store = Store(box.state)
    assert [entry.kind for entry in store.ledger()].count("result") == 4 and store.find_fault() is None
    store.close()


def test_on_a_real_disk_no_more_is_removed_than_must_be(small_disk, reader):
    store = Store(small_disk.state)
    keep_phantoms(store, *range(12))
    read_queue(store, reader)
    reserve = free_mb(small_disk.state) + 1
    removed = Keeper(Settings(state=small_disk.state, retention_free_mb=reserve), store).look()
    assert 0 < removed < 12 and free_mb(small_disk.state) >= reserve
    assert [film["id"] for film in store.all_films() if film["original_at"] is None] == list(range(1, removed + 1))
    store.close()


def test_a_film_that_came_before_the_clock_was_set_ages_from_then_on(store, trusted):
    store._db.execute("UPDATE films SET original_at = '1970-01-01T00:00:07.000+00:00' WHERE id = 2")
    keeper = Keeper(settings_of(store, retention_days=30), store)
    assert keeper.look() == 0 and kept(store) == [1, 2, 3, 4]
    assert store.film(2)["original_at"] > "2026"


def test_originals_that_a_backup_holds_are_not_removed_for_space(store, tmp_path, monkeypatch):
    """To remove them would free nothing, and one after the other would be lost."""
    monkeypatch.setattr(retention, "free_mb", lambda _: 0)
    backup = tmp_path / "backup"
    backup.mkdir()
    for film in (1, 2):
        sha256 = store.film(film)["sha256"]
        (backup / sha256).hardlink_to(store.original_path(sha256))
    keeper = Keeper(settings_of(store, retention_free_mb=1, retention_days=3650), store)
    assert keeper.look() == 1 and kept(store) == [1, 2, 4]
    assert keeper.look() == 0
    (backup / store.film(1)["sha256"]).unlink()
    assert keeper.look() == 1 and kept(store) == [2, 4]


def test_a_film_that_waits_again_keeps_its_original(store):
    assert store.withdraw(0, None) == 3
    assert not store.remove_original(2, "age")
    assert kept(store) == [1, 2, 3, 4]


def test_a_picture_that_is_drawn_while_its_film_is_removed_does_not_stay(store):
    sha256 = store.film(1)["sha256"]
    store.remove_original(1, "age")
    Pictures(draw_phantom(1), draw_phantom(1)).draw(store, sha256)
    assert not store.picture_path(sha256).exists() and not store.photograph_path(sha256).exists()
