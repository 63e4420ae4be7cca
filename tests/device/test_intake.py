"""What is taken in from a folder, and what is listed instead."""

import errno
import os
import sqlite3
import subprocess
import sys
import time

import pytest
from cxrbox import taking
from cxrbox.intake import MOST_TOGETHER, Entry, Intake
from cxrbox.settings import Settings
from cxrbox.sources import run_intake
from cxrbox.store import Store
from cxrbox.taking import _copy_and_hash


@pytest.fixture
def intake(tmp_path):
    (tmp_path / "films").mkdir()
    store = Store(tmp_path / "state")
    yield Intake(tmp_path / "films", store, settle_seconds=0)
    store.close()


def names(intake) -> list[str]:
    return sorted(film["name"] for film in intake.store.list_films(100))


def test_a_film_is_copied_and_queued_once(intake, phantom_png):
    content = phantom_png(1, intake.folder).read_bytes()
    assert intake.look() == 1
    assert intake.look() == 0
    [film] = intake.store.list_films(10)
    assert film["state"] == "queued" and film["bytes"] == len(content)
    assert intake.store.original_path(film["sha256"]).read_bytes() == content
    assert list(intake.store.incoming.iterdir()) == []


def test_a_film_that_was_replaced_is_read_again(intake, phantom_png):
    phantom_png(1, intake.folder, "film.png")
    intake.look()
    phantom_png(2, intake.folder, "film.png")
    assert intake.look() == 1
    assert len({film["sha256"] for film in intake.store.list_films(10)}) == 2


def test_a_file_that_another_process_writes_waits_for_its_end(intake, phantom_png):
    path = phantom_png(1, intake.folder)
    writer = f"import sys; file = open({str(path)!r}, 'ab'); print('open', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", writer], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "open\n"
        assert intake.look() == 0
        process.stdin.close()
        process.wait()
    assert intake.look() == 1


def test_a_film_that_lay_there_before_is_not_watched_first(intake, phantom_png, monkeypatch):
    monkeypatch.setattr("cxrbox.intake.VOUCHED_SECONDS", 0.5)
    path = phantom_png(1, intake.folder)
    intake.settle_seconds = 60
    os.utime(path, (0, 0))  # as a copy that keeps the times of its source does, while it is young
    assert intake.look() == 0
    later = Intake(intake.folder, intake.store, settle_seconds=60)
    time.sleep(0.5)
    with path.open("ab"):
        assert later.look() == 0
    later = Intake(intake.folder, intake.store, settle_seconds=60)
    assert later.look() == 1


def test_a_film_that_the_kernel_says_nothing_of_is_watched(intake, phantom_png, monkeypatch):
    """As on a network drive, and where the film belongs to somebody else; root is told of every film."""

    def refuse_lease(*_):
        raise PermissionError(errno.EACCES, "no lease")

    monkeypatch.setattr("cxrbox.intake.fcntl.fcntl", refuse_lease)
    phantom_png(1, intake.folder)
    intake.settle_seconds = 0.3
    time.sleep(0.3)
    assert intake.look() == 0
    time.sleep(0.3)
    assert intake.look() == 1


def test_a_name_that_is_no_text_is_kept_as_text(intake, phantom_png):
    phantom_png(1, intake.folder).rename(intake.folder / os.fsdecode(b"f\xfcr Anna.png"))
    assert intake.look() == 1
    assert intake.look() == 0
    assert names(intake) == ["f\\xfcr Anna.png"]


def test_a_file_that_vanishes_before_it_is_opened_is_listed(intake):
    intake._take([Entry(intake.folder / "gone.png", "gone.png", "1:1:1", 10, 0.0, None)])
    [film] = intake.store.list_films(10)
    assert (film["name"], film["refusal_code"]) == ("gone.png", "vanished")


def test_what_is_no_film_is_listed_and_not_copied(intake):
    (intake.folder / "notes.txt").write_text("to do")
    intake.look()
    [film] = intake.store.list_films(10)
    assert film["refusal_code"] == "unknown_format" and film["sha256"] is None
    assert list(intake.store.originals.iterdir()) == []


def test_a_link_to_a_folder_is_listed_and_not_followed(intake, tmp_path, phantom_png):
    (tmp_path / "elsewhere").mkdir()
    phantom_png(1, tmp_path / "elsewhere")
    (intake.folder / "link").symlink_to(tmp_path / "elsewhere")
    intake.look()
    [film] = intake.store.list_films(10)
    assert (film["name"], film["refusal_code"]) == ("link", "not_a_file")


def test_a_folder_that_was_emptied_after_reading_is_not_listed(intake, phantom_png):
    (intake.folder / "monday").mkdir()
    path = phantom_png(1, intake.folder / "monday")
    intake.look()
    path.unlink()
    intake.look()
    assert names(intake) == ["monday/phantom-1.png"]


def test_what_was_half_copied_is_cleared_at_the_next_start(intake):
    for source in ("folder", "stick", "camera", "upload"):
        (intake.store.incoming / f"{source}-1").write_bytes(b"half a film")
    run_intake(Settings(films=intake.folder, state=intake.store.incoming.parent), lambda: True)
    # The page takes uploads in, and may be doing so now.
    assert [path.name for path in intake.store.incoming.iterdir()] == ["upload-1"]


def test_a_thousand_known_files_are_not_read_again(intake):
    for number in range(1000):
        (intake.folder / f"{number}.txt").write_text("no film")
    assert intake.look() == 1000
    assert intake.look() == 0
    assert len(intake.store.sightings()) == 1000


