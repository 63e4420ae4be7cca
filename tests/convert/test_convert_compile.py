"""The compiler's log, its result, and the process: edgetpu_compiler itself cannot be had on this machine.

The log texts are built here from the documented lines and statuses; none was recorded. The process is a small Python
program that prints such a log and leaves a file with the custom operator, as the compiler does.
"""

import argparse
import hashlib
import json
import os
import re
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.tools import flatbuffer_utils
from cxrconvert.edgetpu.compile import compile_model, edgetpu_facts
from cxrconvert.edgetpu.compile_command import add_compile_command
from cxrconvert.edgetpu.compiled import CUSTOM_OPERATOR, read_compiled
from cxrconvert.edgetpu.compiler_log import MAPPED, STATUSES, parse_log
from cxrconvert.edgetpu.compiler_settings import CompilerSettings, read_settings
from cxrconvert.edgetpu.graph import read_graph
from cxrconvert.edgetpu.lint import Verdict, lint
from cxrconvert.edgetpu.lint_command import add_lint_command
from cxrconvert.errors import CompilerError, CompilerSettingsError, NoCompilerError, NotCompiledError, NotTfliteError

ROWS = (("CONV_2D", 33, MAPPED), ("DEPTHWISE_CONV_2D", 16, MAPPED), ("ADD", 9, MAPPED), ("QUANTIZE", 2, MAPPED))
PROGRAM = b"\0" * 12 + b"DWN1" + b"\0" * 48


def built_log(rows=ROWS, subgraphs=1, succeeded=True, segments=1):
    """A log as the documentation describes it."""
    total, mapped = sum(row[1] for row in rows), sum(row[1] for row in rows if row[2] == MAPPED)
    lines = ["Edge TPU Compiler version 16.0.384591198", "Started a compilation timeout timer of 180 seconds.", ""]
    lines += ["Model compiled successfully in 1524 ms.", ""] if succeeded else []
    for i in range(segments):
        lines += [
            "Input model: /work/model.tflite",
            "Input size: 3.76MiB",
            f"Output model: model_{i}_edgetpu.tflite",
            "Output size: 4.43MiB",
            "On-chip memory used for caching model parameters: 3.96MiB",
            "On-chip memory remaining for caching model parameters: 3.50KiB",
            "Off-chip memory used for streaming uncached model parameters: 0.00B",
            f"Number of Edge TPU subgraphs: {subgraphs}",
            f"Total number of operations: {total}",
            "Operation log: model_edgetpu.log",
        ]
    if mapped < total:
        lines += [
            "",
            "Model successfully compiled but not all operations are supported by the Edge TPU.",
            f"Number of operations that will run on Edge TPU: {mapped}",
            f"Number of operations that will run on CPU: {total - mapped}",
        ]
    lines += ["See the operation log file for individual operation details.", ""]
    lines += ["Operator                       Count      Status", ""]
    lines += [f"{name:<31}{count:<11}{status}" for name, count, status in rows]
    return "\n".join((*lines, "Compilation child process completed within timeout period.", "Compilation succeeded!"))


def test_a_log_is_read_line_by_line():
    report = parse_log(built_log())
    assert (report.version, report.milliseconds, report.errors) == ("16.0.384591198", 1524, [])
    [segment] = report.segments
    assert (segment.input_model, segment.output_model) == ("/work/model.tflite", "model_0_edgetpu.tflite")
    assert (segment.input_bytes, segment.output_bytes) == (round(3.76 * 2**20), round(4.43 * 2**20))
    assert (segment.on_chip_bytes, segment.on_chip_remaining_bytes, segment.off_chip_bytes) == (
        round(3.96 * 2**20),
        3584,
        0,
    )
    assert (segment.subgraphs, segment.operations, segment.on_tpu, segment.on_cpu) == (1, 60, None, None)
    assert [(row.operator, row.count, row.status) for row in segment.rows] == list(ROWS)
    assert report.faults() == []


