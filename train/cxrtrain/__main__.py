"""Command line of the training room."""

import argparse
import logging
import sys
from dataclasses import fields
from pathlib import Path

from cxrtrain.errors import TrainError
from cxrtrain.learn.fit import Recipe
from cxrtrain.data.labels_command import add_labels_command
from cxrtrain.learn.run import run_fit


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `cxrtrain`; every setting of the recipe is an option of `fit`."""
    parser = argparse.ArgumentParser(prog="cxrtrain", description="Train a network for the box.")
    commands = parser.add_subparsers(dest="command", required=True)
    fit = commands.add_parser("fit", help="train the edge network and export it")
    fit.add_argument("--films", type=Path, required=True, help="folder with manifest.csv and its films")
    fit.add_argument("-o", "--output", type=Path, required=True, help="new folder of the run")
    fit.add_argument("--limit", type=int, help="use only so many films (a smoke test)")
    for field in fields(Recipe):
        option = "--" + field.name.replace("_", "-")
        if field.type is bool:
            fit.add_argument(option, action=argparse.BooleanOptionalAction, default=field.default)
        else:
            fit.add_argument(option, type=field.type, default=field.default, help=f"default {field.default}")
    fit.set_defaults(run=_run_fit_command)
    add_labels_command(commands)
    return parser


def _run_fit_command(arguments: argparse.Namespace) -> None:
    recipe = Recipe(**{field.name: getattr(arguments, field.name) for field in fields(Recipe)})
    run_fit(recipe, arguments.films, arguments.output, arguments.limit)


def main() -> None:
    """Run one command; the exit status is 1, with one sentence, where the films or settings are at fault."""
    arguments = build_parser().parse_args()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    logging.getLogger("cxrtrain").setLevel(logging.INFO)
    try:
        arguments.run(arguments)
    except TrainError as err:
        sys.exit(f"cxrtrain: {err}")


if __name__ == "__main__":
    main()
