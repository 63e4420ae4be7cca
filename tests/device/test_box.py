"""The whole box as a user meets it: a real process, a real folder, real HTTP."""

import contextlib
import io
import os
import random
import re
import shutil
import sqlite3
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import cv2
import numpy as np
import pydicom
from cxrbox.demo import copy_demo_films
from cxrbundle.labels import FINDINGS


def test_a_dicom_and_a_png_dropped_into_the_folder_are_read(box, phantom_png, tmp_path):
    dicom = next(path for path in copy_demo_films(tmp_path / "demo") if path.name == "RG1_UNCR.dcm")
    shutil.copy(dicom, box.films / "first")  # no extension
    phantom_png(1, box.films)
    for film in box.wait_for("first", "phantom-1.png"):
        assert film["state"] == "read"
        assert set(film["reading"]["findings"]) == set(FINDINGS)
        assert film["reading"]["bundle"] and film["reading"]["backend"].startswith("cpu ")
    assert dicom.read_bytes() == (box.films / "first").read_bytes()


def test_the_original_is_kept(box, phantom_png):
    content = phantom_png(2, box.films).read_bytes()
    [film] = box.wait_for("phantom-2.png")
    sha256 = film["sha256"]
    assert (box.state / "originals" / sha256[:2] / sha256).read_bytes() == content


def test_the_same_content_under_another_name_is_read_once(box, phantom_png):
    phantom_png(3, box.films, "a.png")
    [film] = box.wait_for("a.png")
    shutil.copy(box.films / "a.png", box.films / "b.png")
    page = f"/films/{film['id']}"
    box.wait_until(lambda: b"b.png" in box.get(page))
    assert len(box.list_films()) == 1


def test_nothing_is_imported_from_the_folder_the_box_was_started_in(tmp_path):
    """On the Pi that is the state folder, where the page may write."""
    for module in ("cv2", "random", "numpy"):
        (tmp_path / f"{module}.py").write_text("import pathlib; pathlib.Path('imported').touch(); raise ImportError")
    command = [Path(sys.executable).with_name("cxrbox"), "reader", "--config", "/dev/null"]
    with (tmp_path / "log").open("w") as log, subprocess.Popen(command, cwd=tmp_path, stderr=log) as process:
        deadline = time.monotonic() + 60
        while "reading with" not in (text := (tmp_path / "log").read_text()):
            assert time.monotonic() < deadline and process.poll() is None, text
            time.sleep(0.1)
        process.terminate()
    assert not (tmp_path / "imported").exists()


def test_a_folder_that_cannot_be_listed_is_told_on_the_page_until_it_can(box, phantom_png):
    # No path that long can be opened; root may open any other.
    with contextlib.chdir(box.films):
        for _ in range(20):
            Path("f" * 240).mkdir()
            os.chdir("f" * 240)
    box.wait_until(lambda: b"a folder cannot be listed (File name too long)" in box.get("/"))
    phantom_png(1, box.films)
    assert box.wait_for("phantom-1.png")[0]["state"] == "read"
    shutil.rmtree(box.films / ("f" * 240))
    box.wait_until(lambda: b"cannot be listed" not in box.get("/"))


def test_a_film_that_is_still_being_written_is_left_alone(box, phantom_png, tmp_path):
    content = phantom_png(4, tmp_path).read_bytes()
    with (box.films / "slow.png").open("wb") as film:
        film.write(content[:1000])
        film.flush()
        time.sleep(2.5)  # longer than the time a file needs to settle
        assert box.list_films() == []
        film.write(content[1000:])
    assert box.wait_for("slow.png")[0]["state"] == "read"


def test_sub_folders_are_read_and_hidden_names_are_not(box, phantom_png):
    (box.films / "monday" / "ward 1").mkdir(parents=True)
    phantom_png(5, box.films / "monday" / "ward 1")
    phantom_png(6, box.films, ".hidden.png")
    box.wait_for("monday/ward 1/phantom-5.png")
    time.sleep(1.5)
    assert [film["name"] for film in box.list_films()] == ["monday/ward 1/phantom-5.png"]


