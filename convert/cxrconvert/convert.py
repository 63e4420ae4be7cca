"""The whole way from a training run's folder to a bundle's folder, stage by stage."""

import csv
import hashlib
import json
import shutil
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from cxrbundle.labels import FINDINGS

from cxrconvert import bundle, provenance
from cxrconvert.bodies import OnnxBody, TfliteBody
from cxrconvert.channels import measure_reach
from cxrconvert.compose import compose_files, compose_manifest
from cxrconvert.edgetpu.compile import compile_model, edgetpu_facts
from cxrconvert.edgetpu.lint import check_for_edge_tpu, lint
from cxrconvert.edgetpu.lint_command import as_json
from cxrconvert.errors import NoCompilerError, QuantisationError, RunError
from cxrconvert.film_check.make import Eye, make_film_check, to_arrays
from cxrconvert.film_check.measure import measure_film_check
from cxrconvert.films import TEST, VALIDATION, label_array, load_inputs
from cxrconvert.gates import INT8, REBUILT, Gate, find_gates, stop_at_failed
from cxrconvert.golden import SEEDS, read_golden
from cxrconvert.integer import choose_ranges, make_int8
from cxrconvert.job import (
    EVEN,
    FILM_CHECK,
    FLOAT_BODY,
    GOLDEN,
    INT8_BODY,
    ONNX,
    READINGS,
    TPU_BODY,
    Job,
    file_times,
    open_job,
)
from cxrconvert.keys import read_private_key
from cxrconvert.layers import find_rebuilt_layer, rank_layers
from cxrconvert.metrics import number, patient_weights
from cxrconvert.onnxbody import input_shape, read_body
from cxrconvert.operating_point import choose_operating_point
from cxrconvert.parity import Measured, auc_loss, join, measure_parity, read_with
from cxrconvert.predictions import PREDICTIONS, read_predictions
from cxrconvert.quantise import to_float
from cxrconvert.rebuild import rebuild_body
from cxrconvert.run import BODY, FILMS, HEAD, RUN, Run, check_head
from cxrconvert.settings import Settings
from cxrconvert.stages import Stage, run_stages

Facts = dict[str, Any]
# Films on which the bodies are compared layer by layer.
LAYER_FILMS = 8


def convert(settings: Settings) -> None:
    """Convert a training run to a bundle; stages that are up to date are not run again.

    Raises
    ------
    ConvertError
        If the run, its films, its network or the output folder cannot be used, or a gate is not passed; there is then
        no new bundle.
    BundleError
        If the box would refuse the bundle.
    """
    bundle.check_output(settings.output, settings.force)
    bundle.check_title(settings.name, settings.version)
    if settings.key:
        read_private_key(settings.key)  # now, not after all the work
    job = open_job(settings)
    run_stages(STAGES, job, job.work, settings.until, settings.again)


def export(job: Job, folder: Path) -> Facts:
    """Check what training exported: the body is sound ONNX, the head fits it, and both give numbers."""
    run = job.run
    model = read_model(run)
    check_head(run, OnnxBody(model, run.scale, run.zero_point)(job.calibration[:1]))
    onnx.save(model, folder / ONNX[1])
    return {
        "network": run.facts["network"],
        "head_kind": run.head.kind,
        "size": run.size,
        "operators": dict(Counter(node.op_type for node in model.graph.node)),
        "films": dict(Counter(film.part for film in job.rows)),
    }


def read_model(run: Run) -> onnx.ModelProto:
    """Return a run's ONNX body; raise RunError unless it takes the films that run.json speaks of."""
    model = read_body(run.folder / BODY)
    if input_shape(model) != (1, 3, run.size, run.size):
        raise RunError(
            f"{run.folder / BODY} takes {input_shape(model)}, run.json says a size of {run.size}; "
            "take both from one training run"
        )
    return model


def rebuild(job: Job, folder: Path) -> Facts:
    """Rebuild the body in TensorFlow and write it as float TFLite: what the rebuilding alone does to it."""
    body = to_float(rebuild_body(job.model()))
    (folder / FLOAT_BODY[1]).write_bytes(body)
    return {"bytes": len(body)}


