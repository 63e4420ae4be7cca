"""The queue and the results in a real SQLite file."""

import sqlite3
import threading
import time

import numpy as np
import pytest
from cxrbox.errors import ConfigError
from cxrbox.maps import pack_maps, unpack_maps
from cxrbox.refusals import refuse
from cxrbox.store import MOST_CRASHES, Store

MAPS = np.arange(14 * 49, dtype=np.float32).reshape(14, 7, 7) / 100


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    yield store
    store.close()


def test_films_are_claimed_once_in_the_order_they_came(store):
    assert store.add_film("a.png", "1", "aa", 10)
    assert store.add_film("b.png", "1", "bb", 10)
    assert [store.claim().sha256, store.claim().sha256, store.claim()] == ["aa", "bb", None]


def test_known_content_is_not_queued_again_but_its_name_is_kept(store):
    assert store.add_film("a.png", "1", "aa", 10)
    assert not store.add_film("again.png", "2", "aa", 10)
    assert store.counts()["queued"] == 1
    assert store.other_names(1) == {1: ["again.png"]}
    assert store.sightings() == {"a.png": "1", "again.png": "2"}


def test_a_result_is_kept_with_its_maps(store):
    store.add_film("a.png", "1", "aa", 10)
    store.add_result(store.claim().id, {"findings": {}}, pack_maps(MAPS), 12.5)
    film = store.film(1)
    assert (film["state"], film["reading"], film["milliseconds"]) == ("read", {"findings": {}}, 12.5)
    np.testing.assert_allclose(unpack_maps(store.maps(1)), MAPS, rtol=1e-3)


def test_an_interrupted_reading_is_done_again(store):
    store.add_film("a.png", "1", "aa", 10)
    store.claim()
    store.requeue_interrupted()
    assert store.claim().sha256 == "aa"


def test_a_film_that_kills_the_reader_is_given_up(store):
    store.add_film("deadly.png", "1", "aa", 10)
    for _ in range(MOST_CRASHES):
        assert store.claim() is not None
        store.count_crash()
        store.requeue_interrupted()
    assert store.claim() is None
    assert store.film(1)["refusal_code"] == "reader_crashed"


def test_only_the_film_that_was_taken_last_is_blamed(store):
    for name in ("read already", "deadly"):
        store.add_film(f"{name}.png", "1", name, 10)
        store.claim()
    store.count_crash()
    assert [store.film(number)["state"] for number in (1, 2)] == ["reading"] * 2
    store.count_crash(refuse("took_too_long", "reading it took longer than 60 s"))
    assert [store.film(number)["state"] for number in (1, 2)] == ["reading", "refused"]
    assert store.film(2)["refusal_code"] == "took_too_long"


def test_a_film_that_was_prepared_is_taken_first_while_it_waits(store):
    for name in ("a", "b", "c"):
        store.add_film(f"{name}.png", "1", name, 10)
    assert [film.sha256 for film in store.upcoming(2)] == ["a", "b"]
    assert [store.claim(first).sha256 for first in (2, 2, None)] == ["b", "a", "c"]
    assert store.upcoming(2) == []


def test_a_film_on_which_the_reader_died_is_suspect(store):
    store.add_film("a.png", "1", "aa", 10)
    assert not store.claim().suspect
    store.count_crash()
    store.requeue_interrupted()
    assert store.upcoming(1)[0].suspect and store.claim().suspect


def test_every_change_raises_the_version(store):
    versions = [store.version()]
    store.add_film("a.png", "1", "aa", 10)
    versions.append(store.version())
    film = store.claim()
    versions.append(store.version())
    store.add_refusal(film.id, refuse("damaged", "it is cut off"))
    versions.append(store.version())
    store.add_refused("b.png", "1", 0, refuse("empty", "it is empty"))
    versions.append(store.version())
    assert versions == sorted(set(versions))


def test_whoever_waits_for_news_is_woken_by_what_others_change_alone(store):
    other, woken = Store(store.state), threading.Event()
    store.wait_for_news(0)
    store.add_film("own.png", "1", "aa", 10)
    started = time.monotonic()
    store.wait_for_news(0.2)
    assert time.monotonic() - started >= 0.2

    def wait() -> None:
        waiting = Store(store.state)
        waiting.wait_for_news(0)
        begun.set()
        waiting.wait_for_news(3600)
        woken.set()

    begun = threading.Event()
    threading.Thread(target=wait, daemon=True).start()
    assert begun.wait(10) and not woken.wait(0.1)
    other.add_film("b.png", "1", "bb", 10)
    assert woken.wait(10)
    other.close()