def test_a_medium_that_fails_leaves_the_films_waiting_and_is_logged_once(intake, phantom_png, monkeypatch, caplog):
    """An input/output error has no stand-in but the call itself: a pulled stick answers EIO to a read."""
    phantom_png(1, intake.folder)
    phantom_png(2, intake.folder)

    def fail(*_):
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr("cxrbox.taking._copy_and_hash", fail)
        assert intake.look() == 0
        assert intake.look() == 0
    assert names(intake) == [] and list(intake.store.incoming.iterdir()) == []
    assert caplog.messages == ["a file cannot be read or copied: Input/output error"]
    assert intake.troubles == ["a file cannot be read or copied (Input/output error)"]
    assert intake.look() == 2
    assert intake.troubles == []


def test_a_file_that_is_no_film_and_goes_on_changing_is_listed_once(intake):
    log = intake.folder / "log.txt"
    for line in range(5):
        log.write_text("x" * (line + 1))
        assert intake.look() == 1
    assert names(intake) == ["log.txt"] and len(list(intake.store.ledger())) == 1
    log.write_bytes(b"")
    assert intake.look() == 1
    assert {film["refusal_code"] for film in intake.store.list_films(9)} == {"unknown_format", "empty"}
    assert intake.look() == 0


def watch_disk(intake, monkeypatch) -> list[tuple[int, int]]:
    """Return where is noted, at every wait for the disk, how many films are copied and how many are kept by then."""
    waits, wait = [], taking.wait_for_disk

    def note(folder: int) -> None:
        kept = [path for path in intake.store.originals.rglob("*") if path.is_file()]
        waits.append((len(list(intake.store.incoming.iterdir())), len(kept)))
        wait(folder)

    monkeypatch.setattr(taking, "wait_for_disk", note)
    return waits


def test_films_that_come_together_wait_for_the_disk_together(intake, phantom_png, monkeypatch):
    """A memory card takes long for each wait; and what takes a place among the originals is safe before."""
    waits = watch_disk(intake, monkeypatch)
    paths = [phantom_png(seed, intake.folder) for seed in range(MOST_TOGETHER)]
    assert intake.look() == MOST_TOGETHER
    assert waits == [(MOST_TOGETHER, 0), (0, MOST_TOGETHER)]
    queued = [film["name"] for film in reversed(intake.store.list_films(100))]
    assert queued == sorted(path.name for path in paths)


def test_films_that_are_large_together_are_taken_one_after_the_other(intake, phantom_png, monkeypatch):
    monkeypatch.setattr("cxrbox.intake.BYTES_TOGETHER", 1)
    waits = watch_disk(intake, monkeypatch)
    for seed in range(3):
        phantom_png(seed, intake.folder)
    assert intake.look() == 3
    assert waits == [(1, 0), (0, 1), (1, 1), (0, 2), (1, 2), (0, 3)]


def test_a_disk_that_fails_at_the_last_moment_keeps_nothing_half_and_the_films_waiting(
    intake, phantom_png, monkeypatch, caplog
):
    """A disk that fails has no stand-in but the call itself."""
    for seed in range(2):
        phantom_png(seed, intake.folder)
    (intake.folder / "notes.txt").write_text("to do")

    def fail(_: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as broken:
        broken.setattr(taking, "wait_for_disk", fail)
        assert intake.look() == 1
    assert names(intake) == ["notes.txt"] and not list(intake.store.incoming.iterdir())
    assert caplog.messages == ["a file cannot be read or copied: Input/output error"]
    assert intake.look() == 2


def test_the_kernel_is_asked_to_write_all_that_waits(tmp_path):
    folder = os.open(tmp_path, os.O_RDONLY)
    taking.wait_for_disk(folder)
    os.close(folder)
    with pytest.raises(OSError, match="Bad file descriptor"):
        taking.wait_for_disk(folder)


def test_a_film_that_cannot_be_copied_keeps_none_beside_it_waiting(intake, phantom_png, monkeypatch):
    for seed in range(3):
        phantom_png(seed, intake.folder)
    (intake.folder / "notes.txt").write_text("to do")

    def fail_one(film, *where):
        if film.name.endswith("1.png"):
            raise OSError(errno.EIO, "Input/output error")
        return _copy_and_hash(film, *where)

    with monkeypatch.context() as broken:
        broken.setattr("cxrbox.taking._copy_and_hash", fail_one)
        assert intake.look() == 3
    assert names(intake) == ["notes.txt", "phantom-0.png", "phantom-2.png"]
    assert intake.look() == 1


def test_a_busy_database_is_waited_for(intake, phantom_png):
    phantom_png(1, intake.folder)
    holder = (
        "import sqlite3, sys, time; db = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "db.execute('BEGIN IMMEDIATE'); print('held', flush=True); time.sleep(1); db.execute('COMMIT'); db.close()"
    )
    database = intake.store.incoming.parent / "box.sqlite"
    with subprocess.Popen([sys.executable, "-c", holder, str(database)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        started = time.monotonic()
        assert intake.look() == 1
        assert time.monotonic() - started > 0.3
    with sqlite3.connect(database) as db:
        assert db.execute("SELECT count(*) FROM films").fetchone() == (1,)
    db.close()


def test_a_folder_that_is_not_there_is_logged_once_until_it_was_there(intake, tmp_path, caplog):
    moved = intake.folder.rename(tmp_path / "moved")
    for _ in range(3):
        assert intake.look() == 0
    moved.rename(intake.folder)
    intake.look()
    assert caplog.messages == ["a folder cannot be listed: No such file or directory"]
    intake.folder.rename(moved)
    intake.look()
    assert len(caplog.messages) == 2


def test_a_link_that_leads_to_itself_is_listed(intake):
    (intake.folder / "loop.png").symlink_to(intake.folder / "loop.png")
    assert intake.look() == 1
    assert [film["refusal_code"] for film in intake.store.all_films()] == ["broken_link"]
