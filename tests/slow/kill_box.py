"""Kill the processes of a real box at random, again and again, while it works: no film is lost or read twice.

    python tests/slow/kill_box.py --kills 1000 [--as run] [--tpu stand-in] > kills.json

Every victim dies by SIGKILL at a random moment of whatever it does then, starting included, and is started again as
systemd would. Films come meanwhile: into the folder, by upload (sent again until the page has answered) and as copies
of known films under other names. Progress goes to stderr, the result as JSON to stdout; exit status 1 where anything
was lost.
"""

import argparse
import hashlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import cv2
from cxrbox.demo import copy_demo_films
from cxrbundle.phantom import draw_phantom
from live_box import (
    SERVICES,
    WHOLE,
    LiveBox,
    environment,
    finished,
    note,
    start_time,
    upload_until_answered,
    wait_until,
)

SHARED_FILMS = Path(__file__).resolve().parents[3] / "shared" / "cxr" / "dicom"
KINDS = (".png", ".jpg", ".tif", ".bmp")
# Of ten films that come, so many are uploaded and so many are copies of a known film.
UPLOADS, COPIES = 3, 1
# Films that wait before the first kill, so that the reader always has something in hand.
WAITING = 40
# Readers are killed in whatever they do; this share of them as soon as one has a film in hand.
MID_FILM = 0.5
BURST, FILM_SECONDS = 3, 1.5
DRAIN_SECONDS = 300
# What of `examine` must be 0.
FLAWS = (
    "lost",
    "unknown",
    "doubled",
    "given up though its reader died on it once at most",
    "originals missing or altered",
    "pictures missing",
    "left half copied",
)


class Films:
    """The films that come to a box, and what it must know in the end.

    Attributes
    ----------
    sent : dict of str to bool
        {SHA-256: whether it came in}, of every content; a copy adds none.
    """

    def __init__(self, box: LiveBox, folder: Path, chance: random.Random):
        self.box, self.chance = box, chance
        self._content = draw_films(folder, chance)
        self._known: list[bytes] = []
        self._numbers = itertools.count()
        self._uploads = ThreadPoolExecutor(1)
        self._running: list = []
        self.sent: set[str] = set()

    def send(self) -> None:
        """Let one film come."""
        dice = self.chance.randrange(10)
        content = self.chance.choice(self._known) if dice < COPIES and self._known else next(self._content)
        self._known.append(content)
        self.sent.add(hashlib.sha256(content).hexdigest())
        if dice >= 10 - UPLOADS:
            self._running.append(self._uploads.submit(upload_until_answered, self.box, content))
        else:
            (self.box.films / f"film {next(self._numbers)}").write_bytes(content)

    def finish(self) -> int:
        """Wait until all uploads were answered; return how many times they were sent."""
        self._uploads.shutdown()
        return sum(one.result() for one in self._running)


def draw_films(folder: Path, chance: random.Random) -> Iterator[bytes]:
    """Yield films without end: first the real DICOM films there are, then drawn ones of 256 to 512 pixels."""
    for path in [*copy_demo_films(folder), *sorted(SHARED_FILMS.glob("*.dcm"))]:
        yield path.read_bytes()
    for seed in itertools.count(1):
        side = chance.randrange(256, 513)
        film = cv2.resize(draw_phantom(seed), (side, side), interpolation=cv2.INTER_AREA)
        yield cv2.imencode(KINDS[seed % len(KINDS)], film)[1].tobytes()


def kill_at_random(box: LiveBox, films: Films, kills: int, pause: float, chance: random.Random) -> tuple:
    """Kill processes of a box.

    Returns
    -------
    killed : Counter
        How often each part was killed, and how often in mid-work.
    deaths : Counter
        How often a reader was killed that had a film in hand, by the SHA-256 of the film.
    """
    killed, deaths = Counter(), Counter()
    started = time.monotonic()
    while killed["all"] < kills:
        films.send()
        time.sleep(chance.uniform(0, 2 * pause))
        box.revive()
        running = box.processes()
        if not running:  # all of it was just started again
            continue
        part = chance.choice(sorted(set(running.values())))
        victim = chance.choice([pid for pid, name in running.items() if name == part])
        if part.startswith("reader") and chance.random() < MID_FILM:
            wait_for_film(box, films)
        try:
            killed.update(kill(box, victim, part, deaths))
        except ProcessLookupError:  # its parent was killed just before, and took it along
            continue
        if killed["all"] % 25 == 0:
            note(f"{killed['all']} kills in {time.monotonic() - started:.0f} s; films {box.states()}")
    return killed, deaths


def wait_for_film(box: LiveBox, films: Films) -> None:
    """Let some films come and wait until one is being read, or not much longer than that takes."""
    for _ in range(BURST):
        films.send()
    deadline = time.monotonic() + FILM_SECONDS
    while not box.states().get("reading") and time.monotonic() < deadline:
        pass


def kill(box: LiveBox, victim: int, part: str, deaths: Counter) -> list[str]:
    """Kill one process; return what is to be counted."""
    # It stands still while it is asked what it has in hand.
    os.kill(victim, signal.SIGSTOP)
    film = film_in_hand(box, victim) if part == "reader" else ""
    copy = part in ("intake", "web") and any((box.state / "incoming").glob("*"))
    os.kill(victim, signal.SIGKILL)
    deaths.update([film] if film else [])
    return ["all", part] + (["reader with a film in hand"] if film else []) + ([f"{part} in mid-copy"] if copy else [])