def test_a_claim_is_seen_by_others_at_once(store):
    store.add_film("a.png", "1", "aa", 10)
    other = Store(store.state)
    assert store.claim().id == 1
    assert other.film(1)["state"] == "reading" and other.claim() is None
    other.close()


def test_the_list_goes_back_page_by_page(store):
    for number in range(5):
        store.add_film(f"{number}.png", "1", f"{number}", 1)
    first = store.list_films(3)
    assert [film["name"] for film in first] == ["4.png", "3.png", "2.png"]
    assert [film["name"] for film in store.list_films(3, before=first[-1]["id"])] == ["1.png", "0.png"]


def test_a_state_folder_of_a_newer_release_is_left_alone(tmp_path):
    with sqlite3.connect(tmp_path / "box.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    with pytest.raises(ConfigError, match="schema 99"):
        Store(tmp_path)


def test_a_state_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="--state"):
        Store(tmp_path / "file")


def test_a_film_keeps_where_it_came_from(store):
    store.add_film("a.png", "1", "aa", 10, "camera")
    assert store.film(1)["source"] == "camera" and store.claim().source == "camera"
    with pytest.raises(sqlite3.IntegrityError):
        store.add_film("b.png", "1", "bb", 10, "telepathy")


def test_each_part_has_one_status_and_the_last_one_counts(store, tmp_path):
    store.put_status("reader", {"backend": "cpu", "degraded": False})
    store.put_status("reader", {"backend": "cpu", "degraded": True})
    store.put_status("disk", {"level": "ok"})
    page = Store(tmp_path)
    said = page.statuses()
    assert set(said) == {"reader", "disk"} and said["reader"]["degraded"] is True and said["disk"]["at"]
    page.close()


def test_a_status_that_repeats_itself_is_not_written_again(store):
    store.put_status("reader", {"backend": "cpu"})
    written = store._db.total_changes
    store.put_status("reader", {"backend": "cpu"})
    assert store._db.total_changes == written
    store.put_status("reader", {"backend": "tpu"})
    assert store.statuses()["reader"]["backend"] == "tpu"


def test_a_request_is_taken_once_in_the_order_it_was_asked(store, tmp_path):
    page = Store(tmp_path)
    page.ask("scan", {"turn": 90})
    page.ask("scan", {"turn": 180})
    page.ask("rescan", {"film": 3})
    page.close()
    taken = [store.take_request(kind) for kind in ("scan", "scan", "scan", "rescan", "rescan")]
    assert taken == [{"turn": 90}, {"turn": 180}, None, {"film": 3}, None]


def test_a_request_that_waited_too_long_is_dropped(store):
    store.ask("scan", {"turn": 90})
    store._db.execute("UPDATE requests SET at = '2026-11-01T00:00:00.000+00:00'")
    assert store.take_request("scan") is None
    store.ask("scan", {"turn": 180})
    assert store.take_request("scan") == {"turn": 180}


def test_a_transaction_that_the_disk_had_no_room_for_leaves_the_film_queued(store):
    """SQLite itself limits the file here, and answers as it does where the disk is full."""
    store.add_film("a.png", "1", "aa", 10)
    film = store.claim()
    store._db.execute(f"PRAGMA max_page_count = {store._db.execute('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.add_result(film.id, {"findings": {}}, bytes(200_000), 1.0)
    assert store.film(film.id)["state"] == "reading" and list(store.ledger()) == []
    store._db.execute("PRAGMA max_page_count = 1000000")
    store.requeue_interrupted()
    assert store.add_result(store.claim().id, {"findings": {}}, bytes(200_000), 1.0)


def test_a_film_that_was_refused_for_what_the_box_made_of_it_is_read_again_when_it_comes_again(store):
    for name, code in (("torn", "damaged"), ("photo", "not_a_chest_film")):
        store.add_film(f"{name}.png", "1", name, 10)
        store.add_refusal(store.claim().id, refuse(code, "it is"))
    assert store.add_film("torn copy.png", "1", "torn", 10) is True
    assert store.add_film("photo copy.png", "1", "photo", 10) is False
    assert [film["state"] for film in store.all_films()] == ["queued", "refused"]


def test_the_reader_knows_that_an_earlier_one_died(store):
    store.add_film("a.png", "1", "a", 10)
    assert not store.has_suspects()
    store.claim()
    store.count_crash()
    assert not store.has_suspects()
    store.requeue_interrupted()
    assert store.has_suspects()
