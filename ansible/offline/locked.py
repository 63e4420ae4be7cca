"""The locked list of what runs on a box: everything the `device` extra needs, as constraints.txt pins it."""

import tomllib
import zipfile
from email.parser import BytesParser
from importlib.metadata import requires
from pathlib import Path

from folder import FolderError
from lanes import FROM_APT, Lane
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name, parse_wheel_filename

OWN = "cxrbox"
OTHER_PINS = Path(__file__).with_name("constraints-box.txt")


def read_pins(constraints: Path) -> dict[str, str]:
    """Return the pinned version of each distribution."""
    lines = [line.split("==") for line in constraints.read_text().splitlines() if "==" in line]
    return {canonicalize_name(name): version for name, version in lines}


def lock(project: Path, lanes: list[Lane], machine: str) -> dict[str, str]:
    """Return name and version of every wheel a box needs from elsewhere, found by walking what each requires."""
    pins = read_pins(project / "constraints.txt") | read_pins(OTHER_PINS)
    extra = tomllib.loads((project / "pyproject.toml").read_text())["project"]["optional-dependencies"]["device"]
    found: dict[str, str] = {}
    waiting = [Requirement(text) for text in extra]
    while waiting:
        wanted = waiting.pop()
        name = canonicalize_name(wanted.name)
        if name in found or name in FROM_APT:
            continue
        if name not in pins:
            raise FolderError(f"a box needs {name}, and constraints.txt does not pin it; add the version")
        found[name] = pins[name]
        waiting += [need for text in requires(name) or [] if _applies(need := Requirement(text), lanes, machine)]
    return dict(sorted(found.items()))


def _applies(need: Requirement, lanes: list[Lane], machine: str) -> bool:
    return need.marker is None or any(need.marker.evaluate(lane.environment(machine)) for lane in lanes)


def check_requirements(wheels: list[Path], lane: Lane, machine: str) -> None:
    """Raise FolderError where a wheel asks for what neither the folder nor the lane's own packages bring."""
    there = dict(lane.packages)
    for wheel in wheels:
        name, version, *_ = parse_wheel_filename(wheel.name)
        there[name] = str(version)
    for wheel in wheels:
        for text in _metadata(wheel).get_all("Requires-Dist", []):
            need = Requirement(text)
            if not _applies(need, [lane], machine):
                continue
            version = there.get(canonicalize_name(need.name))
            if version is None or not need.specifier.contains(version, prereleases=True):
                raise FolderError(
                    f"{wheel.name} needs {need}, and on {lane.name} there is {version or 'none'};"
                    f" pin another version in {OTHER_PINS.name}"
                )


def _metadata(wheel: Path):
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return BytesParser().parsebytes(archive.read(name))
