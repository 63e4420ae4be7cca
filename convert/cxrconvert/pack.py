"""`cxrconvert pack`: a bundle as one file."""

import argparse
from pathlib import Path

from cxrbundle.archive import SUFFIX, pack_files
from cxrbundle.bundle import build_bundle
from cxrbundle.package import Package, read_package

from cxrconvert.errors import OutputError
from cxrconvert.writing import write_file


def add_pack_command(commands) -> None:
    """Add `pack` to the commands of `cxrconvert`."""
    parser = commands.add_parser("pack", help="write a bundle as one file, NAME-VERSION.cxrbundle")
    parser.add_argument("bundle", metavar="BUNDLE", type=Path, help="folder of a bundle")
    parser.add_argument("-o", "--output", metavar="DIR", type=Path, required=True, help="folder of the file")
    parser.add_argument("--force", action="store_true", help="replace a file that is there")
    parser.set_defaults(run=run_pack_command)


def run_pack_command(arguments: argparse.Namespace) -> None:
    """Run `pack` with parsed arguments."""
    print(pack_bundle(arguments.bundle, arguments.output, arguments.force))


def pack_bundle(bundle: Path, folder: Path, force: bool = False) -> Path:
    """Write a bundle as one file into a folder and return its path; the same bundle gives the same bytes.

    Raises
    ------
    BundleError
        If the box would refuse the bundle.
    OutputError
        If the file is there already or cannot be written.
    """
    package = read_sound(bundle)
    path = folder / f"{package.manifest.name}-{package.manifest.version}{SUFFIX}"
    if path.exists() and not force:
        raise OutputError(f"{path} is there already; name another folder with -o or replace it with --force")
    write_file(path, pack_files(package.files))
    return path


def read_sound(bundle: Path) -> Package:
    """Return the files of a bundle that the box would load, whoever signed it."""
    package = read_package(bundle)
    build_bundle(package)
    return package
