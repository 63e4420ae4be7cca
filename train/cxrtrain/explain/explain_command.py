"""`cxrtrain explain`: where a network looks, on films that it was not trained on."""

import argparse
from pathlib import Path

from cxrbundle.labels import FINDINGS

from cxrtrain.data.films import TEST, VALIDATION
from cxrtrain.explain.settings import FOLDER, METHODS, ExplainSettings


def add_explain_command(commands) -> None:
    """Add `explain` to the commands of `cxrtrain`."""
    parser = commands.add_parser("explain", help="draw where the network of a run looks; films appear in the figures")
    parser.add_argument("run_folder", metavar="RUN", type=Path, help="folder of a finished run")
    parser.add_argument("--films", type=Path, required=True, help="folder that the paths of RUN/films.csv are below")
    parser.add_argument(
        "--finding", dest="findings", nargs="+", choices=FINDINGS, default=(), metavar="F", help="default: all"
    )
    said = "names of films to draw; default: of each finding the film with it that scores highest"
    parser.add_argument("--film", dest="images", nargs="+", default=(), metavar="NAME", help=said)
    said = f"{', '.join(METHODS)}; default: all that the head allows"
    parser.add_argument("--method", dest="methods", nargs="+", choices=METHODS, default=(), metavar="M", help=said)
    said = f"{VALIDATION} (default) or {TEST}; never the films that were trained on"
    parser.add_argument("--part", default=ExplainSettings.part, help=said)
    said = "films of each finding to measure the heat at the border on; default %(default)s"
    parser.add_argument("--limit", type=int, default=ExplainSettings.limit, help=said)
    parser.add_argument("--boxes", type=Path, help="NIH's BBox_List_2017.csv: measure localisation")
    said = "folder with a manifest.csv of more films below --films to measure localisation on"
    parser.add_argument("--boxed-films", type=Path, help=said)
    parser.add_argument("-o", "--output", type=Path, help=f"folder; default RUN/{FOLDER}")
    parser.set_defaults(run=run_explain_command)


def run_explain_command(arguments: argparse.Namespace) -> None:
    """Run `explain` with parsed arguments."""
    from cxrtrain.explain.explain import explain_run  # torch takes seconds to import

    given = vars(arguments)
    named = {name: given[name] for name in ExplainSettings.__dataclass_fields__ if name != "run"}
    lists = {name: tuple(value) for name, value in named.items() if isinstance(value, list)}
    explain_run(ExplainSettings(**named | lists, run=arguments.run_folder))
