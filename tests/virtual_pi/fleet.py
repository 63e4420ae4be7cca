"""A fleet that is updated: one box after the other, and none after the first that fails."""

import json
import re
import shutil
import sys
import tarfile
from pathlib import Path

from virtual_pi import films
from virtual_pi.box import Box
from virtual_pi.host import run
from virtual_pi.machine import Machine
from virtual_pi.places import ANSIBLE
from virtual_pi.provision import Play, Workstation
from virtual_pi.report import Report

# What a release brings, and which one is in force.
_IN_FORCE = "readlink /opt/cxrbox/current; find /etc/systemd/system -name 'cxrbox*' -type f | sort | xargs sha256sum"
_RELEASES = "ls /opt/cxrbox/releases"
# Of a patient, as a film's file may bear it.
NAME = "Mustermann-Erika"
# Seconds; a box that is well reads after five.
HEALTH_SECONDS = 30


def update_fleet(machines: dict[str, Machine], workstation: Workstation, report: Report) -> None:
    """Update boxes, by their names in the order of the inventory, to a release that does not start, and a good one."""
    with report.step(
        "update.yml: the first box goes back from a release that fails, and the others are left alone"
    ) as told:
        told["said"] = _fail(machines, workstation)
    with report.step("update.yml: every box goes to a newer release; again, nothing changes"):
        _go_on(machines, workstation)
    with report.step("update.yml: back at the release before, a unit that only the newer one had is gone"):
        _update(machines, workstation, workstation.offline).assert_done()
        assert not any("cxrbox-extra" in units for units in _all(machines, _IN_FORCE).values()), "it stayed"
        _assert_all_read(machines, first=520)
    with report.step("status.yml shows every box and the release it runs"):
        _show(machines, workstation)
    with report.step("diagnose.yml gathers what every box says, and no name") as told:
        told["files"] = _gather(machines, workstation)


def _fail(machines: dict[str, Machine], workstation: Workstation) -> str:
    """Update to a release whose reader does not start, and return what the play said."""
    before, built = _all(machines, _IN_FORCE), _all(machines, _RELEASES)
    play = _update(
        machines, workstation, _release(workstation, "broken", "[Service]\nExecStart=\nExecStart=/bin/false\n")
    )
    assert play.status, "a release whose reader does not start was taken for a good one"
    assert "was rolled back to" in play.sentence, f"the play says: {play.sentence}"
    assert _all(machines, _IN_FORCE) == before, "a box is not what it was"
    [_, *others] = machines
    after = _all(machines, _RELEASES)
    assert all(after[name] == built[name] for name in others), "the update did not stop at the first"
    _assert_all_read(machines, first=500)
    return play.sentence


def _go_on(machines: dict[str, Machine], workstation: Workstation) -> None:
    newer = _release(workstation, "newer", "# Another release.\n")
    _update(machines, workstation, newer).assert_done()
    assert all("cxrbox-extra" in units for units in _all(machines, _IN_FORCE).values()), "a new unit is missing"
    _assert_all_read(machines, first=510)
    again = _update(machines, workstation, newer)
    again.assert_done()
    assert not any(again.count("changed", name) for name in machines), f"the second update changed {again.changed}"


def _show(machines: dict[str, Machine], workstation: Workstation) -> None:
    table = workstation.play("status.yml", workstation.fleet(machines), stock=True).said
    for name, machine in machines.items():
        release = Path(machine.root("readlink /opt/cxrbox/current").strip()).name
        assert re.search(rf"^\s*{name}\s+{re.escape(release)}\s", table, re.MULTILINE), f"{name}: {table[-2000:]}"


def _gather(machines: dict[str, Machine], workstation: Workstation) -> int:
    """Gather the archives of all boxes, each of which read a film with a name; return how many files they hold."""
    folder = workstation.folder / "diagnoses"
    shutil.rmtree(folder, ignore_errors=True)
    [film] = films.some(1, first=530).values()
    for machine in machines.values():
        Box(machine).lay({f"{NAME}.png": film})
        [shown] = Box(machine).wait_for_films({NAME: film}).values()
        assert NAME in shown["name"], "the page does not show the name"
    workstation.play("diagnose.yml", workstation.fleet(machines), "-e", f"diagnose_folder={folder}").assert_done()
    files = 0
    for name in machines:
        [path] = folder.glob(f"{name}-*.tar.gz")
        with tarfile.open(path) as archive:
            said = {member.name: archive.extractfile(member).read() for member in archive if member.isfile()}
        assert not [member for member, content in said.items() if NAME.encode() in content], "a name is in the archive"
        assert json.loads(said["./health.json"])["bundle"], "the archive has no word of the page"
        assert b"cxrbox-reader" in said["./journal.txt"] and b"retention_days" in said["./settings.txt"]
        files += len(said)
    return files


def _update(machines: dict[str, Machine], workstation: Workstation, offline: Path) -> Play:
    inventory = workstation.fleet(machines, cxrbox_offline=str(offline), cxrbox_health_seconds=HEALTH_SECONDS)
    return workstation.play("update.yml", inventory, stock=True)


def _release(workstation: Workstation, name: str, lines: str) -> Path:
    """Return an offline folder like the workstation's, with more lines in the reader's unit and a unit of its own."""
    folder = workstation.folder / name
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(workstation.offline, folder)
    with (folder / "systemd/cxrbox-reader.service").open("a") as unit:
        unit.write(lines)
    (folder / "systemd/cxrbox-extra.service").write_text("[Service]\nExecStart=true\n")
    words = "import pathlib, sys; from folder import write_sums; write_sums(pathlib.Path(sys.argv[1]))"
    run(sys.executable, "-c", words, folder, cwd=ANSIBLE / "offline")
    return folder


def _all(machines: dict[str, Machine], command: str) -> dict[str, str]:
    return {name: machine.root(command) for name, machine in machines.items()}


def _assert_all_read(machines: dict[str, Machine], first: int) -> None:
    """Assert that every box reads a new film."""
    for machine in machines.values():
        box, wanted = Box(machine), films.some(1, first)
        box.wait_until_up()
        box.lay(wanted)
        box.wait_for_films(wanted)
        box.assert_sound(wanted)