def film_in_hand(box: LiveBox, reader: int) -> str:
    """Return the SHA-256 of the film that this very process took last; those before it only wait to be filed."""
    began = datetime.fromtimestamp(start_time(reader), UTC).isoformat(timespec="milliseconds")
    found = box.query(
        "SELECT sha256 FROM films WHERE state = 'reading' AND started_at > ? ORDER BY changed DESC", began
    )
    return found[0][0] if found else ""


def examine(box: LiveBox, sent: set[str], deaths: Counter) -> dict:
    """Return what became of the films, after the box was stopped."""
    films = {row[0]: row for row in box.query("SELECT sha256, id, state, refusal_code, crashes FROM films")}
    outcomes = box.query(
        "SELECT film_id, count(*) FROM ledger WHERE kind IN ('result', 'refusal') GROUP BY film_id HAVING count(*) > 1"
    )
    given_up = [sha256 for sha256, row in films.items() if row[3] == "reader_crashed"]
    read = [sha256 for sha256, row in films.items() if row[2] == "read"]
    [[results]] = box.query("SELECT count(*) FROM results")
    [[integrity]] = box.query("PRAGMA integrity_check")
    verified = subprocess.run(
        [sys.executable, "-m", "cxrbox", "verify-log", "--state", str(box.state)], capture_output=True, text=True
    )
    return {
        "films": len(sent),
        "read": len(read),
        "refused": dict(Counter(row[3] for row in films.values() if row[2] == "refused")),
        "lost": len([sha256 for sha256 in sent if films.get(sha256, [None] * 5)[2] not in ("read", "refused")]),
        "unknown": len(set(films) - sent),
        "doubled": len(outcomes) + abs(results - len(read)),
        "given up after two kills with it in hand": len([one for one in given_up if deaths[one] >= 2]),
        "given up though its reader died on it once at most": len([one for one in given_up if deaths[one] < 2]),
        "originals missing or altered": len([one for one in films if not original_is_whole(box, one)]),
        "pictures missing": pictures_missing(box),
        "left half copied": len(list((box.state / "incoming").iterdir())),
        "sqlite": integrity,
        "verify-log": (verified.stdout + verified.stderr).strip(),
        "ledger sound": verified.returncode == 0,
    }


def pictures_missing(box: LiveBox) -> int:
    """Return how many films were read whose picture is not drawn."""
    read = box.query("SELECT sha256 FROM films WHERE state = 'read'")
    return len([sha256 for (sha256,) in read if not (box.state / "pictures" / f"{sha256}.jpg").exists()])


def original_is_whole(box: LiveBox, sha256: str) -> bool:
    """Return whether an original is there, byte for byte."""
    path = box.state / "originals" / sha256[:2] / sha256
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


def is_sound(found: dict) -> bool:
    """Return whether nothing was lost, doubled, damaged, or given up without cause."""
    return found["sqlite"] == "ok" and found["ledger sound"] and not any(found[flaw] for flaw in FLAWS)


def prove(folder: Path, options: argparse.Namespace) -> dict:
    """Run a box, kill its processes, and return what was found."""
    chance = random.Random(options.seed)
    extra = ("--tpu", options.tpu)
    box = LiveBox(folder, {"services": SERVICES, "run": WHOLE}[options.commands], extra)
    films = Films(box, folder / "demo", chance)
    for _ in range(WAITING):
        films.send()
    started = time.monotonic()
    box.start()
    try:
        killed, deaths = kill_at_random(box, films, options.kills, options.pause, chance)
        seconds = time.monotonic() - started
        note("no more kills; the rest of the queue is read")
        # Pictures are drawn once no film waits.
        drained = wait_until(lambda: finished(box) >= len(films.sent) and not pictures_missing(box), DRAIN_SECONDS, box)
        sendings = films.finish()
    finally:
        statuses = box.stop()
    found = examine(box, films.sent, deaths)
    return {
        "kills": dict(killed),
        "seconds": round(seconds),
        "to the last film": round(time.monotonic() - started),
        "drained": drained,
        "uploads sent": sendings,
        "ended without being killed": dict(Counter(box.ended)),
        "exit status at the end": statuses,
        **found,
        "sound": drained and is_sound(found),
    }


def main() -> None:
    """Prove and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--pause", type=float, default=0.8, help="mean time between two kills, in seconds")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--as", dest="commands", choices=("services", "run"), default="services")
    parser.add_argument("--tpu", default="auto", help="as of `cxrbox`; stand-in adds the process of the device")
    parser.add_argument("--keep", type=Path, help="folder to work in, kept afterwards")
    options = parser.parse_args()
    # So that whoever ends this ends the box as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    told = environment()
    if options.keep:
        options.keep.mkdir(parents=True)
        result = prove(options.keep, options)
    else:
        with tempfile.TemporaryDirectory() as folder:
            result = prove(Path(folder), options)
    print(json.dumps(told | result, indent=2))
    sys.exit(0 if result["sound"] else 1)


if __name__ == "__main__":
    main()
