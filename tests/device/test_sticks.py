"""Memory sticks come and go: films are taken from them once, and results written back only where that is allowed."""

import csv
import shutil

import cv2
import pytest
from cxrbox.intake import RESULTS
from cxrbox.settings import Settings
from cxrbox.sticks import Sticks
from cxrbox.store import Store
from cxrbundle.phantom import draw_phantom


@pytest.fixture
def plugged(tmp_path):
    """Return a function that plugs a stick in: a folder with drawn films."""

    def plug(name: str, *seeds: int):
        folder = tmp_path / "media" / name / "films"
        folder.mkdir(parents=True)
        for seed in seeds:
            assert cv2.imwrite(str(folder / f"{seed}.png"), draw_phantom(seed))
        return folder.parent

    return plug


@pytest.fixture
def sticks(tmp_path):
    settings = Settings(state=tmp_path / "state", sticks=tmp_path / "media", from_stick=True, settle_seconds=0)
    return Sticks(settings, Store(settings.state))


def names(sticks) -> list[str]:
    return sorted(film["name"] for film in sticks.store.list_films(100))


def test_a_place_without_sticks_is_looked_at_in_vain(sticks):
    assert sticks.look() == 0


def test_films_of_several_sticks_are_taken_once_and_know_where_they_came_from(sticks, plugged):
    plugged("ward-a", 1, 2)
    plugged("ward-b", 2, 3)
    assert sticks.look() == 4
    assert sticks.look() == 0
    assert names(sticks) == ["ward-a/films/1.png", "ward-a/films/2.png", "ward-b/films/3.png"]
    assert {film["source"] for film in sticks.store.list_films(100)} == {"stick"}


def test_a_stick_that_returns_is_not_read_again_and_goes_on_where_it_was(sticks, plugged, tmp_path):
    stick = plugged("ward-a", 1)
    assert sticks.look() == 1
    shutil.move(stick, tmp_path / "pulled")
    assert sticks.look() == 0
    assert names(sticks) == ["ward-a/films/1.png"]
    assert cv2.imwrite(str(tmp_path / "pulled" / "films" / "2.png"), draw_phantom(2))
    # FAT gives other inodes at every mount: copies have them too.
    shutil.copytree(tmp_path / "pulled", stick, copy_function=shutil.copy2)
    assert sticks.look() == 1
    assert names(sticks) == ["ward-a/films/1.png", "ward-a/films/2.png"]
    assert list(sticks.store.incoming.iterdir()) == []


def finish(store):
    while film := store.claim():
        store.add_result(film.id, {"findings": {}}, b"", 1.0)


def test_nothing_is_written_to_a_stick_unless_that_is_allowed(sticks, plugged):
    stick = plugged("ward-a", 1)
    sticks.look()
    finish(sticks.store)
    sticks.look()
    assert [path.name for path in stick.iterdir()] == ["films"]


def test_results_go_back_to_the_stick_once_all_its_films_are_read(tmp_path, plugged):
    settings = Settings(
        state=tmp_path / "state", sticks=tmp_path / "media", from_stick=True, write_to_stick=True, settle_seconds=0
    )
    sticks = Sticks(settings, Store(settings.state))
    first, second = plugged("ward-a", 1, 2), plugged("ward-b", 3)
    (first / "notes.txt").write_text("no film")
    sticks.look()
    sticks.look()
    assert not (first / RESULTS).exists()
    finish(sticks.store)
    sticks.look()
    with (first / RESULTS).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["state"] for row in rows) == [
        "read",
        "read",
        "refused",
    ]
    with (second / RESULTS).open(newline="") as file:
        assert len(list(csv.DictReader(file))) == 1
    assert sticks.look() == 0, "the box must not take its own results for a film"
    assert not list(first.glob(".*"))


def test_a_stick_that_cannot_be_written_ends_nothing(tmp_path, plugged, caplog):
    settings = Settings(
        state=tmp_path / "state", sticks=tmp_path / "media", from_stick=True, write_to_stick=True, settle_seconds=0
    )
    sticks = Sticks(settings, Store(settings.state))
    stick = plugged("ward-a", 1)
    (stick / RESULTS).mkdir()
    sticks.look()
    finish(sticks.store)
    assert sticks.look() == 0
    assert "could not be written to a stick" in caplog.text
