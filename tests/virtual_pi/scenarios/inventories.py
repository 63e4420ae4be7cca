"""Wrong inventories: the play stops with one sentence before anything is changed, and the box works as before."""

import os
import shutil
from pathlib import Path

from virtual_pi import films
from virtual_pi.lab import Lab, scenario

# What of the box a play might change.
_ALL = "find /etc /opt/cxrbox /usr/local -xdev ! -type d -printf '%p %s %T@ %l\\n' | sort | sha256sum"
# Says what dpkg says on a 32-bit system; an ARM64 machine cannot be given a 32-bit root for this alone.
_THIRTY_TWO_BIT = b'#!/bin/sh\n[ "$1" = --print-architecture ] && echo armhf && exit\nexec /usr/bin/dpkg "$@"\n'


@scenario("a wrong inventory stops the play with one sentence, changes nothing, and the box reads on")
def wrong_inventories(lab: Lab, facts: dict) -> None:
    """Try each; then see that the box is what it was."""
    box, machine = lab.box, lab.box.machine
    before = machine.root(_ALL)
    _refused(lab, "host key", known=False)
    _refused(lab, "another SHA-256", cxrbox_offline=_altered(lab))
    _refused(lab, "0 bundles", cxrbox_offline=_without(lab, "bundles/*", "no-bundle"))
    _refused(lab, "signed", cxrbox_offline=_without(lab, "keys/cxr-demo.pub", "no-key"))
    _refused(lab, "MB free", cxrbox_free_mb=10**6)
    _refused(lab, "keys only", ansible_password="raspberry")
    assert machine.root(_ALL) == before, "a play that was refused changed something"
    machine.put(_THIRTY_TWO_BIT, "/usr/local/bin/dpkg", mode="0755")
    _refused(lab, "64-bit")
    machine.root("rm /usr/local/bin/dpkg")
    # A setting that only the box itself can judge: the release is proven beside the one that runs, and not switched to.
    _refused(lab, "retention_days", cxrbox_settings={"retention_free_mb": 64, "retention_days": 0})
    wanted = films.some(1)
    box.lay(wanted)
    box.wait_for_films(wanted)
    box.assert_sound(wanted)
    facts["inventories"] = 8


def _refused(lab: Lab, words: str, known: bool = True, **variables: object) -> None:
    """Run the play and assert that it stops with one sentence that holds these words."""
    inventory = lab.workstation.inventory(lab.box.machine, known, **variables)
    play = lab.workstation.play("site.yml", inventory)
    assert play.status, f"a play with {variables or known} was not refused"
    said = play.sentence
    assert words in said, f"the play was to say {words!r} and says: {said}"
    assert len(said) < 500, f"this is more than a sentence: {said}"
    assert play.count("failed") + play.count("unreachable") == 1


def _copy(lab: Lab, name: str) -> Path:
    """Return a copy of the offline folder whose files may be taken away."""
    return Path(shutil.copytree(lab.workstation.offline, lab.folder / name, copy_function=os.link))


def _without(lab: Lab, pattern: str, name: str) -> str:
    """Return an offline folder that lacks some files, and whose list knows nothing of them."""
    folder = _copy(lab, name)
    for path in folder.glob(pattern):
        path.unlink()
    sums = folder / "SHA256SUMS"
    gone = [line for line in sums.read_text().splitlines() if not (folder / line.split("  ", 1)[1]).exists()]
    kept = [line for line in sums.read_text().splitlines() if line not in gone]
    sums.unlink()
    sums.write_text("".join(f"{line}\n" for line in kept))
    return str(folder)


def _altered(lab: Lab) -> str:
    """Return an offline folder in which a wheel is not the one that was listed."""
    folder = _copy(lab, "altered")
    wheel = next((folder / "wheels/bookworm").glob("waitress-*.whl"))
    content = bytearray(wheel.read_bytes())
    content[len(content) // 2] ^= 1
    wheel.unlink()
    wheel.write_bytes(content)
    return str(folder)
