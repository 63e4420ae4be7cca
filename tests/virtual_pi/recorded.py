"""A disk whose every write and flush is recorded, to be taken back to any moment as a power cut would have left it.

qemu's blklogwrites writes the log of Linux's dm-log-writes: a super block, then entries of a header and its data
(Documentation/admin-guide/device-mapper/log-writes.rst). A power cut leaves all that was flushed, and of the rest
whatever the card happened to have written.
"""

import os
import random
import shutil
import struct
from dataclasses import dataclass
from pathlib import Path

from virtual_pi.host import run

MAGIC = 0x6A736677736872
SECTOR = 512
SUPER, ENTRY = struct.Struct("<QQQI"), struct.Struct("<QQQQ")
FLUSH, FUA, DISCARD = 1, 2, 4
# The log grows with what the guest writes; a sparse file costs nothing.
LOG_SIZE = "8G"


@dataclass(frozen=True)
class Entry:
    """One write or flush: where on the disk its bytes begin, and where in the log they lie."""

    flags: int
    disk: int
    log: int
    size: int


class RecordedDisk:
    """A raw disk beside the log of all that is written to it.

    Parameters
    ----------
    folder : Path
    origin : Path
        The qcow2 disk it begins as.
    """

    def __init__(self, folder: Path, origin: Path):
        self.start, self.disk, self.log = folder / "start.img", folder / "recorded.img", folder / "writes.log"
        run("qemu-img", "convert", "-O", "raw", origin, self.start)
        run("cp", "--sparse=always", self.start, self.disk)
        run("truncate", "-s", LOG_SIZE, self.log)

    @property
    def drive(self) -> str:
        """What `-drive` needs."""
        below = f"file.driver=raw,file.file.driver=file,file.file.filename={self.disk}"
        log = f"log.driver=file,log.filename={self.log},log-sector-size={SECTOR},log-super-update-interval=1"
        return f"driver=blklogwrites,{below},{log}"

    def position(self) -> int:
        """Return how many entries there are so far."""
        with self.log.open("rb") as log:
            magic, _, entries, _ = SUPER.unpack(log.read(SUPER.size))
        assert magic == MAGIC or not magic, "this is no log of writes"
        return entries

    def entries(self) -> list[Entry]:
        """Return all entries."""
        found, place, count = [], SECTOR, self.position()
        with self.log.open("rb") as log:
            for _ in range(count):
                log.seek(place)
                sector, sectors, flags, _ = ENTRY.unpack(log.read(ENTRY.size))
                size = 0 if flags & DISCARD else sectors * SECTOR
                found.append(Entry(flags, sector * SECTOR, place + SECTOR, size))
                place += SECTOR + size
        return found


class Replay:
    """Takes a recorded disk from its start to later and later moments.

    Parameters
    ----------
    recorded : RecordedDisk
    folder : Path
    chance : random.Random
        What of the unflushed writes had reached the card.
    """

    def __init__(self, recorded: RecordedDisk, folder: Path, chance: random.Random):
        self.recorded, self.folder, self.chance = recorded, folder, chance
        self.entries = recorded.entries()
        self._flushed, self._applied = folder / "flushed.img", 0
        run("cp", "--sparse=always", recorded.start, self._flushed)

    def cut_at(self, moment: int) -> Path:
        """Return the disk as a power cut after so many entries leaves it; moments only grow."""
        before = range(self._applied, moment)
        flushed = max((place + 1 for place in before if self.entries[place].flags & FLUSH), default=self._applied)
        self._write(self._flushed, self.entries[self._applied : flushed])
        self._applied = flushed
        disk = self.folder / "cut.img"
        run("cp", "--sparse=always", self._flushed, disk)
        unflushed = self.entries[flushed:moment]
        # FUA says of one write that it is on the medium when it is acknowledged.
        self._write(disk, [entry for entry in unflushed if entry.flags & FUA or self.chance.random() < 0.5])
        return disk

    def _write(self, disk: Path, entries: list[Entry]) -> None:
        with self.recorded.log.open("rb") as log, disk.open("r+b") as file:
            for entry in entries:
                log.seek(entry.log)
                file.seek(entry.disk)
                file.write(log.read(entry.size))


def recover(disk: Path, folder: Path) -> Path:
    """Recover a disk as the next boot would, and return the box's state folder, copied out of it; mounts nothing."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    # Status 1: errors were corrected, the journal's replay among them. From 4 on some were not.
    run("sh", "-c", 'e2fsck -fy "$0"; test $? -le 1', disk)
    run("debugfs", "-R", f"rdump /state {folder}", disk, env=os.environ | {"DEBUGFS_PAGER": "cat"})
    return folder / "state"