def test_what_cannot_be_read_is_listed_with_its_reason_and_the_box_goes_on(box, phantom_png, tmp_path):
    whole = phantom_png(7, tmp_path).read_bytes()
    (box.films / "truncated.png").write_bytes(whole[: len(whole) // 2])
    (box.films / "nothing.png").touch()
    (box.films / "letter.png").write_text("dear colleague")
    (box.films / "gone.png").symlink_to(tmp_path / "nowhere.png")
    (box.films / "empty folder").mkdir()
    os.mkfifo(box.films / "pipe.png")
    with (box.films / "huge.png").open("wb") as film:
        film.truncate(2 << 30)
    codes = {
        "truncated.png": "damaged",
        "nothing.png": "empty",
        "letter.png": "unknown_format",
        "gone.png": "broken_link",
        "empty folder": "folder_empty",
        "pipe.png": "not_a_file",
        "huge.png": "file_too_large",
    }
    refused = box.wait_for(*codes)
    assert {film["name"]: film["refusal_code"] for film in refused} == codes
    assert all(film["refusal_reason"] for film in refused)
    phantom_png(8, box.films)
    assert box.wait_for("phantom-8.png")[0]["state"] == "read"


def png_bomb(path, side: int) -> None:
    """Write a valid PNG of side x side black pixels in a thousandth of their bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer, row = zlib.compressobj(1), bytes(side + 1)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b""))


def test_hostile_films_are_refused_in_bounded_memory(box, phantom_png, tmp_path):
    png_bomb(box.films / "bomb.png", 30_000)
    film = cv2.imread(str(phantom_png(15, tmp_path)), cv2.IMREAD_GRAYSCALE)
    jpeg = cv2.imencode(".jpg", film)[1].tobytes()
    (box.films / "truncated.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    dicom = pydicom.dcmread(copy_demo_films(tmp_path / "demo")[0])
    dicom.Modality = "CT"
    dicom.save_as(box.films / "slice.dcm")
    dicom.Modality, dicom.BodyPartExamined = "CR", "HAND"
    dicom.save_as(box.films / "hand.dcm")
    dicom.BodyPartExamined = "CHEST"
    del dicom.PixelData
    dicom.save_as(box.films / "pixels.dcm")
    codes = {
        "bomb.png": "too_many_pixels",
        "truncated.jpg": "damaged",
        "slice.dcm": "wrong_modality",
        "hand.dcm": "wrong_body_part",
        "pixels.dcm": "no_pixels",
    }
    assert {film["name"]: film["refusal_code"] for film in box.wait_for(*codes)} == codes
    shutil.copy(tmp_path / "phantom-15.png", box.films)
    assert box.wait_for("phantom-15.png")[0]["state"] == "read"
    [reader] = subprocess.run(["pgrep", "-f", f"cxrbox reader .*{box.state}"], capture_output=True).stdout.split()
    peak = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{int(reader)}/status").read_text())
    assert int(peak[1]) < 400_000


def test_maps_differ_between_findings(box, phantom_png):
    phantom_png(9, box.films)
    [film] = box.wait_for("phantom-9.png")
    with sqlite3.connect(box.state / "box.sqlite") as db:
        (blob,) = db.execute("SELECT maps FROM results WHERE film_id = ?", (film["id"],)).fetchone()
    maps = np.load(io.BytesIO(blob))
    peaks = {int(one.argmax()) for one in maps}
    assert maps.shape[0] == 14 and len(peaks) > 1
    heats = {box.get(f"/films/{film['id']}/heat/{finding}.png") for finding in FINDINGS}
    assert len(heats) > 1


def test_killed_twenty_times_in_mid_queue_it_loses_and_doubles_nothing(idle_box, phantom_png):
    box = idle_box
    names = [phantom_png(seed, box.films).name for seed in range(100, 160)]
    chance = random.Random(20)
    for _ in range(20):
        box.start("--settle-seconds", "0.05", "--look-seconds", "0.05")
        time.sleep(chance.uniform(0.3, 2.0))
        assert box.process.poll() is None, box.log
        box.kill()
        names.append(phantom_png(1000 + len(names), box.films).name)
    box.start()
    assert {film["state"] for film in box.wait_for(*names, seconds=120)} == {"read"}
    assert box.stop() == 0
    with sqlite3.connect(box.state / "box.sqlite") as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT count(*), count(DISTINCT sha256) FROM films").fetchone() == (len(names),) * 2
        assert db.execute("SELECT count(*) FROM results").fetchone() == (len(names),)
        assert db.execute("SELECT sum(crashes) FROM films").fetchone() == (0,)


def test_a_folder_that_is_not_there_is_said_so_and_read_when_it_comes(box, phantom_png, tmp_path):
    shutil.move(box.films, tmp_path / "pulled")
    assert b"is not there" in box.get("/")
    phantom_png(14, tmp_path / "pulled")
    shutil.move(tmp_path / "pulled", box.films)
    assert box.wait_for("phantom-14.png")[0]["state"] == "read"
    assert b"is not there" not in box.get("/")


def test_a_reader_that_dies_is_started_again(box, phantom_png):
    box.wait_until(lambda: "reading with" in box.log)
    subprocess.run(["pkill", "-9", "-f", f"cxrbox reader .*{box.state}"], check=True)
    phantom_png(10, box.films)
    assert box.wait_for("phantom-10.png")[0]["state"] == "read"
    assert "the reader ended with status -9" in box.log


def test_a_film_that_takes_too_long_is_given_up_and_the_next_is_read(idle_box, phantom_png):
    noise = np.random.default_rng(0).integers(0, 256, (7000, 7000), np.uint8)
    cv2.imwrite(str(idle_box.films / "a long one.png"), noise, [cv2.IMWRITE_PNG_COMPRESSION, 1])
    idle_box.start("--film-seconds", "0.15")
    [film] = idle_box.wait_for("a long one.png")
    assert film["refusal_code"] == "took_too_long"
    assert "longer than 0.15 s" in film["refusal_reason"]
    assert idle_box.stop() == 0
    phantom_png(13, idle_box.films)
    idle_box.start()
    assert idle_box.wait_for("phantom-13.png")[0]["state"] == "read"


def test_a_second_box_on_the_same_state_is_refused(box, cxrbox):
    second = cxrbox("run", "--films", box.films, "--state", box.state, "--port", "1")
    assert second.returncode == 2
    assert "another box works with the state folder" in second.stderr


def test_a_port_in_use_ends_the_box_with_one_sentence(box, cxrbox, tmp_path):
    second = cxrbox("run", "--films", tmp_path / "f", "--state", tmp_path / "s", "--port", box.port)
    assert second.returncode == 2
    assert "choose others with --host and --port" in second.stderr


def test_stopping_leaves_no_process_behind(box):
    assert box.stop() == 0
    assert subprocess.run(["pgrep", "-f", f"cxrbox .*{box.state}"], check=False).returncode == 1


def test_the_log_names_no_film(box, phantom_png):
    phantom_png(11, box.films, "Doe Jane 1970.png")
    box.wait_for("Doe Jane 1970.png")
    assert "Doe" not in box.log


def test_the_shipped_bundle_takes_no_memory_for_signatures():
    code = """
import sys
from cxrbox import reader, web
from cxrbox.settings import Settings
from cxrbox.trust import open_package
assert open_package(Settings())[1] == "shipped"
assert "cryptography" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_box_imports_neither_torch_nor_tensorflow(bundle_folder, phantom_png):
    """The command reads a film in a process of its own, which then says what it has imported."""
    code = f"""
import sys
from cxrbox import intake, reader, supervise, web
from cxrbox.__main__ import main
sys.argv = ["cxrbox", "read", {str(phantom_png(12))!r}]
try:
    main()
except SystemExit as end:
    assert end.code == 0
heavy = {{"torch", "torchvision", "timm", "tensorflow", "onnx", "cxrtrain", "cxrconvert"}} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True)
