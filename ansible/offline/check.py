"""Check on the workstation, before anything on a box is touched, what is about to be sent; print its facts as JSON."""

import argparse
import hashlib
import json
import sys
from pathlib import Path

from cxrbundle.archive import SUFFIX
from cxrbundle.bundle import build_bundle
from cxrbundle.errors import BundleError
from cxrbundle.package import read_package
from cxrbundle.signature import find_signer
from folder import AGAIN, UNITS, FolderError, check_sums, sha256_of
from lanes import LANES, MACHINES, wheel_folder
from packaging.utils import parse_wheel_filename


def check_folder(folder: Path) -> dict:
    """Return the facts of the offline folder: its bundle, and for each lane and machine its release and its debs.

    Raises
    ------
    FolderError
        If a file is not as it was when the folder was made, or no bundle is there.
    BundleError
        If none of the folder's keys signed the bundle.
    """
    sums = check_sums(folder)
    bundles = [name for name in sums if name.endswith(SUFFIX)]
    if len(bundles) != 1:
        raise FolderError(f"{folder} holds {len(bundles)} bundles and must hold one; {AGAIN}")
    names = {f"{lane}-{machine}": wheel_folder(lane, machine) for lane in LANES for machine in MACHINES}
    return {
        "bundle": check_bundle(folder / bundles[0], folder / "keys"),
        "lanes": {lane: _lane(sums, wheels) for lane, wheels in names.items() if _below(sums, wheels)},
        "debs": {lane: list(_below(sums, f"debs/{lane}")) for lane in LANES},
    }


def check_bundle(bundle: Path, keys: Path) -> dict:
    """Return the facts of a bundle's file that one of the keys signed; raise BundleError otherwise."""
    package = read_package(bundle)
    signer = find_signer(package, keys)
    build_bundle(package)
    return {
        "path": str(bundle.resolve()),
        "file": f"{package.manifest.name}-{package.manifest.version}{SUFFIX}",
        "title": package.manifest.title,
        "digest": package.digest,
        "sha256": sha256_of(bundle),
        "signer": signer,
    }


def _lane(sums: dict[str, str], wheels: str) -> dict:
    """Return where the wheels of a lane lie, and the name of their release: its version, and a hash of all of it."""
    parts = _below(sums, wheels)
    [own] = [path.name for path in map(Path, parts) if path.name.startswith("cxrbox-")]
    version = str(parse_wheel_filename(own)[1])
    return {
        "wheels": wheels,
        "release": f"{version}-{_short_hash([*parts.values(), *map(' '.join, _below(sums, UNITS).items())])}",
    }


def _below(sums: dict[str, str], folder: str) -> dict[str, str]:
    return {name: digest for name, digest in sums.items() if name.startswith(f"{folder}/")}


def _short_hash(parts: list[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def main() -> None:
    """Print the facts; where something is wrong the exit status is 1 and a sentence says what."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path, help="offline folder, or a .cxrbundle file")
    parser.add_argument("--keys", type=Path, help="public keys that may have signed the file")
    arguments = parser.parse_args()
    try:
        one = arguments.keys
        facts = check_bundle(arguments.path, one) if one else check_folder(arguments.path)
    except (FolderError, BundleError) as err:
        sys.exit(str(err))
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
