"""Pack a release as one archive: a copy of forty files to a box takes minutes, of one a moment."""

import argparse
import tarfile
from pathlib import Path

from folder import REQUIREMENTS, UNITS


def pack(folder: Path, wheels: str, own_only: bool, archive: Path) -> None:
    """Write requirements, wheels and units into an archive; it is there whole or not at all."""
    files = {REQUIREMENTS: folder / REQUIREMENTS}
    files |= {f"wheels/{path.name}": path for path in (folder / wheels).glob("cxrbox-*" if own_only else "*")}
    files |= {str(path.relative_to(folder)): path for path in (folder / UNITS).rglob("*") if path.is_file()}
    archive.parent.mkdir(parents=True, exist_ok=True)
    unfinished = archive.with_suffix(".part")
    with tarfile.open(unfinished, "w") as tar:
        for name, path in sorted(files.items()):
            tar.add(path, name, filter=_of_root)
    unfinished.replace(archive)


def _of_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    member.uid = member.gid = 0
    member.uname = member.gname = "root"
    member.mode = 0o755 if member.mode & 0o100 else 0o644
    return member


def main() -> None:
    """Pack what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="offline folder")
    parser.add_argument("wheels", help="its folder of wheels for the box")
    parser.add_argument("--own-only", action="store_true", help="leave out the wheels that the box fetches itself")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    pack(arguments.folder, arguments.wheels, arguments.own_only, arguments.output)


if __name__ == "__main__":
    main()
