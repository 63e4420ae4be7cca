"""Command line of the conversion room."""

import argparse
import logging
import sys
from pathlib import Path

from cxrbundle.errors import BundleError

from cxrconvert.convert import Settings, convert
from cxrconvert.errors import ConvertError


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `cxrconvert`."""
    parser = argparse.ArgumentParser(prog="cxrconvert", description="Convert a training run to a bundle for the box.")
    parser.add_argument("run", type=Path, help="folder that `cxrtrain fit` wrote")
    parser.add_argument("--films", type=Path, required=True, help="folder of the films that the run was trained on")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the bundle")
    parser.add_argument("--name", default=Settings.name, help="of the bundle; default %(default)s")
    parser.add_argument("--version", default=Settings.version, help="of the bundle; default %(default)s")
    parser.add_argument(
        "--calibration-films",
        type=int,
        default=Settings.calibration_films,
        help="training films to measure ranges on, one of a patient; default %(default)s",
    )
    parser.add_argument(
        "--measured-films", type=int, help="measure on at most so many films of each part; default: all"
    )
    parser.add_argument("--force", action="store_true", help="replace a bundle that is there")
    return parser


def main() -> None:
    """Convert one run; the exit status is 1 and a sentence says why where that cannot be done."""
    settings = Settings(**vars(build_parser().parse_args()))
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("cxrconvert").setLevel(logging.INFO)
    try:
        convert(settings)
    except (ConvertError, BundleError) as err:
        sys.exit(f"cxrconvert: {err}")


if __name__ == "__main__":
    main()
