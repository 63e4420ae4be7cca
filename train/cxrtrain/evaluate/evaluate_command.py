"""`cxrtrain evaluate` and `cxrtrain paper-f1`."""

import argparse
import logging
from pathlib import Path

from cxrtrain.data.films import TEST, VALIDATION
from cxrtrain.errors import RunError

log = logging.getLogger(__name__)
FOLDER = "evaluation"


def add_evaluate_command(commands) -> None:
    """Add `evaluate` to the commands of `cxrtrain`."""
    parser = commands.add_parser("evaluate", help="measure a finished run: curves, calibration, thresholds, subgroups")
    parser.add_argument("run_folder", metavar="RUN", type=Path, help="folder that `fit` wrote")
    parser.add_argument("--part", choices=(TEST, VALIDATION), default=TEST, help="default %(default)s")
    parser.add_argument("--films", type=Path, help="folder with manifest.csv, to set the reference network beside it")
    parser.add_argument("--resamples", type=int, default=1000, help="draws of an interval; default %(default)s")
    parser.add_argument("-o", "--output", type=Path, help="folder of the results; default RUN/evaluation")
    parser.set_defaults(run=run_evaluate_command)


def run_evaluate_command(arguments: argparse.Namespace) -> None:
    """Run `evaluate` with parsed arguments."""
    write_evaluation(
        arguments.run_folder,
        arguments.output or arguments.run_folder / FOLDER,
        arguments.part,
        arguments.films,
        arguments.resamples,
    )


def write_evaluation(
    run: Path, output: Path, part: str = TEST, films: Path | None = None, resamples: int = 1000
) -> None:
    """Evaluate a run, write tables, figures and, last, evaluation.json, and print the main figures.

    Raises
    ------
    RunError
        If the run cannot be evaluated, or the folder not be written.
    FilmsError
        If the folder of the films has no reference to compare with.
    """
    # They bring scikit-learn and matplotlib, which the other commands need not wait for.
    from cxrtrain.evaluate.evaluation import evaluate_run
    from cxrtrain.evaluate.figures import draw_figures
    from cxrtrain.evaluate.tables import EVALUATION, as_text, write_json, write_tables

    if resamples < 0:
        raise RunError(f"--resamples {resamples} is below 0; 0 leaves the intervals out")
    evaluation = evaluate_run(run, part, films, resamples)
    if part == VALIDATION:
        log.warning("thresholds and calibration are measured on the films that they were fitted to: they flatter")
    if films and not evaluation.figures["reference"]:
        log.warning("the reference is left out: it was trained on all of these films, or has not read them")
    try:
        output.mkdir(parents=True, exist_ok=True)
        (output / EVALUATION).unlink(missing_ok=True)
        write_tables(evaluation, output)
        draw_figures(evaluation, output)
        write_json(evaluation, output)
    except OSError as err:
        raise RunError(f"{output} cannot be written ({err.strerror}); make room or name another with -o") from err
    print(as_text(evaluation.figures))
    log.info("wrote %s", output)


def add_paper_f1_command(commands) -> None:
    """Add `paper-f1` to the commands of `cxrtrain`."""
    parser = commands.add_parser("paper-f1", help="reproduce the paper's published F1 from its confusion counts")
    parser.set_defaults(run=run_paper_f1_command)


def run_paper_f1_command(_arguments: argparse.Namespace) -> None:
    """Print the table of `paper-f1`."""
    from cxrtrain.evaluate.paper_f1 import as_text

    print(as_text())
