"""Memory sticks come and go: films are taken from them once, and results written back only where that is allowed."""

import contextlib
import csv
import os
import shutil
from dataclasses import replace
from pathlib import Path

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


@pytest.mark.parametrize("moment", [315532800, 1420070430], ids=["1980", "2015"])
def test_another_film_under_the_same_name_from_a_machine_without_a_clock_is_noticed(sticks, plugged, tmp_path, moment):
    stick = plugged("ward-a", 1)
    film, size = stick / "films" / "1.png", (stick / "films" / "1.png").stat().st_size
    os.utime(film, (moment, moment))
    letter = film.with_name("letter.txt")
    letter.write_text("no film")
    os.utime(letter, (moment, moment))
    assert sticks.look() == 2
    shutil.move(stick, tmp_path / "pulled")
    sticks.look()
    stick = plugged("ward-a", 2)
    (stick / "films" / "2.png").rename(film)
    film.write_bytes(film.read_bytes()[:size].ljust(size, b"\0"))
    os.utime(film, (moment, moment))
    letter.write_text("no film")
    os.utime(letter, (moment, moment))
    assert sticks.look() == 1
    films = [*sticks.store.all_films()]
    assert len({one["sha256"] for one in films} - {None}) == 2 and len(films) == 3
    assert sticks.look() == 0


def test_films_that_are_as_they_were_are_not_copied_once_more(sticks, plugged, tmp_path, monkeypatch):
    stick = plugged("ward-a", 1, 2)
    assert sticks.look() == 2
    copied = []
    monkeypatch.setattr("cxrbox.taking._copy_and_hash", lambda *_: copied.append(1))
    for place in ("pulled", "media/ward-a"):
        stick = Path(shutil.move(stick, tmp_path / place))
        assert sticks.look() == 0
    assert not copied and len(names(sticks)) == 2


def test_what_windows_keeps_on_a_stick_is_left(sticks, plugged):
    stick = plugged("ward-a", 1)
    for name in ("$RECYCLE.BIN", "System Volume Information"):
        shutil.copytree(stick / "films", stick / name)
    assert sticks.look() == 1 and names(sticks) == ["ward-a/films/1.png"]


def test_a_stick_that_is_pulled_between_two_films_loses_neither(sticks, plugged, tmp_path, monkeypatch):
    monkeypatch.setattr("cxrbox.intake.BYTES_TOGETHER", 1)
    stick = plugged("ward-a", 1, 2, 3)
    pulled = Sticks(sticks.settings, sticks.store, lambda: stick.exists() and shutil.move(stick, tmp_path / "pulled"))
    assert pulled.look() == 1
    assert pulled.look() == 0
    shutil.move(tmp_path / "pulled", stick)
    back = Sticks(sticks.settings, sticks.store)
    assert back.look() == 2
    assert names(sticks) == [f"ward-a/films/{seed}.png" for seed in (1, 2, 3)]
    assert sticks.store.counts()["refused"] == 0


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
    first, second = plugged("ward-a", 1, 2), plugged("ward-b", 1)
    (second / "films" / "3.png").write_bytes((second / "films" / "1.png").read_bytes())
    (first / "notes.txt").write_text("no film")
    sticks.look()
    sticks.look()
    assert not (first / RESULTS).exists()
    finish(sticks.store)
    sticks.look()
    with (first / RESULTS).open(newline="", encoding="utf-8-sig") as file:
        states = {row["file"]: row["state"] for row in csv.DictReader(file)}
    assert states == {"films/1.png": "read", "films/2.png": "read", "notes.txt": "refused"}
    with (second / RESULTS).open(newline="", encoding="utf-8-sig") as file:
        assert [row["file"] for row in csv.DictReader(file)] == ["films/1.png; films/3.png"]
    assert sticks.look() == 0, "the box must not take its own results for a film"
    assert not list(first.glob(".*"))


def test_a_stick_that_cannot_be_written_ends_nothing_and_is_tried_again(tmp_path, plugged, caplog, monkeypatch):
    settings = Settings(
        state=tmp_path / "state", sticks=tmp_path / "media", from_stick=True, write_to_stick=True, settle_seconds=0
    )
    sticks = Sticks(settings, Store(settings.state))
    stick = plugged("ward-a", 1)
    (stick / RESULTS).mkdir()
    sticks.look()
    finish(sticks.store)
    for _ in range(2):
        assert sticks.look() == 0
        monkeypatch.setattr(sticks, "_next_try", 0.0)
    assert caplog.text.count("could not be written to a stick") == 1
    listed = [film for film in sticks.store.all_films() if film["refusal_code"] == "unwritable"]
    assert [film["name"] for film in listed] == [f"ward-a/{RESULTS}"]
    assert not [path for path in stick.iterdir() if path.suffix == ".part"]
    (stick / RESULTS).rmdir()
    sticks.look()
    assert (stick / RESULTS).is_file()


