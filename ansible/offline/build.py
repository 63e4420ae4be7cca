"""Build the offline folder: wheels, bundle, keys and Debian packages of a box, so that it is made without a network."""

import argparse
import shutil
import subprocess
import sys
from pathlib import Path

from cxrbundle.archive import SUFFIX, pack_files
from cxrbundle.bundle import build_bundle
from cxrbundle.errors import BundleError
from cxrbundle.package import read_package
from cxrbundle.signature import PUBLIC_SUFFIX, find_signer
from folder import REQUIREMENTS, UNITS, FolderError, sha256_of, write_sums
from lanes import LANES, MACHINES, Lane, wheel_folder
from locked import OWN, check_requirements, lock
from packaging.utils import parse_wheel_filename

PROJECT = Path(__file__).resolve().parents[2]


def build(arguments: argparse.Namespace) -> None:
    """Build the folder; what is there and still wanted is kept."""
    folder, lanes = arguments.output, [LANES[name] for name in arguments.lane]
    put_only(folder / "keys", arguments.key)
    put_bundle(folder, arguments.bundle)
    shutil.rmtree(folder / UNITS, ignore_errors=True)
    shutil.copytree(PROJECT / UNITS, folder / UNITS, ignore=shutil.ignore_patterns("*.md", "__pycache__"))
    # Folders of debs that other lanes use stay: they are named one lane at a time.
    for lane in lanes if arguments.deb else []:
        put_only(folder / "debs" / lane.name, arguments.deb)
    own = build_own_wheel(folder)
    for machine in arguments.machine:
        pins = lock(PROJECT, lanes, machine)
        for lane in lanes:
            put_wheels(folder / wheel_folder(lane.name, machine), own, pins, lane, machine)
    own.unlink()
    write_requirements(folder)
    write_sums(folder)


def put_only(folder: Path, files: list[Path]) -> None:
    """Copy files into a folder, and remove what else is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in files:
        try:
            shutil.copyfile(path, folder / path.name)
        except OSError as err:
            raise FolderError(f"{path} cannot be copied ({err.strerror}); name another file") from err
    keep_only(folder, {path.name for path in files})


def keep_only(folder: Path, names: set[str]) -> None:
    """Remove the files of a folder that are not named."""
    for path in folder.iterdir():
        if path.name not in names:
            path.unlink()


def put_bundle(folder: Path, bundle: Path) -> None:
    """Pack a bundle, from its folder or its single file, once a key of the folder is known to have signed it."""
    package = read_package(bundle)
    find_signer(package, folder / "keys")
    build_bundle(package)
    bundles = folder / "bundles"
    bundles.mkdir(exist_ok=True)
    name = f"{package.manifest.name}-{package.manifest.version}{SUFFIX}"
    (bundles / name).write_bytes(pack_files(package.files))
    keep_only(bundles, {name})


def build_own_wheel(folder: Path) -> Path:
    """Return the wheel of this working copy; the same files give the same bytes."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder.resolve())]
    subprocess.run(command, cwd=PROJECT, check=True, capture_output=True)
    [wheel] = folder.glob(f"{OWN}-*.whl")
    return wheel


def put_wheels(folder: Path, own: Path, pins: dict[str, str], lane: Lane, machine: str) -> None:
    """Fetch the pinned wheels of a lane that are not there yet, remove others, and check that they fit together."""
    folder.mkdir(parents=True, exist_ok=True)
    wheels = _by_pin(folder)
    if missing := [pin for pin in pins.items() if pin not in wheels]:
        options = lane.pip_options(machine)
        command = [sys.executable, "-m", "pip", "download", "-qq", "--no-deps", *options, "--dest", str(folder)]
        done = subprocess.run([*command, *("==".join(pin) for pin in missing)], check=False)
        if done.returncode:
            raise FolderError(f"the wheels of {lane.name} could not be fetched; the line above says which and why")
        wheels = _by_pin(folder)
    shutil.copyfile(own, folder / own.name)
    keep_only(folder, {own.name, *(wheels[pin].name for pin in pins.items())})
    check_requirements(sorted(folder.glob("*.whl")), lane, machine)


def _by_pin(folder: Path) -> dict[tuple[str, str], Path]:
    """Return the wheels of a folder by name and version."""
    parsed = ((parse_wheel_filename(path.name), path) for path in folder.glob("*.whl"))
    return {(str(name), str(version)): path for (name, version, *_), path in parsed}


def write_requirements(folder: Path) -> None:
    """Write what pip installs on a box, each wheel pinned by the hashes of all lanes."""
    hashes: dict[str, set[str]] = {}
    for wheel in sorted(folder.glob("wheels/*/*.whl")):
        name, version, *_ = parse_wheel_filename(wheel.name)
        hashes.setdefault(f"{name}=={version}", set()).add(f"--hash=sha256:{sha256_of(wheel)}")
    lines = [" \\\n    ".join([pin, *sorted(of)]) + "\n" for pin, of in sorted(hashes.items())]
    (folder / REQUIREMENTS).write_text("".join(lines))


def parse(words: list[str]) -> argparse.Namespace:
    """Return parsed arguments."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bundle", type=Path, required=True, help="folder or .cxrbundle file")
    parser.add_argument("--key", type=Path, nargs="+", required=True, help=f"public keys (*{PUBLIC_SUFFIX})")
    parser.add_argument("--lane", nargs="+", choices=LANES, default=list(LANES))
    parser.add_argument("--machine", nargs="+", choices=MACHINES, default=[MACHINES[0]])
    parser.add_argument("--deb", type=Path, nargs="+", default=[], help="Debian packages for the lanes named")
    parser.add_argument("-o", "--output", type=Path, required=True)
    return parser.parse_args(words)


def main() -> None:
    """Build the folder and say how large it is."""
    arguments = parse(sys.argv[1:])
    arguments.output.mkdir(parents=True, exist_ok=True)
    try:
        build(arguments)
    except (FolderError, BundleError) as err:
        sys.exit(f"offline-bundle: {err}")
    size = sum(path.stat().st_size for path in arguments.output.rglob("*") if path.is_file())
    print(f"{arguments.output}: {size / 2**20:.0f} MiB")


if __name__ == "__main__":
    main()
