import sqlite3
import threading
import time
from dataclasses import replace

import pytest
from cxrbox.filing import MOST_WAITING, Filing, Outcome
from cxrbox.store import Store


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path / "state")
    for number in range(MOST_WAITING):
        store.add_film(f"{number}.png", "1", f"{number:02}", 10)
    return store


def claimed(store: Store) -> list[int]:
    return [store.claim().id for _ in range(MOST_WAITING)]


def states(store: Store) -> set[str]:
    return {store.film(number + 1)["state"] for number in range(MOST_WAITING)}


def keeping(film: int, after=lambda: None) -> Outcome:
    return Outcome(lambda store: store.add_result(film, {"findings": {}}, b"", 1.0), after)


def hold(filing: Filing) -> threading.Event:
    """Let the filing wait until the event, so that all that comes meanwhile waits together."""
    begun, go_on = threading.Event(), threading.Event()

    def keep(_: Store) -> bool:
        begun.set()
        return go_on.wait()

    filing.put(Outcome(keep, lambda: None))
    assert begun.wait(10)
    return go_on


def test_what_waits_is_kept_together_and_then_drawn(store):
    films, filing, drawn = claimed(store), Filing(store.state), []
    go_on = hold(filing)
    for film in films:
        filing.put(keeping(film, lambda film=film: drawn.append((film, states(Store(store.state))))))
    assert states(store) == {"reading"}
    go_on.set()
    filing.close()
    # When the first is drawn, all that waited with it are kept.
    assert [film for film, _ in drawn] == films and all(seen == {"read"} for _, seen in drawn)


def test_a_film_that_is_in_hand_no_more_is_not_drawn(store):
    film, filing, drawn = claimed(store)[0], Filing(store.state), []
    filing.put(keeping(film, lambda: drawn.append("first")))
    filing.wait()
    filing.put(keeping(film, lambda: drawn.append("second")))
    filing.close()
    assert drawn == ["first"]


def test_what_others_follow_waits_for_them_a_moment(store, monkeypatch):
    monkeypatch.setattr("cxrbox.filing.LINGER_SECONDS", 60)
    (first, second, *_), filing, seen = claimed(store), Filing(store.state), []

    def look() -> None:
        watching = Store(store.state)
        seen.append([watching.film(film)["state"] for film in (first, second)])

    filing.put(replace(keeping(first, look), others_follow=True))
    filing.put(keeping(second))
    filing.close()
    assert seen == [["read", "read"]]


def test_as_many_as_are_filed_together_are_filed_at_once(store, monkeypatch):
    monkeypatch.setattr("cxrbox.filing.LINGER_SECONDS", 3600)
    films, filing = claimed(store), Filing(store.state)
    for film in films:
        filing.put(replace(keeping(film), others_follow=True))
        # The first one is in hand before others come.
        while film == films[0] and filing._waiting.qsize():
            time.sleep(0.001)
    filing.wait()
    assert states(store) == {"read"}
    filing.close()


def test_what_nothing_follows_is_filed_at_once(store, monkeypatch):
    monkeypatch.setattr("cxrbox.filing.LINGER_SECONDS", 3600)
    film, filing = claimed(store)[0], Filing(store.state)
    filing.put(keeping(film))
    filing.wait()
    assert store.film(film)["state"] == "read"
    filing.close()


def test_what_stops_the_filing_is_told_and_nothing_half_is_kept(store):
    films, filing = claimed(store), Filing(store.state)

    def fail(_: Store) -> bool:
        raise sqlite3.OperationalError("database or disk is full")

    go_on = hold(filing)
    filing.put(keeping(films[0]))
    filing.put(Outcome(fail, lambda: None))
    go_on.set()
    with pytest.raises(sqlite3.OperationalError, match="disk is full"):
        filing.wait()
    with pytest.raises(sqlite3.OperationalError):
        filing.put(keeping(films[1]))
    with pytest.raises(sqlite3.OperationalError):
        filing.close()
    assert states(store) == {"reading"}
    store.requeue_interrupted()
    assert states(store) == {"queued"}
