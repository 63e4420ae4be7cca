"""`cxrtrain prepare`: from a folder of films to an array that training reads."""

import argparse
from pathlib import Path

from cxrtrain.data.prepare import PrepareSettings, prepare


def add_prepare_command(commands) -> None:
    """Add `prepare` to the commands of `cxrtrain`."""
    parser = commands.add_parser("prepare", help="decode all films once, into an array to train on; can be resumed")
    parser.add_argument("source", type=Path, help="folder with manifest.csv, or one that `cxrtrain labels` wrote")
    parser.add_argument("-o", "--output", type=Path, required=True, help="new folder, or one to go on with")
    parser.add_argument("--films", type=Path, metavar="IMAGES", help="folder of the films; default: SOURCE")
    parser.add_argument(
        "--size",
        type=int,
        default=PrepareSettings.size,
        help="side of the stored films, in pixels; default %(default)s",
    )
    parser.add_argument("--allow-missing", action="store_true", help="leave out films that cannot be had")
    said = "films decoded at a time; default: one a core"
    parser.add_argument("--workers", type=int, default=PrepareSettings.workers, help=said)
    parser.set_defaults(run=run_prepare_command)


def run_prepare_command(arguments: argparse.Namespace) -> None:
    """Run `prepare` with parsed arguments."""
    names = PrepareSettings.__dataclass_fields__
    prepare(PrepareSettings(**{name: getattr(arguments, name) for name in names}))
