"""One memory stick, from plugging in to pulling out: `stick.py DEVICE`, as cxrbox-stick@DEVICE.service runs it.

It looks what file system the stick has, has systemd mount it, waits until the intake has taken in all of it, and has it
unmounted. A stick that is not mounted is said to the intake, which lists it with the reason on the page; how they tell
each other is written in `device/cxrbox/sticks.py`. The journal gets no name of a stick.
"""

import hashlib
import re
import signal
import subprocess
import sys
import time
import tomllib
from contextlib import suppress
from pathlib import Path

PLACE = Path("/run/cxrbox/sticks")
CONFIG = Path("/etc/cxrbox/box.toml")
BLOCK = Path("/sys/class/block")
# Those that carry no rights and no programs, and that every camera, scanner and computer writes; with their options.
ALLOWED = {"vfat": "utf8=1", "exfat": "iocharset=utf8"}
FOUND = {"ntfs": "NTFS", "iso9660": "that of a CD", "crypto_LUKS": "an encrypted one", "BitLocker": "an encrypted one"}
FORMAT = "copy the films to a stick that is formatted as FAT32 or exFAT"
# A stick of 256 GB at 40 MB/s.
MOST_SECONDS = 2 * 3600
LOOK_SECONDS, PARTITIONS_SECONDS = 0.5, 2.0


class StickRefusedError(Exception):
    """A stick that is not read, with the sentence for the person who plugged it in."""


def main(device: str) -> None:
    """Serve one stick until it is pulled, which systemd says by SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    settings = tomllib.loads(CONFIG.read_text("utf-8"))
    if not settings.get("from_stick", False):
        print("memory sticks are not read: from_stick is off")
    elif is_own_disk(device):
        print("this disk is in use by the system itself, so it is no memory stick")
    elif is_divided(device):
        print("each partition of this disk is looked at by itself")
    else:
        serve(device, bool(settings.get("write_to_stick", False)))


def serve(device: str, writable: bool) -> None:
    """Mount a stick, wait until it is taken in, and unmount it; say so where it is refused."""
    facts = probe(device)
    name = choose_name(device, facts)
    refused, taken = PLACE / f"{name}.refused", PLACE / ".taken" / name
    unmount(name)
    for note in (refused, taken):
        note.unlink(missing_ok=True)
    try:
        mount(device, name, facts, writable)
        print("the stick is mounted")
        if not any((PLACE / name).iterdir()):
            raise StickRefusedError("the stick is empty; copy the films to it and plug it in again")
        wait_until_taken(device, taken)
        unmount(name)
        print("all of the stick was taken in; it may be pulled")
        wait_until_pulled(device)
    except StickRefusedError as refusal:
        print(f"the stick is refused: {refusal}")
        unmount(name)
        refused.write_text(str(refusal), "utf-8")
        wait_until_pulled(device)
    finally:
        unmount(name)
        for note in (refused, taken):
            note.unlink(missing_ok=True)


def is_own_disk(device: str) -> bool:
    """Return whether the system has mounted anything of the disk, that it started from say; sticks are not counted."""
    disk = disk_of(BLOCK / device)
    mounts = [line.split(" ") for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines()]
    elsewhere = [number for _, _, number, _, where, *_ in mounts if not Path(where).is_relative_to(PLACE)]
    return any(disk_of(Path("/sys/dev/block") / number) == disk for number in elsewhere)


def is_divided(device: str) -> bool:
    """Return whether a disk has partitions; a damaged FAT boot sector may look like a table of none."""
    facts = probe(device)
    if "PTTYPE" not in facts or "TYPE" in facts:
        return False
    # The kernel may be about to find them.
    time.sleep(PARTITIONS_SECONDS)
    return any((BLOCK / device).glob(f"{device}*/partition"))


def disk_of(device: Path) -> Path | None:
    """Return the whole disk of a device of the kernel, None where it is none."""
    device = device.resolve()
    if not device.is_dir():
        return None
    return device.parent if (device / "partition").exists() else device


def probe(device: str) -> dict[str, str]:
    """Return what blkid(8) says of a device; nothing where it has no file system that can be told."""
    command = ["blkid", "--probe", "--output", "export", f"/dev/{device}"]
    text = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return dict(line.split("=", 1) for line in text.splitlines() if "=" in line)


def choose_name(device: str, facts: dict[str, str]) -> str:
    """Return a stick's name: its label as far as it is harmless, and a part that is the same whenever it returns."""
    label = re.sub("[^A-Za-z0-9]+", "_", facts.get("LABEL", "")).strip("_")[:24]
    known = facts.get("UUID") or device
    name = f"{label or 'stick'}_{hashlib.sha256(f'{label} {known}'.encode()).hexdigest()[:6]}"
    # A copy of a stick, label and all, beside it.
    return f"{name}_{device}" if any((PLACE / name).glob("*")) else name


def mount(device: str, name: str, facts: dict[str, str], writable: bool) -> None:
    """Have systemd mount a stick; refuse one that is not allowed, or that cannot be mounted."""
    kind = facts.get("TYPE")
    if kind is None:
        raise StickRefusedError(f"the stick has no file system, or a damaged one; {FORMAT}")
    if kind not in ALLOWED:
        raise StickRefusedError(f"the stick has a file system that is not read ({FOUND.get(kind, kind)}); {FORMAT}")
    # Its films are the intake's to read and nobody else's.
    rights = "dmask=0007,fmask=0117" if writable else "ro,dmask=0027,fmask=0137"
    options = f"nosuid,nodev,noexec,{rights},uid=0,gid=cxrbox,{ALLOWED[kind]}"
    command = ["systemd-mount", "--quiet", "--no-ask-password", "--collect", "--fsck=no", "--automount=no"]
    command += ["--bind-device", "--property=LazyUnmount=yes", f"--type={kind}", f"--options={options}"]
    if subprocess.run([*command, f"/dev/{device}", str(PLACE / name)], check=False).returncode:
        raise StickRefusedError(f"the stick cannot be mounted, its file system is damaged; {FORMAT}")


def unmount(name: str) -> None:
    """Have systemd unmount a stick, where it is mounted, even one that is gone."""
    if (PLACE / name).is_dir():
        # `choose_name` leaves nothing in a name that systemd would write otherwise in that of a unit.
        unit = f"run-cxrbox-sticks-{name}.mount"
        subprocess.run(["systemctl", "--quiet", "stop", unit], capture_output=True, check=False)
        # What is still mounted stays until the stick is pulled.
        with suppress(OSError):
            (PLACE / name).rmdir()


def wait_until_taken(device: str, taken: Path) -> None:
    """Wait until the intake says that it took in all of a stick, for as long as the largest may take."""
    deadline = time.monotonic() + MOST_SECONDS
    while (BLOCK / device).exists() and not taken.exists():
        if time.monotonic() > deadline:
            again = "what was read is kept, plug it in again to go on, or try another stick"
            raise StickRefusedError(f"not all of the stick could be read within {MOST_SECONDS // 3600} hours; {again}")
        time.sleep(LOOK_SECONDS)


def wait_until_pulled(device: str) -> None:
    """Wait until a stick is pulled."""
    while (BLOCK / device).exists():
        time.sleep(LOOK_SECONDS)


if __name__ == "__main__":
    main(sys.argv[1])
