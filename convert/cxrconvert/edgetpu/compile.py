"""Run edgetpu_compiler where the workstation has one, and take its result only if the TPU runs the work."""

import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrconvert.edgetpu.compiled import CompiledModel, read_compiled
from cxrconvert.edgetpu.compiler_log import CompilerReport, parse_log
from cxrconvert.edgetpu.compiler_settings import CompilerSettings
from cxrconvert.edgetpu.graph import Graph, read_graph
from cxrconvert.errors import CompilerError, ConvertError, NoCompilerError, NotTfliteError

NOT_COMPILED = "not compiled"
MODEL, COMPILED = "model.tflite", "model_edgetpu.tflite"
# What shells, docker and ssh answer where there is no such program, container or host.
NOT_THERE = (125, 126, 127, 255)
BANNER = "Edge TPU Compiler"
PATIENCE = 5.0  # seconds between asking a command to end and ending it


@dataclass(frozen=True)
class Compilation:
    """A model that was compiled, and that the gate let pass.

    Attributes
    ----------
    content : bytes
        The compiled file.
    report : CompilerReport
    model : CompiledModel
        What stands in the file.
    """

    content: bytes
    report: CompilerReport
    model: CompiledModel


def compile_model(content: bytes, settings: CompilerSettings) -> Compilation:
    """Compile a model for the Edge TPU.

    Raises
    ------
    NotTfliteError
        If the bytes are no TFLite file.
    NoCompilerError
        If there is no compiler where the settings say.
    CompilerError
        If it fails, takes too long, or leaves work to the CPU.
    """
    before = read_graph(content)
    with tempfile.TemporaryDirectory(prefix="cxr-edgetpu-") as name:
        folder = Path(name)
        (folder / MODEL).write_bytes(content)
        log = _run_compiler(folder, settings)
        report = parse_log(log)
        faults = report.faults()
        if faults:
            raise CompilerError(f"edgetpu_compiler's result is not for the box: {'; '.join(faults)}")
        made, after = _read_made(folder / COMPILED)
    model = read_compiled(after)
    faults = [*model.faults(), *_changed_ends(before, after)]
    if faults:
        raise CompilerError(f"the compiled file is not for the box: {'; '.join(faults)}")
    return Compilation(made, report, model)


def edgetpu_facts(compilation: Compilation | None) -> dict[str, Any]:
    """Return what a manifest says of the Edge TPU: "not compiled", or the compiler's figures.

    Parameters
    ----------
    compilation : Compilation or None
        None where there was no compiler.
    """
    if compilation is None:
        return {"edgetpu": NOT_COMPILED}
    report = compilation.report
    [segment] = report.segments
    return {
        "edgetpu": {
            "compiler": report.version,
            "subgraphs": segment.subgraphs,
            "operations": sum(row.count for row in segment.rows),
            "operations_on_tpu": segment.mapped,
            "operations_on_cpu": compilation.model.cpu_operators,
            "on_chip_bytes": segment.on_chip_bytes,
            "on_chip_remaining_bytes": segment.on_chip_remaining_bytes,
            "off_chip_bytes": segment.off_chip_bytes,
            "bytes": len(compilation.content),
            "sha256": hashlib.sha256(compilation.content).hexdigest(),
        }
    }


def _run_compiler(folder: Path, settings: CompilerSettings) -> str:
    """Return what the compiler printed; the compiled file then stands in the folder."""
    limit = ("-t", str(settings.seconds))  # its own limit is shorter: 180 s
    words = (*settings.command, settings.compiler, "-s", *limit, "-o", str(folder), str(folder / MODEL))
    _transfer(settings.send, folder, settings.seconds, NoCompilerError)
    status, log = _run(words, folder, settings.seconds)
    if status and not parse_log(log).errors:  # those are sentences of their own
        if status in NOT_THERE and BANNER not in log:
            raise NoCompilerError(f"{' '.join(words[:3])} ... answers {status}: {_last_line(log)}; check the settings")
        raise CompilerError(f"edgetpu_compiler ended with status {status}: {_last_line(log)}")
    if not status:
        _transfer(settings.fetch, folder, settings.seconds, CompilerError)
    return log


def _transfer(words: tuple[str, ...], folder: Path, seconds: int, error: type[ConvertError]) -> None:
    """Send or fetch the folder, where a command for that is set."""
    if not words:
        return
    status, log = _run(words, folder, seconds)
    if status:
        raise error(f"{' '.join(words[:2])} ... ended with status {status}: {_last_line(log)}; check the settings")


def _run(words: tuple[str, ...], folder: Path, seconds: int) -> tuple[int, str]:
    """Run a command, {folder} filled in, and return its status and all that it printed."""
    words = tuple(word.replace("{folder}", str(folder)) for word in words)
    if shutil.which(words[0]) is None:
        raise NoCompilerError(f"there is no program {words[0]!r} here; install it or name another in the settings")
    pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    try:
        # A session of its own, so that the whole of it can be ended: a prefix has children.
        process = subprocess.Popen(words, **pipes, text=True, errors="replace", start_new_session=True)
    except OSError as err:
        raise NoCompilerError(f"{words[0]!r} cannot be run: {err.strerror}; give another in the settings") from err
    try:
        log, _ = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as err:
        raise CompilerError(f"{words[0]!r} took longer than {seconds} s; set more seconds") from err
    finally:
        _end(process)
    return process.returncode, log


def _end(process: subprocess.Popen) -> None:
    """End a command that is still running, with its children: asked first, so that docker ends its container."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(PATIENCE)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    process.stdout.close()


def _read_made(path: Path) -> tuple[bytes, Graph]:
    """Return the compiled file, and what stands in it."""
    try:
        content = path.read_bytes()
        return content, read_graph(content)
    except OSError as err:
        raise CompilerError(
            f"the compiler left no {path.name} in its folder; let it see that folder, or set send and fetch"
        ) from err
    except NotTfliteError as err:
        raise CompilerError(f"the compiler left {err}") from err


def _changed_ends(before: Graph, after: Graph) -> list[str]:
    """Return how the ends differ from those that the box knows of the int8 model."""
    ends = [[(end.type, end.shape) for end in (*graph.inputs, *graph.outputs)] for graph in (before, after)]
    return [] if ends[0] == ends[1] else [f"its ends are {ends[1]} and were {ends[0]}"]


def _last_line(log: str) -> str:
    lines = log.strip().splitlines()
    return lines[-1] if lines else "(no word)"