def quantise(job: Job, folder: Path) -> Facts:
    """Choose ranges, even out the channels, round the kernels and quantise, on training films of one patient each."""
    run, model, films, held_out = job.run, job.model(), job.calibration, job.inputs(job.calibration_rows[1])
    scaling = run.scale, run.zero_point
    reach = measure_reach(model, films, *scaling)
    ranges, candidates = choose_ranges(model, reach, run.head, films, held_out, *scaling)
    even, body = make_int8(model, reach, ranges, films, *scaling)
    entry, features = TfliteBody(body, run.scale, run.zero_point).ends()
    if (entry.scale, entry.zero_point) != (run.scale, run.zero_point):
        raise QuantisationError(
            f"the int8 body's input is quantised as ({entry.scale}, {entry.zero_point}), training scaled pixels by "
            f"({run.scale}, {run.zero_point}); train with a scaling that spans 0..255 exactly"
        )
    onnx.save(even, folder / EVEN[1])
    (folder / INT8_BODY[1]).write_bytes(body)
    write_calibration_films(folder / "calibration.csv", job)
    return {
        "bytes": len(body),
        "calibration_films": ranges.films,
        "held_out_films": len(held_out),
        "ranges": {"chosen": asdict(ranges), "candidates": candidates},
        "input": asdict(entry),
        "features": asdict(features),
    }


def write_calibration_films(path: Path, job: Job) -> None:
    """Write which films the ranges were measured on, and which they were compared on."""
    rows = [
        [film.path, film.patient, use]
        for use, films in zip(("ranges", "held out"), job.calibration_rows, strict=True)
        for film in films
    ]
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([["path", "patient", "use"], *rows])


def lint_body(job: Job, folder: Path) -> Facts:
    """Refuse a body of which the Edge TPU would not run the whole."""
    body = job.bytes(INT8_BODY)
    operators, report = check_for_edge_tpu(body), as_json(lint(body))
    (folder / "lint.json").write_text(json.dumps(report, indent=2), "utf-8")
    return {"operators": operators, **{key: of for key, of in report.items() if key != "operators"}}


def compile_body(job: Job, folder: Path) -> Facts:
    """Compile the body for the Edge TPU where the workstation can; where it cannot, say so."""
    try:
        compilation = compile_model(job.bytes(INT8_BODY), job.settings.compiler)
    except NoCompilerError as err:
        return {**edgetpu_facts(None), "reason": str(err)}
    (folder / TPU_BODY[1]).write_bytes(compilation.content)
    return edgetpu_facts(compilation)


def measure(job: Job, folder: Path) -> Facts:
    """Read the validation and test films with every body, and hold what conversion changed against the gates."""
    bodies = {"onnx": job.onnx_body(), "float": job.tflite(FLOAT_BODY), "int8": job.tflite()}
    parts = {part: job.part(part) for part in (VALIDATION, TEST)}
    torch = {part: read_predictions(job.run.folder / PREDICTIONS, films) for part, films in parts.items()}
    readings = {
        part: read_with(bodies, job.run.head, load_inputs(job.settings.films, films, job.run.size))
        for part, films in parts.items()
    }
    logits = {
        part: {"torch": torch[part], **{name: of.logits for name, of in readings[part].items()}} for part in parts
    }
    np.savez(folder / READINGS[1], **{f"{part}_{name}": of for part in parts for name, of in logits[part].items()})
    test = Measured([film.patient for film in parts[TEST]], label_array(parts[TEST]), logits[TEST])
    together = {name: join(readings[part][name] for part in parts) for name in bodies}
    facts = {
        **measure_parity(together, np.concatenate(list(torch.values()))),
        **auc_loss(test.labels, logits[TEST]["onnx"], logits[TEST]["int8"], patient_weights(test.patients)),
    }
    gates = find_gates(facts)
    return {
        **facts,
        "gates": [asdict(gate) for gate in gates],
        "metrics": provenance.figures(test),
        "layers": find_layers(job, gates),
    }


