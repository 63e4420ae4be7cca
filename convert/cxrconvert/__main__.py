"""Command line of the conversion room: `cxrconvert RUN` converts, and the other commands stand beside it."""

import argparse
import logging
import sys

from cxrbundle.errors import BundleError

from cxrconvert.convert_command import add_convert_command
from cxrconvert.diff_command import add_diff_command
from cxrconvert.edgetpu.compile_command import add_compile_command
from cxrconvert.edgetpu.lint_command import add_lint_command
from cxrconvert.errors import ConvertError
from cxrconvert.pack import add_pack_command
from cxrconvert.sign_command import add_sign_commands

ADD_COMMANDS = (
    add_convert_command,
    add_lint_command,
    add_compile_command,
    add_pack_command,
    add_sign_commands,
    add_diff_command,
)


def build_parser() -> tuple[argparse.ArgumentParser, set[str]]:
    """Return the parser of `cxrconvert` and the names of its commands."""
    parser = argparse.ArgumentParser(
        prog="cxrconvert",
        description="Convert a training run to a bundle for the box; the word convert may be left out.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    for add in ADD_COMMANDS:
        add(commands)
    return parser, set(commands.choices)


def parse(words: list[str]) -> argparse.Namespace:
    """Return parsed arguments; what names no command is the run to convert."""
    parser, names = build_parser()
    asks_for_help = not words or words[0] in ("-h", "--help")
    return parser.parse_args(words if asks_for_help or words[0] in names else ["convert", *words])


def main() -> None:
    """Run one command; where that cannot be done the exit status is 1 and a sentence says why."""
    arguments = parse(sys.argv[1:])
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("cxrconvert").setLevel(logging.INFO)
    try:
        sys.exit(arguments.run(arguments))
    except (ConvertError, BundleError) as err:
        sys.exit(f"cxrconvert: {err}")


if __name__ == "__main__":
    main()