@pytest.mark.parametrize("status", STATUSES[1:])
def test_every_status_but_mapped_keeps_a_heavy_operator_from_the_box(status):
    report = parse_log(built_log((*ROWS, ("CONV_2D", 2, status))))
    [segment] = report.segments
    assert (segment.mapped, segment.on_tpu, segment.on_cpu) == (60, 60, 2)
    assert [row.status for row in segment.rows if row.operator == "CONV_2D"] == [MAPPED, status]
    assert report.faults() == [f"2 CONV_2D stayed on the CPU: {status}"]
    assert parse_log(built_log((*ROWS, ("QUANTIZE", 1, status)))).faults() == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (built_log([(name, count, STATUSES[1]) for name, count, _ in ROWS], 0), "no operation runs on the Edge TPU"),
        (built_log(subgraphs=2), "it has 2 Edge TPU subgraphs instead of 1"),
        (built_log(segments=2), "the log speaks of 2 outputs instead of 1"),
        (built_log(rows=()), "no table of operations"),
        (built_log(succeeded=False), "does not say that it succeeded"),
        (built_log().replace("Total number of operations: 60", "Total number of operations: 61"), "counts 61"),
        ("", "does not say that it succeeded"),
        ("Invalid model: model.tflite\nModel not quantized", "Model not quantized"),
        ("Invalid model: model.tflite\nModel could not be parsed", "Model could not be parsed"),
        ("Internal compiler error. Aborting!", "Internal compiler error. Aborting!"),
        (
            "ERROR: Didn't find op for builtin opcode 'CONV_2D' version '6'. An older version of this builtin might be "
            "supported. Are you using an old TFLite binary with a newer model?\n\nERROR: Registration failed.\n",
            "Didn't find op for builtin opcode 'CONV_2D' version '6'",
        ),
    ],
)
def test_a_log_that_is_not_good_enough_says_why(text, words):
    assert words in "; ".join(parse_log(text).faults())


def test_both_lines_of_a_fatal_error_are_kept():
    report = parse_log("ERROR: Didn't find op for builtin opcode 'CONV_2D' version '6'\nERROR: Registration failed.")
    assert len(report.errors) == 2
    assert not report.succeeded


def test_segments_are_read_apart():
    report = parse_log(built_log(segments=3))
    assert [segment.output_model for segment in report.segments] == [f"model_{i}_edgetpu.tflite" for i in range(3)]


@pytest.fixture(scope="module")
def body(bundle_folder):
    return (bundle_folder / "body.tflite").read_bytes()


def compiled_file(body, program=PROGRAM, parts=1, keep=()):
    """A body with its operators replaced by custom ones, but for some kinds that stay."""
    model = flatbuffer_utils.read_model_from_bytearray(body)
    graph = model.subgraphs[0]
    left = [op for op in graph.operators if flatbuffer_utils.opcode_to_name(model, op.opcodeIndex) in keep]
    code = schema.OperatorCodeT()
    code.builtinCode = schema.BuiltinOperator.CUSTOM
    code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = CUSTOM_OPERATOR.encode()
    model.operatorCodes.append(code)
    custom = schema.OperatorT()
    custom.opcodeIndex = len(model.operatorCodes) - 1
    custom.inputs, custom.outputs = list(graph.inputs), list(graph.outputs)
    custom.customOptions = np.frombuffer(program, np.uint8)
    graph.operators = [*[custom] * parts, *left]
    return bytes(flatbuffer_utils.convert_object_to_bytearray(model))


