"""Where scenarios are played: one provisioned box that is put back before each, and more machines where needed."""

import contextlib
import shutil
from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from virtual_pi.box import Box
from virtual_pi.image import Image
from virtual_pi.machine import Machine
from virtual_pi.packets import assert_none_stray
from virtual_pi.places import WORK
from virtual_pi.provision import Workstation

SNAPSHOT = "ready"


class Lab:
    """What a scenario works with.

    Parameters
    ----------
    image : Image
    workstation : Workstation
    disks : dict of str to Path
        The disks of a provisioned box that is switched off.
    options : argparse.Namespace
        Of the command line.
    """

    def __init__(self, image: Image, workstation: Workstation, disks: dict[str, Path], options: Namespace):
        self.image, self.workstation, self.disks, self.options = image, workstation, disks, options
        self.folder = WORK / "scenario"
        self._standing: Box | None = None
        self._packets: Counter[str] = Counter()

    @property
    def box(self) -> Box:
        """The box, as it was when it had just come up."""
        if self._standing is None:
            self._standing = Box(Machine(self.image, WORK / "standing", self.disks))
            self._standing.machine.boot()
            self._standing.wait_until_up()
            self._standing.machine.save(SNAPSHOT)
        return self._standing

    def begin(self) -> None:
        """Put the bench in order for the next scenario: the box as it was, and an empty folder."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        self._packets.clear()
        if self._standing:
            # A device that was plugged in since must not be there: so it is a new process, not `loadvm`.
            self._standing.machine.stop()
            self._standing.machine.boot("-loadvm", SNAPSHOT)

    @contextlib.contextmanager
    def another(self, name: str, disks: dict[str, Path] | None = None) -> Iterator[Box]:
        """Return another box, switched off, on copies of the provisioned disks; the standing one rests meanwhile."""
        if self._standing:
            self._standing.machine.stop()
        machine = Machine(self.image, self.folder / name, disks or self.disks)
        try:
            yield Box(machine)
            if machine.on:
                self._packets += Counter(assert_none_stray(machine))
        finally:
            machine.stop()

    def packets(self) -> dict[str, int]:
        """Assert that nothing strayed from the machines of this scenario that run; return what left them."""
        if self._standing and self._standing.machine.on:
            self._packets += Counter(assert_none_stray(self._standing.machine))
        return {what: count for what, count in self._packets.items() if count}

    def end(self) -> None:
        """Switch everything off."""
        if self._standing:
            self._standing.machine.stop()


@dataclass(frozen=True)
class Scenario:
    """One hardship.

    Attributes
    ----------
    name : str
        For --only.
    sentence : str
        What must hold.
    play : callable
        Takes the lab and a dict for what it counts; asserts.
    """

    name: str
    sentence: str
    play: Callable[[Lab, dict], None]


SCENARIOS: list[Scenario] = []


def scenario(sentence: str) -> Callable:
    """Enter a function into the list of scenarios under its own name."""

    def enter(play: Callable[[Lab, dict], None]) -> Callable:
        SCENARIOS.append(Scenario(play.__name__.replace("_", "-"), sentence, play))
        return play

    return enter
