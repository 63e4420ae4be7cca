"""What `cxrbox` understands: its commands and their options."""

import argparse
from pathlib import Path

from cxrbox.settings import Settings

READING = ("bundle", "trusted_keys", "allow_unsigned")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `cxrbox`."""
    parser = argparse.ArgumentParser(prog="cxrbox", description="Read chest films. Not a diagnosis.")
    commands = parser.add_subparsers(dest="command", required=True)
    _add_parts(commands)
    _add_reading(commands)
    _add_records(commands)
    _add_upkeep(commands)
    return parser


def _add_parts(commands: argparse._SubParsersAction) -> None:
    """Add what runs until it is stopped."""
    for name, help_text in (
        ("run", "run the whole box: watch a folder, read its films, serve the page"),
        ("intake", "run only the part that watches the folder"),
        ("reader", "run only the part that reads films"),
        ("web", "run only the page"),
    ):
        command = commands.add_parser(name, help=help_text)
        Settings.add_options(command)
        command.add_argument("--supervised", action="store_true", help=argparse.SUPPRESS)


def _add_reading(commands: argparse._SubParsersAction) -> None:
    """Add what reads films now."""
    read = commands.add_parser("read", help="read films now and print what they show")
    read.add_argument("files", nargs="+", type=Path, metavar="FILE")
    read.add_argument("--json", action="store_true", help="print one JSON object a line")
    Settings.add_options(read, *READING, "thresholds")
    selftest = commands.add_parser(
        "selftest", help="read the bundle's golden films and compare with the day it was made"
    )
    selftest.add_argument("--json", action="store_true", help="print one JSON object")
    Settings.add_options(selftest, *READING, "tpu")
    compare = commands.add_parser("compare", help="read the stored films with two bundles and say what would change")
    compare.add_argument("old", type=Path, metavar="OLD", help="the bundle in use")
    compare.add_argument("new", type=Path, metavar="NEW", help="the bundle that may follow it")
    compare.add_argument("--json", action="store_true", help="print one JSON object")
    Settings.add_options(compare, *READING[1:], "state", "thresholds")
    replay = commands.add_parser("replay", help="read a stored film again and compare with the ledger")
    replay.add_argument("film", type=int, metavar="ID")
    replay.add_argument("--json", action="store_true", help="print one JSON object")
    Settings.add_options(replay, *READING, "state", "thresholds")


def _add_records(commands: argparse._SubParsersAction) -> None:
    """Add what looks at the records."""
    verify = commands.add_parser("verify-log", help="prove that no result was altered since it was entered")
    verify.add_argument("--json", action="store_true", help="print one JSON object")
    Settings.add_options(verify, "state")
    export = commands.add_parser("export", help="print one row a film")
    form = export.add_mutually_exclusive_group(required=True)
    form.add_argument("--csv", action="store_false", dest="json", help="as CSV")
    form.add_argument("--json", action="store_true", help="as one JSON object a line")
    export.add_argument("--since", metavar="DATE", help="only films received at or after this date or time")
    Settings.add_options(export, "state")


def _add_upkeep(commands: argparse._SubParsersAction) -> None:
    """Add what sets a box up and keeps it in order."""
    check = commands.add_parser("check-config", help="say whether a file of settings is in order")
    check.add_argument("file", nargs="?", type=Path, metavar="FILE")
    migrate = commands.add_parser("migrate", help="bring the state folder to another release's schema")
    migrate.add_argument("--to", type=int, required=True, metavar="N", help="the schema")
    Settings.add_options(migrate, "state")
    retain = commands.add_parser("retain", help="remove originals past their age, or the oldest where there is no room")
    Settings.add_options(retain, "state", "retention_days", "retention_free_mb")
    snapshot = commands.add_parser("snapshot", help="lay a consistent copy of the state folder into an empty folder")
    snapshot.add_argument("folder", type=Path, metavar="FOLDER", help="on the same disk as the state folder")
    snapshot.add_argument("--check", action="store_true", help="prove a snapshot instead: nothing missing or altered")
    Settings.add_options(snapshot, "state")
    demo = commands.add_parser("demo", help="put the demonstration films into a folder")
    demo.add_argument("folder", type=Path)
