"""Command line of the box."""

import argparse
import errno
import logging
import signal
import sqlite3
import sys
import threading
from pathlib import Path

from cxrbundle.errors import BundleError

from cxrbox.errors import BoxError
from cxrbox.settings import Settings
from cxrbox.supervise import EXIT_CONFIG, EXIT_STATE, die_with_parent, run_box

STATE_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `cxrbox`."""
    parser = argparse.ArgumentParser(prog="cxrbox", description="Read chest films. Not a diagnosis.")
    commands = parser.add_subparsers(dest="command", required=True)
    read = commands.add_parser("read", help="read films now and print what they show")
    read.add_argument("files", nargs="+", type=Path, metavar="FILE")
    read.add_argument("--json", action="store_true", help="print one JSON object a line")
    selftest = commands.add_parser(
        "selftest", help="read the bundle's golden films and compare with the day it was made"
    )
    selftest.add_argument("--json", action="store_true", help="print one JSON object")
    for command in (read, selftest):
        Settings.add_options(command, "bundle", "trusted_keys", "allow_unsigned", "threads")
    for name, help_text in (
        ("run", "run the whole box: watch a folder, read its films, serve the page"),
        ("intake", "run only the part that watches the folder"),
        ("reader", "run only the part that reads films"),
        ("web", "run only the page"),
    ):
        command = commands.add_parser(name, help=help_text)
        Settings.add_options(command)
        command.add_argument("--supervised", action="store_true", help=argparse.SUPPRESS)
    demo = commands.add_parser("demo", help="put the demonstration films into a folder")
    demo.add_argument("folder", type=Path)
    return parser


def _run(options: argparse.Namespace) -> int:
    """Run one command; import only what it needs, so that each part stays small."""
    if options.command == "read":
        from cxrbox.command_read import read_films

        return read_films(options.files, Settings.from_options(options), options.json)
    if options.command == "selftest":
        from cxrbox.command_selftest import run_selftest

        return run_selftest(Settings.from_options(options), options.json)
    if options.command == "demo":
        from cxrbox.demo import copy_demo_films

        copy_demo_films(options.folder)
        return 0
    return _run_part(options.command, Settings.from_options(options), options.supervised)


def _run_part(name: str, settings: Settings, supervised: bool) -> int:
    """Run a long-lived part until a signal ends it."""
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {name}: %(message)s", datefmt="%H:%M:%S")
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if supervised:
        # Ctrl-C reaches every process of the terminal; the supervisor alone decides when its parts end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        die_with_parent()
    if name == "run":
        run_box(settings, ended.is_set)
    elif name == "intake":
        from cxrbox.intake import run_intake

        run_intake(settings, ended.is_set)
    elif name == "reader":
        from cxrbox.reader import run_reader

        run_reader(settings, ended.is_set)
    else:
        from cxrbox.web import run_web

        run_web(settings, ended.wait)
    return 0


def main() -> None:
    """Run the command line; what the user can mend ends with one sentence and status 2."""
    try:
        sys.exit(_run(build_parser().parse_args()))
    except (BoxError, BundleError) as err:
        print(f"cxrbox: {err}", file=sys.stderr)
        sys.exit(EXIT_CONFIG)
    except (sqlite3.OperationalError, OSError) as err:
        if isinstance(err, OSError) and err.errno not in STATE_ERRORS:
            raise
        print(f"cxrbox: the state folder could not be written ({err}); free some space", file=sys.stderr)
        sys.exit(EXIT_STATE)


if __name__ == "__main__":
    main()
