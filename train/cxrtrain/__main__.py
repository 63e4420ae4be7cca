"""Command line of the training room."""

import argparse
import logging
import sys

from cxrtrain.data.labels_command import add_labels_command
from cxrtrain.data.prepare_command import add_prepare_command
from cxrtrain.errors import TrainError
from cxrtrain.evaluate.evaluate_command import add_evaluate_command, add_paper_f1_command
from cxrtrain.explain.explain_command import add_explain_command
from cxrtrain.learn.fit_command import add_fit_command, add_search_commands
from cxrtrain.report.compare_command import add_compare_command
from cxrtrain.report.report_command import add_report_command
from cxrtrain.transforms.transforms_command import add_transforms_command

COMMANDS = (
    add_labels_command,
    add_prepare_command,
    add_transforms_command,
    add_search_commands,
    add_fit_command,
    add_evaluate_command,
    add_explain_command,
    add_report_command,
    add_compare_command,
    add_paper_f1_command,
)


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of `cxrtrain`; each room adds its own commands."""
    parser = argparse.ArgumentParser(prog="cxrtrain", description="Train a network for the box.")
    commands = parser.add_subparsers(dest="command", required=True)
    for add in COMMANDS:
        add(commands)
    return parser


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
