"""Films that come on memory sticks."""

from pathlib import Path

from virtual_pi import films
from virtual_pi.box import Box
from virtual_pi.lab import Lab, scenario
from virtual_pi.machine import wait_until
from virtual_pi.stick import Stick, make_exfat, make_ext4, make_fat, make_partitioned

PLACE = "/run/cxrbox/sticks"
MOUNTED = f"grep {PLACE}/ /proc/mounts"
MOUNT_OPTIONS = {"ro", "nosuid", "nodev", "noexec"}
# Slow enough that a stick can be pulled while it is read.
SLOW = 300_000


@scenario("films on a FAT32 stick arrive as results on the page, and the stick is let go")
def stick_fat32(lab: Lab, facts: dict) -> None:
    """Read a stick that was formatted as a whole."""
    wanted = films.some(3)
    _read_stick(lab.box, make_fat(lab.folder / "fat", wanted), wanted)
    facts["films"] = len(wanted)


@scenario("films on a partitioned stick arrive as results on the page, and the stick is let go")
def stick_partitioned(lab: Lab, facts: dict) -> None:
    """Read a stick as bought."""
    wanted = films.some(2)
    _read_stick(lab.box, make_partitioned(lab.folder / "partitioned", wanted), wanted)
    facts["films"] = len(wanted)


@scenario("films on an exFAT stick arrive as results on the page, and the stick is let go")
def stick_exfat(lab: Lab, facts: dict) -> None:
    """Read a stick as cameras and phones format it; the guest itself writes the films to it, past udev."""
    wanted, machine = films.some(2), lab.box.machine
    path = make_exfat(lab.folder / "exfat")
    # It is udev that would load the drivers.
    machine.root("modprobe -a usb-storage sd_mod exfat && udevadm control --stop-exec-queue")
    stick = Stick(machine, path)
    wait_until(lambda: machine.holds("test -b /dev/sda"), 60, "the stick is there")
    machine.root("mount -t exfat /dev/sda /mnt")
    for name, content in wanted.items():
        machine.root(f"cat > /mnt/{name}", stdin=content)
    machine.root("umount /mnt")
    stick.pull()
    wait_until(lambda: not machine.holds("test -b /dev/sda"), 60, "the stick is gone")
    machine.root("udevadm control --start-exec-queue && udevadm settle")
    _read_stick(lab.box, path, wanted)
    facts["films"] = len(wanted)


def _read_stick(box: Box, path: Path, wanted: dict[str, bytes]) -> None:
    stick = Stick(box.machine, path)
    shown = box.wait_for_films(wanted)
    assert {film["source"] for film in shown.values()} == {"stick"}
    wait_until(lambda: not box.machine.holds(MOUNTED), 120, "the stick is let go")
    stick.pull()
    box.assert_sound(wanted)


@scenario("a stick with a file system that is not on the list is not mounted, the page says why, and the box reads on")
def stick_of_another_kind(lab: Lab, facts: dict) -> None:
    """Plug in ext4, whose driver has the kernel parse much more than a film."""
    stick = Stick(lab.box.machine, make_ext4(lab.folder / "ext4", films.some(1, first=900)))
    machine = lab.box.machine
    wait_until(lambda: machine.holds("test -b /dev/sda"), 60, "the stick is there")
    refused = wait_until(lambda: [film for film in _listed(lab.box) if film["state"] == "refused"], 120, "it is listed")
    facts["the page says"] = refused[0]["refusal_reason"]
    wanted = films.some(1)
    lab.box.lay(wanted)
    lab.box.wait_for_films(wanted)
    assert not machine.holds(MOUNTED)
    assert lab.box.examine()["films"].keys() == films.hashes(wanted)
    stick.pull()


@scenario("a stick pulled in the middle of a film leaves nothing half-read, and goes on when it returns")
def stick_pulled(lab: Lab, facts: dict) -> None:
    """Pull a slow stick once its first film was taken in."""
    box, wanted = lab.box, films.real()
    path = make_fat(lab.folder / "pulled", wanted)
    stick = Stick(box.machine, path, SLOW)
    wait_until(lambda: _taken(box) >= 1, 300, "the first film is taken in")
    mount = box.machine.root(MOUNTED)
    missing = MOUNT_OPTIONS - set(mount.split()[3].split(","))
    assert not missing, f"the stick is mounted without {', '.join(sorted(missing))}"
    stick.pull()
    wait_until(lambda: not box.machine.holds(MOUNTED), 120, "nothing is mounted any more")
    taken = _taken(box)
    assert taken < len(wanted), "the stick was pulled too late; make it slower"
    stick = Stick(box.machine, path)
    box.wait_for_films(wanted)
    found = box.assert_sound(wanted)
    assert found["films"].keys() == films.hashes(wanted), "something came in that is on no stick"
    assert not found["half_copied"]
    stick.pull()
    facts["films before and after"] = f"{taken} and {len(wanted)}"


def _listed(box: Box) -> list[dict]:
    return box.json("/api/films")["films"]


def _taken(box: Box) -> int:
    return sum(box.health()["films"].values())
