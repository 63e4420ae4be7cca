"""Command line of the box."""

import argparse
import ctypes
import logging
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable

from cxrbundle.errors import BundleError

from cxrbox.command_line import build_parser
from cxrbox.errors import BoxError
from cxrbox.folders import make_folder
from cxrbox.settings import Settings
from cxrbox.supervise import EXIT_CONFIG, EXIT_STATE, PARTS, STATE_ERRORS, die_with_parent, run_box, state_locks

# Of mallopt(3): glibc gives threads up to eight heaps a core, and each keeps what films took of it.
M_ARENA_MAX, HEAPS = -8, 2


def _run(options: argparse.Namespace) -> int:
    """Run one command."""
    if options.command in ("run", *PARTS):
        return _run_part(options.command, Settings.from_options(options), options.supervised)
    return _COMMANDS[options.command](options)


# Each imports only what it needs, so that each part stays small.


def _read(options: argparse.Namespace) -> int:
    from cxrbox.command_read import read_films

    return read_films(options.files, Settings.from_options(options), options.json)


def _selftest(options: argparse.Namespace) -> int:
    from cxrbox.command_selftest import run_selftest

    return run_selftest(Settings.from_options(options), options.json)


def _compare(options: argparse.Namespace) -> int:
    from cxrbox.command_compare import run_compare

    return run_compare(Settings.from_options(options), options.old, options.new, options.json)


def _replay(options: argparse.Namespace) -> int:
    from cxrbox.command_replay import run_replay

    return run_replay(Settings.from_options(options), options.film, options.json)


def _verify_log(options: argparse.Namespace) -> int:
    from cxrbox.command_verify_log import run_verify_log

    return run_verify_log(Settings.from_options(options), options.json)


def _export(options: argparse.Namespace) -> int:
    from cxrbox.command_export import run_export

    return run_export(Settings.from_options(options), options.json, options.since)


def _check_config(options: argparse.Namespace) -> int:
    from cxrbox.command_check_config import run_check_config

    return run_check_config(options.file)


def _migrate(options: argparse.Namespace) -> int:
    from cxrbox.command_migrate import run_migrate

    return run_migrate(Settings.from_options(options), options.to)


def _retain(options: argparse.Namespace) -> int:
    from cxrbox.command_retain import run_retain

    return run_retain(Settings.from_options(options))


def _snapshot(options: argparse.Namespace) -> int:
    from cxrbox.command_snapshot import check_snapshot, make_snapshot

    if options.check:
        return check_snapshot(options.folder)
    return make_snapshot(Settings.from_options(options), options.folder)


def _demo(options: argparse.Namespace) -> int:
    from cxrbox.demo import copy_demo_films

    copy_demo_films(options.folder)
    return 0


_COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    "read": _read,
    "selftest": _selftest,
    "compare": _compare,
    "replay": _replay,
    "verify-log": _verify_log,
    "export": _export,
    "check-config": _check_config,
    "migrate": _migrate,
    "retain": _retain,
    "snapshot": _snapshot,
    "demo": _demo,
}


def _run_part(name: str, settings: Settings, supervised: bool) -> int:
    """Run a long-lived part until a signal ends it."""
    logging.basicConfig(level=logging.INFO, format=f"%(asctime)s {name}: %(message)s", datefmt="%H:%M:%S")
    ctypes.CDLL(None).mallopt(M_ARENA_MAX, HEAPS)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    if supervised:
        # Ctrl-C reaches every process of the terminal; the supervisor alone decides when its parts end.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        die_with_parent()
        _work(name, settings, ended)
    elif name == "run":
        run_box(settings, ended.is_set)
    elif name == "reader":
        # Somebody must note the film on which a reader died, so it has a process above it on its own as well.
        run_box(settings, ended.is_set, ["reader"])
    else:
        make_folder(settings.state)
        with state_locks(settings, [name]):
            _work(name, settings, ended)
    return 0


def _work(name: str, settings: Settings, ended: threading.Event) -> None:
    """Do the work of a part in this process."""
    if name == "intake":
        from cxrbox.sources import run_intake

        run_intake(settings, ended.is_set)
    elif name == "reader":
        from cxrbox.reader import run_reader

        run_reader(settings, ended.is_set)
    else:
        from cxrbox.web import run_web

        run_web(settings, ended.wait)


def is_damage(err: Exception) -> bool:
    """Return whether SQLite says that a database is none, or not as it was made, rather than that it cannot be used."""
    if not isinstance(err, sqlite3.OperationalError):
        return isinstance(err, sqlite3.DatabaseError)
    return str(err).startswith(("Could not decode", "no such"))


def main() -> None:
    """Run the command line; what the user can mend ends with one sentence and status 2."""
    # To be said before numpy is loaded. Films are read side by side, a core each; the threads of its linear algebra
    # would spin between products as small as ours, and take half of the cores' time from the films.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        sys.exit(_run(build_parser().parse_args()))
    except (BoxError, BundleError) as err:
        print(f"cxrbox: {err}", file=sys.stderr)
        sys.exit(EXIT_CONFIG)
    except BrokenPipeError:
        # Whoever reads the output, `head` say, has enough; what is still buffered must not fail at the exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except (sqlite3.DatabaseError, OSError) as err:
        if isinstance(err, OSError) and err.errno not in STATE_ERRORS:
            raise
        if is_damage(err):
            # Without its words: they may quote what the database holds of a patient.
            print("cxrbox: the database of the state folder is damaged; put a backup in its place", file=sys.stderr)
            sys.exit(EXIT_CONFIG)
        read_only = getattr(err, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_READONLY
        advice = "run it as the user of the box, or look after the disk" if read_only else "free some space"
        print(f"cxrbox: the state folder could not be written ({err}); {advice}", file=sys.stderr)
        sys.exit(EXIT_STATE)


if __name__ == "__main__":
    main()
