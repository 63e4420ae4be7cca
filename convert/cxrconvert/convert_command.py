"""`cxrconvert RUN`: from the folder of a training run to the folder of a bundle."""

import argparse
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

from cxrconvert.edgetpu.compiler_settings import CompilerSettings, read_settings
from cxrconvert.settings import Settings

STAGES = ("export", "rebuild", "quantise", "lint", "compile", "parity", "calibrate", "film-check", "golden", "bundle")


def today() -> str:
    """Return the day in UTC, as bundles are numbered: 2026.11.23."""
    return datetime.now(UTC).strftime("%Y.%m.%d")


def add_convert_command(commands) -> None:
    """Add `convert` to the commands of `cxrconvert`."""
    parser = commands.add_parser(
        "convert",
        help="convert a training run to a bundle; the word may be left out",
        epilog=f"The stages are {', '.join(STAGES)}. Each writes a folder with its artefacts and report.json; "
        "one that is up to date is not run again.",
    )
    parser.add_argument("run_folder", metavar="RUN", type=Path, help="folder that `cxrtrain fit` wrote")
    parser.add_argument("--films", type=Path, required=True, help="folder of the films that the run was trained on")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the bundle")
    parser.add_argument("--name", help="of the bundle; default: the name of its folder")
    parser.add_argument("--version", default=today(), help="of the bundle; default: the day, now %(default)s")
    parser.add_argument("--key", type=Path, help="private key that signs the bundle, from `cxrconvert keygen`")
    parser.add_argument(
        "--calibration-films",
        type=int,
        default=Settings.calibration_films,
        help="training films to measure ranges on, one of a patient; default %(default)s",
    )
    parser.add_argument(
        "--measured-films", type=int, help="measure on at most so many films of each part; default: all"
    )
    parser.add_argument(
        "--allow-failed-gates",
        action="store_true",
        help="make the bundle even where conversion changed the network too much; its card says so",
    )
    parser.add_argument(
        "--compiler-settings", type=Path, metavar="TOML", help="where edgetpu_compiler is; see `compile`"
    )
    parser.add_argument("--work", type=Path, help="folder of the stages; default RUN/conversion")
    parser.add_argument("--until", choices=STAGES, help="stop after this stage; the same command goes on from there")
    parser.add_argument("--again", choices=STAGES, help="run this stage and all after it even if they are up to date")
    parser.add_argument("--force", action="store_true", help="replace a bundle that is there")
    parser.set_defaults(run=run_convert_command)


def run_convert_command(arguments: argparse.Namespace) -> None:
    """Run `convert` with parsed arguments."""
    from cxrconvert.convert import convert  # TensorFlow takes seconds to import, and other commands do without it

    own = {"run", "compiler"}
    given = {field.name: getattr(arguments, field.name) for field in fields(Settings) if field.name not in own}
    given["name"] = arguments.name or arguments.output.resolve().name
    compiler = read_settings(arguments.compiler_settings) if arguments.compiler_settings else CompilerSettings()
    convert(Settings(run=arguments.run_folder, compiler=compiler, **given))
