"""Memory sticks: made on the host without mounting them, plugged in and pulled out while the machine runs."""

import contextlib
import itertools
import tempfile
from pathlib import Path

from virtual_pi.host import run
from virtual_pi.machine import Machine, wait_until
from virtual_pi.qmp import QmpError

SIZE = "64M"
# Where the first partition of a stick begins, in sectors of 512 bytes, as bought.
FIRST_SECTOR = 2048
_numbers = itertools.count()


def make_fat(path: Path, films: dict[str, bytes]) -> Path:
    """Make a stick with FAT32 on the whole of it."""
    run("truncate", "-s", SIZE, path)
    run("mkfs.vfat", "-F", "32", "-n", "FILMS", path)
    _copy(films, str(path))
    return path


def make_partitioned(path: Path, films: dict[str, bytes]) -> Path:
    """Make a stick as bought: a partition table and one FAT32 partition."""
    run("truncate", "-s", SIZE, path)
    run("sfdisk", "-q", path, input=f"label: dos\nstart={FIRST_SECTOR}, type=c\n")
    sectors = (path.stat().st_size >> 9) - FIRST_SECTOR
    run("mkfs.vfat", "-F", "32", "-n", "FILMS", "--offset", FIRST_SECTOR, path, sectors >> 1)
    _copy(films, f"{path}@@{FIRST_SECTOR << 9}")
    return path


def make_exfat(path: Path) -> Path:
    """Make an empty stick with exFAT; nothing on the host writes files to it, so the guest must."""
    run("truncate", "-s", SIZE, path)
    run("mkfs.exfat", "-L", "FILMS", path)
    return path


def make_ext4(path: Path, films: dict[str, bytes]) -> Path:
    """Make a stick with a file system that the box must not mount."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in films.items():
            (Path(folder) / name).write_bytes(content)
        run("mke2fs", "-q", "-t", "ext4", "-d", folder, path, SIZE)
    return path


def _copy(films: dict[str, bytes], target: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in films.items():
            (Path(folder) / name).write_bytes(content)
        run("mcopy", "-i", target, *sorted(Path(folder).iterdir()), "::")


class Stick:
    """A stick in a machine.

    Parameters
    ----------
    machine : Machine
    path : Path
        What is on it.
    bytes_per_second : int
        How slow it is; 0 is as fast as it goes.
    """

    def __init__(self, machine: Machine, path: Path, bytes_per_second: int = 0):
        self.machine, self.name = machine, f"stick{next(_numbers)}"
        qmp, throttled = machine.qmp, f"{self.name}-slow"
        file = {"driver": "file", "filename": str(path)}
        limits = {"bps-total": bytes_per_second}
        qmp("object-add", qom_type="throttle-group", id=f"{self.name}-group", limits=limits)
        qmp("blockdev-add", node_name=self.name, driver="raw", file=file)
        qmp("blockdev-add", node_name=throttled, driver="throttle", throttle_group=f"{self.name}-group", file=self.name)
        device = {"driver": "usb-storage", "bus": "usb.0", "drive": throttled, "removable": True}
        qmp("device_add", id=f"{self.name}-usb", serial=path.stem, **device)

    def pull(self) -> None:
        """Pull it out, whatever the box is doing with it."""
        self.machine.qmp("device_del", id=f"{self.name}-usb")
        wait_until(self._let_go, 60, "qemu lets go of the stick")

    def _let_go(self) -> bool:
        with contextlib.suppress(QmpError):
            self.machine.qmp("blockdev-del", node_name=f"{self.name}-slow")
            self.machine.qmp("blockdev-del", node_name=self.name)
            return True
        return False
