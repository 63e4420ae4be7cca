"""The power is cut: whatever was acknowledged is there afterwards, once."""

import contextlib
import json
import logging
import random
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from virtual_pi import films
from virtual_pi.box import FINISHED, Box
from virtual_pi.host import run
from virtual_pi.lab import Lab, scenario
from virtual_pi.machine import wait_until
from virtual_pi.places import BIN, HERE
from virtual_pi.recorded import RecordedDisk, Replay, recover

log = logging.getLogger(__name__)
# From the moment the reader answers, in seconds: films are taken in, read, and shown meanwhile.
LONGEST_WAIT = 30.0
# Of which all writes are recorded.
RECORDED_FILMS = 6


class Acknowledged:
    """What the box has said it has, and what it has said of it.

    Attributes
    ----------
    films : dict of str to bytes
        Sent and answered.
    results : dict of str to dict
        {SHA-256: findings} of those the page has shown as read.
    """

    def __init__(self):
        self.films: dict[str, bytes] = {}
        self.results: dict[str, dict] = {}

    def note(self, box: Box) -> None:
        """Note what the page shows now."""
        for sha256, film in box.films().items():
            if film["state"] == "read":
                self.results[sha256] = film["reading"]["findings"]

    def assert_kept(self, box: Box) -> None:
        """Assert that the box still has all of it, as it was."""
        found = box.assert_sound(self.films)
        lost = [sha256 for sha256 in self.results if found["films"].get(sha256, [""])[0] != "read"]
        assert not lost, f"{len(lost)} results that the page had shown are lost"
        shown = box.films()
        for sha256, findings in self.results.items():
            if sha256 in shown:
                likelihoods = [of["likelihood"] for of in shown[sha256]["reading"]["findings"].values()]
                assert likelihoods == [of["likelihood"] for of in findings.values()], "a result is not what it was"


@scenario("the power is cut again and again while the box reads: nothing acknowledged is lost or doubled")
def power_cuts(lab: Lab, facts: dict) -> None:
    """End qemu by SIGKILL at random moments, each time on the disks as the last cut left them."""
    chance, acknowledged = random.Random(lab.options.seed), Acknowledged()
    drawn = films.phantoms(1000)
    facts["cuts survived"] = 0
    with lab.another("power") as box:
        box.machine.boot()
        for _ in range(lab.options.cuts):
            box.wait_until_up()
            _cut(box, acknowledged, drawn, chance)
            box.machine.boot()
            box.wait_until_up()
            acknowledged.assert_kept(box)
            facts["cuts survived"] += 1
            facts["films"] = len(acknowledged.films)
            log.info("%d cuts survived, %d films acknowledged", facts["cuts survived"], facts["films"])
        wait_until(lambda: _all_finished(box), 3600, "all films are read", pause=5)
        acknowledged.assert_kept(box)
        assert box.examine()["half_copied"] == 0
        assert len(acknowledged.films) >= lab.options.cuts, "hardly any film was acknowledged before its cut"
        facts["results shown before a cut"] = len(acknowledged.results)


def _cut(box: Box, acknowledged: Acknowledged, drawn: Iterator[bytes], chance: random.Random) -> None:
    """Send films and look at the page until the power is cut, at a random moment; what was answered is noted."""
    threading.Timer(chance.uniform(0, LONGEST_WAIT), box.machine.pull_plug).start()
    while box.machine.runs:
        content = next(drawn)
        # What is not answered any more may be lost: nobody was told that the box has it.
        with contextlib.suppress(OSError):
            answer = box.upload(content)
            assert all(one["film"] for one in answer["films"]), f"an upload was refused: {answer}"
            acknowledged.films[films.sha256(content)] = content
            acknowledged.note(box)
    box.machine.cut_power()


def _all_finished(box: Box) -> bool:
    states = box.health()["films"]
    return sum(states.values()) == sum(states[state] for state in FINISHED)


@scenario("power cuts at recorded moments, some of the unflushed writes lost: nothing acknowledged is lost")
def recorded_cuts(lab: Lab, facts: dict) -> None:
    """Record all writes to the data partition while films are read, and go back to many moments of it."""
    drawn, moments = films.phantoms(5000), {}
    with lab.another("recorded") as box:
        recorded = RecordedDisk(lab.folder, lab.disks["data"])
        box.machine.boot(data=recorded.drive)
        box.wait_until_up()
        sent = {}
        for number in range(RECORDED_FILMS):
            content = next(drawn)
            box.upload(content)
            sent[f"film{number}"] = content
            moments[films.sha256(content)] = recorded.position()
        box.wait_for_films(sent)
        results = recorded.position()
        box.machine.cut_power()
    chance = random.Random(lab.options.seed)
    replay = Replay(recorded, lab.folder, chance)
    first = min(moments.values())
    points = sorted(
        chance.sample(range(first, len(replay.entries)), min(lab.options.recorded, len(replay.entries) - first))
    )
    for point in [*points, len(replay.entries)]:
        state = recover(replay.cut_at(point), lab.folder / "recovered")
        acknowledged = {sha256 for sha256, moment in moments.items() if moment <= point}
        _assert_kept(state, acknowledged, read=point >= results)
    facts["moments"] = len(points) + 1
    facts["writes and flushes"] = len(replay.entries)


def _assert_kept(state: Path, acknowledged: set[str], read: bool) -> None:
    """Assert that a recovered state folder is sound and has what was acknowledged; that it was read, too, if so."""
    found = json.loads(run(sys.executable, HERE / "guest_examine.py", state))
    assert found["integrity"] == "ok", f"SQLite says: {found['integrity']}"
    assert not found["read_twice"] and not found["originals_damaged"], f"doubled or damaged: {found}"
    lost = acknowledged - found["films"].keys()
    assert not lost, f"{len(lost)} films are lost"
    if read:
        assert all(found["films"][sha256][0] == "read" for sha256 in acknowledged), "a result is lost"
    run(BIN / "cxrbox", "verify-log", "--json", "--state", state)
