"""`cxrconvert compile`: from an int8 model to one for the Edge TPU, where the workstation has the compiler."""

import argparse
import dataclasses
import json
import shlex
import sys
from pathlib import Path

from cxrconvert.edgetpu.compile import NOT_COMPILED, Compilation, compile_model, edgetpu_facts
from cxrconvert.edgetpu.compiler_settings import CompilerSettings, read_settings
from cxrconvert.errors import ConvertError, NoCompilerError, NotTfliteError
from cxrconvert.writing import write_file

REFUSED, NO_TFLITE, NO_COMPILER = 1, 3, 4


def add_compile_command(commands) -> None:
    """Add `compile` to the commands of `cxrconvert`."""
    parser = commands.add_parser(
        "compile",
        help="compile a model for the Edge TPU with the workstation's edgetpu_compiler, and check the result",
        epilog=f"exit status: 0 compiled, {REFUSED} failed or refused, {NO_TFLITE} no TFLite file, "
        f"{NO_COMPILER} there is no compiler: edgetpu: {NOT_COMPILED}",
    )
    parser.add_argument("model", type=Path, metavar="MODEL.tflite")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="OUT", help="the compiled file; replaced")
    parser.add_argument("--settings", type=Path, metavar="TOML", help="file of these settings; options override it")
    default = f"default {CompilerSettings.compiler}"
    parser.add_argument("--compiler", metavar="PATH", help=f"name or path of edgetpu_compiler where it runs; {default}")
    said = 'prefix, such as "docker run --rm -v {folder}:{folder} IMAGE"; {folder} holds model and result'
    parser.add_argument("--command", dest="prefix", type=shlex.split, metavar="WORDS", help=said)
    parser.add_argument("--seconds", type=int, help=f"time limit; default {CompilerSettings.seconds}")
    parser.add_argument("--json", action="store_true", help="print what the manifest says, as one JSON object")
    parser.set_defaults(run=run_compile_command)


def run_compile_command(arguments: argparse.Namespace) -> int:
    """Compile one file and return the exit status; nothing is written unless the result passes."""
    try:
        compilation = compile_model(_read(arguments.model), _settings(arguments))
        write_file(arguments.output, compilation.content)
    except NoCompilerError as err:
        _say(arguments.json, None, f"{NOT_COMPILED}: {err}")
        return NO_COMPILER
    except ConvertError as err:
        print(f"cxrconvert: {arguments.model}: {err}", file=sys.stderr)
        return NO_TFLITE if isinstance(err, NotTfliteError) else REFUSED
    _say(arguments.json, compilation, _summary(compilation))
    return 0


def _settings(arguments: argparse.Namespace) -> CompilerSettings:
    """Return the settings of the file, if there is one, with the options over them."""
    settings = read_settings(arguments.settings) if arguments.settings else CompilerSettings()
    said = {"compiler": arguments.compiler, "command": arguments.prefix, "seconds": arguments.seconds}
    given = {name: tuple(v) if isinstance(v, list) else v for name, v in said.items() if v is not None}
    return dataclasses.replace(settings, **given)


def _say(as_json: bool, compilation: Compilation | None, words: str) -> None:
    """Print the outcome; with --json the words go to stderr."""
    if as_json:
        print(json.dumps(edgetpu_facts(compilation), indent=2))
    print(f"edgetpu: {words}", file=sys.stderr if as_json else sys.stdout)


def _summary(compilation: Compilation) -> str:
    facts = edgetpu_facts(compilation)["edgetpu"]
    sizes = [f"{name} {facts[f'{name}_bytes']} bytes" for name in ("on_chip", "off_chip")]
    return (
        f"compiled by {facts['compiler']}, {facts['operations_on_tpu']} of {facts['operations']} operations in "
        f"{facts['subgraphs']} subgraph; parameters {', '.join(sizes).replace('_', '-')}"
    )


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as err:
        raise NotTfliteError(f"it cannot be read: {err.strerror}") from err