def test_a_compiled_model_says_what_stays_on_the_cpu(body):
    model = read_compiled(read_graph(compiled_file(body, keep=("QUANTIZE", "ADD"))))
    assert (model.subgraphs, model.marked, model.program_bytes) == (1, True, len(PROGRAM))
    assert model.cpu_operators == {"ADD": 9, "QUANTIZE": 2}
    assert model.faults() == ()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"parts": 2}, "it has 2 Edge TPU subgraphs"),
        ({"program": PROGRAM[1:]}, "lacks the mark DWN1 at byte 12"),
        ({"keep": ("DEPTHWISE_CONV_2D",)}, "16 DEPTHWISE_CONV_2D stayed on the CPU"),
    ],
)
def test_a_compiled_model_that_is_not_for_the_box_says_why(body, changes, words):
    assert words in "; ".join(read_compiled(read_graph(compiled_file(body, **changes))).faults())


def test_an_ordinary_model_is_not_taken_for_a_compiled_one(body):
    with pytest.raises(NotCompiledError, match=f"has no {CUSTOM_OPERATOR}"):
        read_compiled(read_graph(body))


@pytest.mark.parametrize(("keep", "status"), [((), 0), (("QUANTIZE",), 1), (("CONV_2D",), 1)])
def test_lint_takes_a_compiled_model_as_it_is(body, tmp_path, capsys, keep, status):
    path = tmp_path / "body_edgetpu.tflite"
    path.write_bytes(compiled_file(body, keep=keep))
    assert run(add_lint_command, "lint", path) == status
    said = capsys.readouterr().out
    assert "as compiled" in said
    assert "predict" not in said
    assert all(re.search(rf"^\d+ {name} on the CPU$", said, re.MULTILINE) for name in keep)
    report = lint(path.read_bytes())
    assert (report.verdict, report.subgraphs, report.latency) == (Verdict(status), 1, None)


COMPILER = """#!{python}
import pathlib, sys, time
folder, model = sys.argv[sys.argv.index("-o") + 1], sys.argv[-1]
assert "-s" in sys.argv and pathlib.Path(model).read_bytes()[4:8] == b"TFL3"
here = pathlib.Path(__file__).parent
(here / "words").write_text("\\n".join(sys.argv[1:]))
time.sleep({sleep})
print((here / "log").read_text())
made = here / "made"
if made.exists():
    (pathlib.Path(folder) / "model_edgetpu.tflite").write_bytes(made.read_bytes())
sys.exit({status})
"""


@pytest.fixture
def workstation(tmp_path, body):
    """A function that puts a program in the compiler's place: it prints a log and leaves a file."""

    def install(log=None, made=None, status=0, sleep=0):
        program = tmp_path / "edgetpu_compiler"
        program.write_text(COMPILER.format(python=sys.executable, sleep=sleep, status=status))
        program.chmod(0o755)
        (tmp_path / "log").write_text(built_log() if log is None else log)
        if made != b"":
            (tmp_path / "made").write_bytes(compiled_file(body) if made is None else made)
        (tmp_path / "model.tflite").write_bytes(body)
        return program

    return install


def run(add, *words):
    parser = argparse.ArgumentParser()
    add(parser.add_subparsers())
    arguments = parser.parse_args([str(word) for word in words])
    return arguments.run(arguments)


def compile_here(tmp_path, *words):
    model, out = tmp_path / "model.tflite", tmp_path / "out" / "body_edgetpu.tflite"
    return run(add_compile_command, "compile", model, "-o", out, *words), out


def test_a_model_is_compiled_and_the_manifest_knows_it(workstation, tmp_path, capsys):
    status, out = compile_here(tmp_path, "--compiler", workstation(), "--seconds", 100, "--json")
    said = capsys.readouterr()
    assert (status, out.read_bytes()) == (0, (tmp_path / "made").read_bytes())
    assert json.loads(said.out) == {
        "edgetpu": {
            "compiler": "16.0.384591198",
            "subgraphs": 1,
            "operations": 60,
            "operations_on_tpu": 60,
            "operations_on_cpu": {},
            "on_chip_bytes": round(3.96 * 2**20),
            "on_chip_remaining_bytes": 3584,
            "off_chip_bytes": 0,
            "bytes": out.stat().st_size,
            "sha256": hashlib.sha256(out.read_bytes()).hexdigest(),
        }
    }
    assert said.err.startswith("edgetpu: compiled by 16.0.384591198, 60 of 60 operations in 1 subgraph;")
    assert (tmp_path / "words").read_text().split("\n")[:3] == ["-s", "-t", "100"]