def find_layers(job: Job, gates: list[Gate]) -> Facts:
    """Return the layers of the int8 body that err most, and where a failed rebuilding errs: {stage: layers}."""
    run, films = job.run, job.calibration[:LAYER_FILMS]
    even = to_float(rebuild_body(job.model(EVEN)))
    layers: Facts = {INT8: rank_layers(even, job.bytes(INT8_BODY), films, run.scale, run.zero_point)}
    if any(gate.stage == REBUILT and not gate.passed for gate in gates):
        node = find_rebuilt_layer(job.model(), job.bytes(FLOAT_BODY), films[:1], run.scale, run.zero_point)
        layers[REBUILT] = [{"layer": node or "none that this film shows"}]
    return layers


def stop_at_gates(job: Job, facts: Facts) -> None:
    """Raise GateError where a gate is not passed and the settings do not let it pass."""
    if not job.settings.allow_failed_gates:
        worst = {stage: layers[0]["layer"] for stage, layers in facts["layers"].items() if layers}
        stop_at_failed([Gate(**gate) for gate in facts["gates"]], worst)


def calibrate(job: Job, _: Path) -> Facts:
    """Fit calibrations and choose thresholds on the validation films, through the int8 body."""
    validation, test = job.measured(VALIDATION), job.measured(TEST)
    point = choose_operating_point(validation.labels, validation.logits["int8"])
    return {
        "calibrations": {finding: asdict(of) for finding, of in zip(FINDINGS, point.calibrations, strict=True)},
        "thresholds": {finding: asdict(of) for finding, of in zip(FINDINGS, point.thresholds, strict=True)},
        **provenance.operating_facts(point, validation, test),
    }


def check_films(job: Job, folder: Path) -> Facts:
    """Fit what tells a frontal chest film from all else, through the int8 body, and measure it on test films."""
    body, root, size = job.tflite(), job.settings.films, job.run.size
    check = make_film_check(body, job.rows, root, size)
    np.savez(folder / FILM_CHECK[1], **to_arrays(check))
    most = len(job.part(TEST))
    return measure_film_check(check, Eye(body, size), job.rows, root, most)


def read_golden_films(job: Job, folder: Path) -> Facts:
    """Read the golden phantoms, with the kernels of this machine and with those that every TFLite has."""
    head, size = job.run.head, job.run.size
    logits, maps = read_golden(job.tflite(), head, size)
    plainly, _ = read_golden(job.tflite(plain_kernels=True), head, size)
    np.savez(folder / GOLDEN[1], seeds=np.array(SEEDS, np.int64), logits=logits, maps=maps)
    return {"films": len(SEEDS), "kernel_difference": number(np.abs(plainly - logits).max())}


def write_bundle(job: Job, _: Path) -> Facts:
    """Write the bundle's folder, signed where there is a key."""
    settings = job.settings
    key = read_private_key(settings.key) if settings.key else None
    written = bundle.write_bundle(settings.output, compose_manifest(job), compose_files(job), settings.force, key)
    return {"bundle": written.title, "sha256": written.digest, "folder": str(settings.output), "signed": bool(key)}


def run_digests(job: Job) -> Facts:
    """Return what tells that a run and its films are the same as before."""
    names = (BODY, HEAD, FILMS, RUN, PREDICTIONS)
    paths = [job.run.folder / name for name in names]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None for path in paths]
    return {"files": digests, "films": file_times(job.settings.films, job.rows)}


def compiler_facts(job: Job) -> Facts:
    """Return where the compiler is looked for, and whether there is one now."""
    compiler = job.settings.compiler
    return {**asdict(compiler), "found": shutil.which(compiler.command[0] if compiler.command else compiler.compiler)}


STAGES = (
    Stage("export", export, reads=run_digests),
    Stage("rebuild", rebuild),
    Stage("quantise", quantise, reads=lambda job: job.settings.calibration_films),
    Stage("lint", lint_body),
    Stage("compile", compile_body, reads=compiler_facts),
    Stage("parity", measure, reads=lambda job: job.settings.measured_films, gate=stop_at_gates),
    Stage("calibrate", calibrate),
    Stage("film-check", check_films, reads=lambda job: job.settings.measured_films),
    Stage("golden", read_golden_films),
    Stage("bundle", write_bundle, always=True),
)
