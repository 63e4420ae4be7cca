"""`cxrtrain report`: a run as one HTML file for people."""

import argparse
from pathlib import Path


def add_report_command(commands) -> None:
    """Add `report` to the commands of `cxrtrain`."""
    parser = commands.add_parser("report", help="write a run's report, with the paper's figures and tables")
    parser.add_argument("folder", metavar="RUN", type=Path, help="folder of a finished run")
    parser.add_argument("--against", metavar="RUN2", type=Path, help="run with another loss, to compare with")
    parser.add_argument("--films", type=Path, help="folder that `cxrtrain prepare` wrote, to show changed films")
    parser.add_argument("-o", "--output", type=Path, help="HTML file; default RUN/report.html")
    parser.set_defaults(run=run_report_command)


def run_report_command(arguments: argparse.Namespace) -> None:
    """Run `report` with parsed arguments."""
    from cxrtrain.report.page import write_report  # matplotlib takes a second to import

    output = arguments.output or arguments.folder / "report.html"
    write_report(arguments.folder, arguments.against, arguments.films, output)
    print(output)