def test_a_prefix_takes_the_compiler_elsewhere(workstation, tmp_path):
    """A line of Python stands for docker or ssh: it takes words of its own and runs the rest."""
    workstation()
    prefix = f"{sys.executable} -c 'import os, sys; os.execvp(sys.argv[2], sys.argv[2:])' {{folder}}"
    status, out = compile_here(tmp_path, "--compiler", tmp_path / "edgetpu_compiler", "--command", prefix)
    assert (status, out.exists()) == (0, True)


def test_a_host_without_the_folder_is_sent_it_and_gives_it_back(workstation, tmp_path, body):
    """`cp` stands for rsync, and another path of this machine for the host."""
    workstation()
    host = tmp_path / "host"
    elsewhere = (
        "import os, sys; w = [word.replace(sys.argv[1], sys.argv[2]) for word in sys.argv[3:]]; os.execv(w[0], w)"
    )
    settings = CompilerSettings(
        compiler=str(tmp_path / "edgetpu_compiler"),
        command=(sys.executable, "-c", elsewhere, "{folder}", str(host)),
        send=("cp", "-r", "{folder}", str(host)),
        fetch=("cp", "-r", f"{host}/.", "{folder}"),
    )
    assert compile_model(body, settings).content == (tmp_path / "made").read_bytes()
    assert (host / "model_edgetpu.tflite").exists()


def assert_not_compiled(status, out, capsys, words):
    said = capsys.readouterr().out
    assert status == 4
    assert re.fullmatch(rf"edgetpu: not compiled: .*{words}.*\n", said)
    assert not out.exists()


def test_without_a_compiler_nothing_pretends(workstation, tmp_path, capsys):
    workstation()
    words = "there is no program 'no-such-compiler' here"
    assert_not_compiled(*compile_here(tmp_path, "--compiler", "no-such-compiler"), capsys, words)
    assert_not_compiled(*compile_here(tmp_path, "--command", "no-such-compiler run"), capsys, words)
    assert edgetpu_facts(None) == {"edgetpu": "not compiled"}
    assert compile_here(tmp_path, "--compiler", "no-such-compiler", "--json")[0] == 4
    assert json.loads(capsys.readouterr().out) == {"edgetpu": "not compiled"}


def test_a_prefix_that_finds_no_compiler_nothing_pretends(workstation, tmp_path, capsys):
    workstation()
    outcome = compile_here(tmp_path, "--compiler", "no-such-compiler", "--command", "env")
    assert_not_compiled(*outcome, capsys, r"env no-such-compiler -s \.\.\. answers 127: .*No such file")


def test_a_program_that_cannot_be_run_is_no_compiler(workstation, body):
    program = workstation()
    program.write_bytes(b"\x7fELF of another machine")
    with pytest.raises(NoCompilerError, match="cannot be run"):
        compile_model(body, CompilerSettings(compiler=str(program)))


@pytest.mark.parametrize(
    ("installed", "words"),
    [
        ({"log": "Invalid model: m\nModel not quantized", "status": 1}, "Model not quantized"),
        ({"log": "Edge TPU Compiler version 16.0.384591198\nkilled", "status": 255}, "ended with status 255: killed"),
        ({"log": built_log(((*ROWS[0][:2], STATUSES[3]), *ROWS[1:]))}, "33 CONV_2D stayed on the CPU"),
        ({"made": b""}, "left no model_edgetpu.tflite"),
        ({"made": b"garbage"}, "the compiler left no TFLite file"),
        ({"log": "Internal compiler error. Aborting!", "status": 255}, "Internal compiler error. Aborting!"),
    ],
)
def test_what_does_not_pass_is_refused_and_not_written(workstation, tmp_path, capsys, installed, words):
    status, out = compile_here(tmp_path, "--compiler", workstation(**installed))
    said = capsys.readouterr()
    assert (status, said.out, out.exists()) == (1, "", False)
    assert words in said.err
    assert said.err.count("\n") == 1


