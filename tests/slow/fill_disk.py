"""Fill the disk of a real box while it works, at every step of a film's way in, and free it again.

    python tests/slow/fill_disk.py > disk.json                  (as root: the state folder lies on a small tmpfs)

Each trial leaves a little more room than the one before, so that the first write that fails is another one each time:
the copy's first byte, its middle, the queue, the result and the ledger, the picture. Then the disk is freed and nobody
touches the box: every film must be read once, and the page must have said meanwhile that the disk is full. A last
trial fills the disk, kills every process and lets the box start on the full disk. Progress goes to stderr, the result
as JSON to stdout; exit status 1 where a film was lost or the box did not recover.
"""

import argparse
import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
from cxrbundle.phantom import draw_phantom
from live_box import SERVICES, WHOLE, LiveBox, environment, finished, note, upload_until_answered, wait_until

DISK_MB = 48
# KiB left free beside what the film itself takes, one trial each: the queue, the result with the ledger and the
# picture take some tens each, in pages of 4.
BESIDE = (-1000, -100, -8, *range(0, 160, 8))
# What a person would take to notice; the box tries again and again meanwhile.
FULL_SECONDS = 4.0
# The box looks again every 5 s; its parts may have to start anew.
RECOVERY_SECONDS = 60.0


@contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """Mount a small disk, and take it away afterwards."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", folder], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path, room: int) -> Path:
    """Fill a disk but for some KiB; return the file that does."""
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file:
        left = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - (room << 10)
        try:
            os.posix_fallocate(file.fileno(), 0, max(1, left))
        except OSError as err:
            if err.errno != errno.ENOSPC:
                raise
    return filler


def draw_film(seed: int) -> bytes:
    """Return a drawn film as PNG."""
    return cv2.imencode(".png", draw_phantom(seed))[1].tobytes()


def where_it_stopped(box: LiveBox, size: int) -> str:
    """Return how far the film that met the full disk had come."""
    rows = box.query("SELECT state, films.sha256 FROM films WHERE bytes = ? ORDER BY id DESC LIMIT 1", size)
    if not rows:
        return "not queued"
    state, sha256 = rows[0]
    if state != "read":
        return state
    return "read" if (box.state / "pictures" / f"{sha256}.jpg").exists() else "read, no picture"


def ask(box: LiveBox, path: str) -> str:
    """Return what the page answers, or the error."""
    try:
        return box.get(path).decode()
    except OSError as err:
        return f"error: {err}"


def try_once(folder: Path, commands: tuple[str, ...], beside: int, restart: bool = False) -> dict:
    """Run a box, fill its disk, let two films come, free the disk; return what happened."""
    with small_disk(folder / "disk") as disk:
        box = LiveBox(folder, commands)
        box.state = disk / "state"
        first, second, third = draw_film(1), draw_film(2), draw_film(3)
        room = max(0, len(second) // 1024 + beside)
        (box.films / "before").write_bytes(first)
        box.start()
        try:
            started = wait_until(lambda: finished(box) == 1, 60, box)
            time.sleep(0.3)
            filler = fill(disk, room)
            if restart:
                for pid in box.processes():
                    os.kill(pid, signal.SIGKILL)
            (box.films / "while full").write_bytes(second)
            wait_until(lambda: False, FULL_SECONDS, box)
            shown = {"notices": ask(box, "/notices"), "page": ask(box, "/"), "upload": try_upload(box, third)}
            stopped = where_it_stopped(box, len(second))
            filler.unlink()
            freed = time.monotonic()
            upload_until_answered(box, third)
            recovered = wait_until(lambda: finished(box) == 3 and has_pictures(box), RECOVERY_SECONDS, box)
            seconds = time.monotonic() - freed
        finally:
            statuses = box.stop()
        return {
            "KiB left": room,
            "of them beside the film": beside,
            "started": started,
            "stopped at": stopped,
            "said so": "disk is full" in shown["notices"] and "disk is full" in shown["page"],
            "upload": shown["upload"],
            "recovered": recovered,
            "seconds": round(seconds, 1),
            "ended": box.ended,
            "exit": list(statuses.values()),
            **examine(box),
        } | ({} if "disk is full" in shown["notices"] else {"page": shown["page"][:200]})


def try_upload(box: LiveBox, film: bytes) -> str:
    """Send a film to the page of a box whose disk is full; return what became of it."""
    try:
        box.upload(film)
    except OSError as err:
        return str(err)
    return "taken"


def has_pictures(box: LiveBox) -> bool:
    """Return whether every film that was read has its picture."""
    read = box.query("SELECT sha256 FROM films WHERE state = 'read'")
    return all((box.state / "pictures" / f"{sha256}.jpg").exists() for (sha256,) in read)


def examine(box: LiveBox) -> dict:
    """Return whether what is kept is whole."""
    [[integrity]] = box.query("PRAGMA integrity_check")
    results = box.query("SELECT count(*), count(DISTINCT film_id) FROM ledger WHERE kind IN ('result', 'refusal')")
    verified = subprocess.run(
        [sys.executable, "-m", "cxrbox", "verify-log", "--state", str(box.state)], capture_output=True
    )
    return {
        "read or refused": finished(box),
        "results entered": results[0][0],
        "films with a result": results[0][1],
        "sqlite": integrity,
        "ledger sound": verified.returncode == 0,
        "left half copied": len(list((box.state / "incoming").iterdir())),
        "half drawn": len(list((box.state / "pictures").glob("*.part"))),
    }


def is_sound(trial: dict) -> bool:
    """Return whether a trial ended as it should."""
    whole = trial["sqlite"] == "ok" and trial["ledger sound"] and not trial["left half copied"]
    once = trial["read or refused"] == trial["results entered"] == trial["films with a result"] == 3
    return trial["recovered"] and trial["said so"] and whole and once


def main() -> None:
    """Prove and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--as", dest="commands", choices=("services", "run"), default="run")
    parser.add_argument("--beside", type=int, nargs="*", default=BESIDE, help="KiB left free beside the film")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if os.geteuid():
        print(json.dumps({"skipped": "a small disk can only be mounted as root"}))
        return
    commands = {"services": SERVICES, "run": WHOLE}[options.commands]
    trials = []
    for beside, restart in [*((beside, False) for beside in options.beside), (-1000, True)]:
        with tempfile.TemporaryDirectory() as folder:
            trials.append({"restart": restart} | try_once(Path(folder), commands, beside, restart))
        note(json.dumps(trials[-1]))
    sound = sum(map(is_sound, trials))
    print(json.dumps(environment() | {"trials": len(trials), "sound": sound, "each": trials}, indent=2))
    sys.exit(0 if sound == len(trials) else 1)


if __name__ == "__main__":
    main()