@pytest.fixture
def place(sticks):
    """Return the place of the sticks as on a box, where whoever mounts them wants to know when a stick is taken in."""
    (sticks.settings.sticks / ".taken").mkdir(parents=True)
    return sticks.settings.sticks


def taken(place) -> list[str]:
    return [note.name for note in (place / ".taken").iterdir()]


def test_it_is_said_of_a_stick_that_all_of_it_was_taken_in_and_no_earlier(sticks, plugged, place, tmp_path):
    stick = plugged("ward-a", 1)
    assert sticks.look() == 1
    assert taken(place) == [], "there may be more"
    assert sticks.look() == 0
    assert taken(place) == ["ward-a"]
    assert cv2.imwrite(str(stick / "late.png"), draw_phantom(2))
    sticks.look()
    assert taken(place) == []
    sticks.look()
    shutil.move(stick, tmp_path / "pulled")
    sticks.look()
    assert taken(place) == [] and len(names(sticks)) == 2, "what is said of the sticks is no film"


def test_a_stick_without_films_is_done_with_also_where_results_are_written(place, plugged, tmp_path):
    settings = Settings(
        state=tmp_path / "state", sticks=tmp_path / "media", from_stick=True, settle_seconds=0, write_to_stick=True
    )
    sticks = Sticks(settings, Store(settings.state))
    stick = plugged("ward-a")
    (stick / "films").rmdir()
    (stick / "System Volume Information").mkdir()
    for _ in range(3):
        sticks.look()
    assert taken(place) == ["ward-a"] and not (stick / RESULTS).exists()


def test_how_far_a_stick_is_is_told_until_it_is_pulled(sticks, plugged, tmp_path):
    stick = plugged("ward-a", 1, 2)
    (stick / "letter.txt").write_text("no film")
    sticks.look()
    assert sticks.progress == [{"name": "ward-a", "films": None}], "a look that took something is followed by another"
    sticks.look()
    assert sticks.progress == [{"name": "ward-a", "films": 2}]
    shutil.copy(stick / "films" / "1.png", stick / "films" / "again.png")
    sticks.settings = replace(sticks.settings, settle_seconds=60)
    sticks._sticks["ward-a"].settle_seconds = 60
    sticks.look()
    assert sticks.progress == [{"name": "ward-a", "films": None}]
    shutil.move(stick, tmp_path / "pulled")
    sticks.look()
    assert sticks.progress == []


def test_why_a_stick_was_not_mounted_is_listed_whatever_its_letters(sticks, tmp_path):
    (tmp_path / "media").mkdir(exist_ok=True)
    (tmp_path / "media" / "ward-a.refused").write_bytes(b"no file system, \xff\xfe")
    sticks.look()
    assert "no file system" in sticks.store.list_films(9)[0]["refusal_reason"]


def test_a_stick_of_which_a_folder_cannot_be_listed_is_not_called_taken_in(sticks, plugged, place, caplog):
    """No path that long can be opened, as none on a stick with a bad sector; root may open any other."""
    stick = plugged("ward-a", 1)
    with contextlib.chdir(stick):
        for _ in range(20):
            Path("f" * 240).mkdir()
            os.chdir("f" * 240)
    for _ in range(3):
        sticks.look()
    assert "a folder cannot be listed" in caplog.text
    assert sticks.troubles == ["of the stick ward-a, a folder cannot be listed (File name too long)"]
    assert names(sticks) == ["ward-a/films/1.png"] and taken(place) == []
    shutil.rmtree(stick / ("f" * 240))
    sticks.look()
    assert taken(place) == ["ward-a"] and sticks.troubles == []


def test_a_stick_that_results_go_back_to_is_kept_until_they_are_written(tmp_path, plugged):
    settings = Settings(
        state=tmp_path / "state", sticks=tmp_path / "media", from_stick=True, write_to_stick=True, settle_seconds=0
    )
    sticks = Sticks(settings, Store(settings.state))
    stick = plugged("ward-a", 1)
    (settings.sticks / ".taken").mkdir()
    sticks.look()
    sticks.look()
    assert taken(settings.sticks) == []
    finish(sticks.store)
    sticks.look()
    assert (stick / RESULTS).exists() and taken(settings.sticks) == ["ward-a"]


def test_a_stick_that_was_not_mounted_is_listed_with_the_reason_each_time_it_is_plugged_in(sticks, place):
    note = place / "KINGSTON_12ab34.refused"
    note.write_text("the stick has NTFS; copy the films to another")
    sticks.look()
    sticks.look()
    [film] = sticks.store.list_films(9)
    assert (film["name"], film["state"]) == ("KINGSTON_12ab34/", "refused")
    assert (film["refusal_code"], film["refusal_reason"]) == ("unreadable", note.read_text())
    note.unlink()
    sticks.look()
    note.write_text("the stick has NTFS; copy the films to another")
    restarted = Sticks(sticks.settings, sticks.store)
    restarted.look()
    restarted.look()
    assert len(sticks.store.list_films(9)) == 2
