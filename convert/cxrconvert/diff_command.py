"""`cxrconvert diff`: what an update would change, before it is made."""

import argparse
import json
from pathlib import Path
from typing import Any

from cxrbundle.bundle import load_bundle
from cxrbundle.labels import readable

from cxrconvert.card import number, table, with_interval
from cxrconvert.errors import FilmsError

# Lines of films whose verdict changes; --json has all.
MOST_LINES = 20


def add_diff_command(commands) -> None:
    """Add `diff` to the commands of `cxrconvert`."""
    parser = commands.add_parser("diff", help="say what changes for the user from one bundle to another")
    for name, which in (("before", "A"), ("after", "B")):
        parser.add_argument(name, metavar=which, type=Path, help="folder or .cxrbundle file")
    parser.add_argument("--films", metavar="FOLDER", type=Path, help="pictures to read with both; default: phantoms")
    parser.add_argument("--run", metavar="RUN", type=Path, dest="of_run", help="read this run's test films of --films")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run_diff_command)


def run_diff_command(arguments: argparse.Namespace) -> None:
    """Run `diff` with parsed arguments."""
    from cxrconvert.diff import compare_bundles  # the runtimes take a second to import

    if arguments.of_run and not arguments.films:
        raise FilmsError("--run names films of a run, so --films must name the folder they lie in")
    if arguments.films and not arguments.films.is_dir():
        raise FilmsError(f"{arguments.films} is no folder; name the folder of the films with --films")
    bundles = [load_bundle(path) for path in (arguments.before, arguments.after)]
    difference = compare_bundles(*bundles, arguments.films, arguments.of_run)
    print(json.dumps(difference, indent=2) if arguments.json else describe(difference))


def describe(difference: dict[str, Any]) -> str:
    """Return a difference as Markdown for people."""
    before, after = difference["bundles"]
    return "\n\n".join(
        [
            f"# {before['title']} ({before['sha256'][:12]}) to {after['title']} ({after['sha256'][:12]})",
            _films(difference["films"]),
            "Thresholds are likelihoods; AUC as each manifest states it, measured through int8 on "
            f"{before['films']} and {after['films']} test films, with 95 % intervals; "
            "the last column is the mean change of the likelihood.",
            _findings(difference),
        ]
    )


def _films(films: dict[str, Any]) -> str:
    """Return what changes for whole films."""
    where = films["folder"] or "golden phantoms, which are drawn: name --films to see what real films say"
    rates = table(
        ["of the films", "before", "after"],
        [
            [words, *(f"{share:.1%}" for share in films[key])]
            for words, key in (("something above", "referral_rate"), ("else something uncertain", "uncertain_rate"))
        ],
    )
    lines = [f"- {of['film']}: {' to '.join(of['verdict'])}" for of in films["changed"][:MOST_LINES]]
    if len(films["changed"]) > MOST_LINES:
        lines.append(f"- {len(films['changed']) - MOST_LINES} more; --json names all")
    changed = f"{len(films['changed'])} of {films['count']} films get another verdict."
    return "\n\n".join([f"{films['count']} films ({where})", rates, "\n".join([changed, *lines])])


def _findings(difference: dict[str, Any]) -> str:
    """Return what changes for each finding."""
    rows = [
        [
            readable(finding),
            *_aucs(of["figures"]),
            *(_pair(of[key], number) for key in ("above_from", "uncertain_from")),
            *(_pair(of[key], "{:.1%}".format) for key in ("share_above", "share_uncertain")),
            f"{of['mean_likelihood_change']:+.3f}",
        ]
        for finding, of in difference["findings"].items()
    ]
    mean = ["**mean**", *_aucs(difference["mean_auc"]), *[""] * 5]
    head = ["finding", "AUC before", "after", "above from", "uncertain from", "share above", "uncertain", "likelihood"]
    return table(head, [*rows, mean])


def _aucs(figures: list[dict]) -> list[str]:
    return [with_interval(side, "auc") for side in figures]


def _pair(values: list, show) -> str:
    """Return both sides as people read them: "0.112 to 0.131", once where they are alike."""
    before, after = (show(value) for value in values)
    return before if before == after else f"{before} to {after}"