def test_a_good_log_does_not_save_a_bad_file(workstation, body):
    settings = CompilerSettings(compiler=str(workstation(made=body)))
    with pytest.raises(NotCompiledError, match="nothing of it runs on an Edge TPU"):
        compile_model(body, settings)
    workstation(made=compiled_file(body, parts=2))
    with pytest.raises(CompilerError, match="it has 2 Edge TPU subgraphs"):
        compile_model(body, settings)
    turned = flatbuffer_utils.read_model_from_bytearray(compiled_file(body))
    turned.subgraphs[0].outputs = turned.subgraphs[0].inputs
    workstation(made=bytes(flatbuffer_utils.convert_object_to_bytearray(turned)))
    with pytest.raises(CompilerError, match="its ends are"):
        compile_model(body, settings)


def test_a_compiler_that_hangs_is_ended_with_its_children(workstation, tmp_path, body):
    """The prefix is a shell with the compiler as a child that would sleep for ten minutes."""
    program = workstation(sleep=600)
    shell = ("sh", "-c", f'"$@" & echo $! > {tmp_path}/child; wait', "sh")
    with pytest.raises(CompilerError, match="took longer than 3 s; set more seconds"):
        compile_model(body, CompilerSettings(compiler=str(program), command=shell, seconds=3))
    child = int((tmp_path / "child").read_text())
    deadline = time.monotonic() + 30
    while is_alive(child) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not is_alive(child)


def is_alive(process):
    """Whether a process runs; one that ended and waits to be collected does not."""
    try:
        os.kill(process, 0)
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False


def test_what_is_no_model_is_not_compiled(workstation, tmp_path, body, capsys):
    program = workstation()
    (tmp_path / "model.tflite").write_bytes(b"garbage")
    assert compile_here(tmp_path, "--compiler", program)[0] == 3
    assert "no TFLite file" in capsys.readouterr().err
    with pytest.raises(NotTfliteError):
        compile_model(body[:1000], CompilerSettings(compiler=str(program)))


def test_settings_come_from_a_file_and_options_go_before_it(workstation, tmp_path):
    path = tmp_path / "compiler.toml"
    path.write_text('compiler = "no-such"\ncommand = ["env"]\nsend = ["true"]\nfetch = ["true"]\nseconds = 30\n')
    assert read_settings(path) == CompilerSettings("no-such", ("env",), ("true",), ("true",), 30)
    assert compile_here(tmp_path, "--settings", path, "--compiler", workstation())[0] == 0
    assert (tmp_path / "words").read_text().split("\n")[:3] == ["-s", "-t", "30"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('compilers = "a"', "unknown key 'compilers'; the keys are compiler, command, send, fetch, seconds"),
        ('command = "docker run"', "command is 'docker run'; give a list of words"),
        ("command = [1]", "give a list of words"),
        ('compiler = ""', "compiler is ''"),
        ("seconds = 0", "seconds is 0; give a whole number from 1 to 86400"),
        ("seconds = true", "seconds is True"),
        ('send = ["true"]', "send and fetch belong together"),
        ("not toml", "cannot be read as TOML"),
    ],
)
def test_settings_that_are_wrong_are_refused_by_name(tmp_path, text, words):
    path = tmp_path / "compiler.toml"
    path.write_text(text)
    with pytest.raises(CompilerSettingsError, match=re.escape(words)):
        read_settings(path)


def test_the_sentence_about_settings_reaches_the_user(workstation, tmp_path, capsys):
    workstation()
    assert compile_here(tmp_path, "--settings", tmp_path / "none.toml")[0] == 1
    assert "none.toml cannot be read as TOML" in capsys.readouterr().err
