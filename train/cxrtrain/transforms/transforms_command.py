"""`cxrtrain transforms`: figures of what training does to a film."""

import argparse
import logging
from pathlib import Path
from typing import get_args

from cxrtrain.errors import FilmsError
from cxrtrain.recipe import TransformSettings

log = logging.getLogger(__name__)
# Those that a recipe knows; the presets themselves need torch.
PRESETS = get_args(TransformSettings.model_fields["preset"].annotation)


def add_transforms_command(commands) -> None:
    """Add `transforms` to the commands of `cxrtrain`."""
    parser = commands.add_parser("transforms", help="draw a film as the presets of random changes show it to training")
    parser.add_argument("films", type=Path, metavar="FOLDER", help="folder that `cxrtrain prepare` wrote")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the figures")
    said = "a preset to draw; may be named several times; default: all"
    parser.add_argument("--preset", choices=PRESETS, action="append", help=said)
    parser.set_defaults(run=run_transforms_command)


def run_transforms_command(arguments: argparse.Namespace) -> None:
    """Run `transforms` with parsed arguments."""
    write_transforms(arguments.films, arguments.output, arguments.preset or PRESETS)


def write_transforms(folder: Path, output: Path, presets: tuple[str, ...] | list[str]) -> None:
    """Write OUTPUT/transforms-PRESET.png and .svg for each preset: the first film of a prepared folder.

    Raises
    ------
    FilmsError
        If the folder is not prepared, or the figures cannot be written.
    """
    # Not at the top: the other commands need no torch.
    import torch

    from cxrtrain.data.prepared import open_prepared
    from cxrtrain.transforms.figure import draw_transforms

    films = torch.from_numpy(open_prepared(folder).pixels[:1].copy())
    try:
        output.mkdir(parents=True, exist_ok=True)
        for preset in presets:
            draw_transforms(films, preset, output / f"transforms-{preset}")
    except OSError as err:
        raise FilmsError(f"{output} cannot be written ({err.strerror}); make room or name another with -o") from err
    log.info("%s: figures of %s", output, ", ".join(presets))
