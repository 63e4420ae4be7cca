"""The first steps: boot a fresh system, provision it, provision it again, and switch it off in order."""

import shutil
from argparse import Namespace
from pathlib import Path

from virtual_pi.box import Box
from virtual_pi.image import Image
from virtual_pi.machine import Machine
from virtual_pi.packets import count_from_now_on
from virtual_pi.places import WORK
from virtual_pi.provision import Workstation
from virtual_pi.report import Report

FOLDER = WORK / "provisioned"
DISKS = ("root", "data")


def provision(image: Image, workstation: Workstation, report: Report, options: Namespace) -> dict[str, Path] | None:
    """Return the disks of a box that the playbook made and that is switched off; None where a step failed."""
    done = FOLDER / "done"
    disks = {name: FOLDER / f"{name}.qcow2" for name in DISKS}
    with report.step("the offline folder is built, with the site's own key"):
        workstation.prepare()
    if not report.all_well:
        return None
    if options.keep and done.exists() and done.read_text() == image.folder.name:
        return disks
    shutil.rmtree(FOLDER, ignore_errors=True)
    machine = Machine(image, FOLDER, {"root": image.disk, "data": image.data})
    try:
        make_a_box(machine, workstation, report, options.stock)
    finally:
        machine.stop()
    if not report.all_well:
        return None
    done.write_text(image.folder.name)
    return disks


def make_a_box(machine: Machine, workstation: Workstation, report: Report, stock: bool) -> None:
    """Let the playbook make a box of a fresh machine, twice, and switch it off; a step that fails ends it."""
    with report.step("the fresh system boots and lets pi in"):
        machine.boot()
    if not report.all_well:
        return
    inventory = workstation.inventory(machine)
    with report.step("site.yml --check works on a fresh host"):
        workstation.play("site.yml", inventory, "--check", stock=stock).assert_done()
    with report.step("site.yml makes a box of it") as facts:
        play = workstation.play("site.yml", inventory, stock=stock)
        play.assert_done()
        facts["changed"] = play.count("changed")
        Box(machine).wait_until_up()
    if not report.all_well:
        return
    with report.step("site.yml run again changes nothing") as facts:
        play = workstation.play("site.yml", inventory, stock=stock)
        play.assert_done()
        facts["changed"] = play.count("changed")
        assert not facts["changed"], f"the second run changed {facts['changed']} things: {play.changed}"
    with report.step("no unit failed, and the box is switched off in order"):
        failed = machine.root("systemctl --failed --no-legend --plain")
        assert not failed, f"failed units: {failed}"
        count_from_now_on(machine)
        machine.power_off()
