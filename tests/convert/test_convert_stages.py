"""Stages stop, go on, and run again where something changed; gates stop the bundle and name the layer."""

import json
import shutil
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import onnx
import pytest
from cxrbundle.bundle import load_bundle
from cxrbundle.labels import FINDINGS
from cxrconvert.convert import STAGES, convert
from cxrconvert.convert_command import STAGES as SAID
from cxrconvert.edgetpu.graph import read_graph
from cxrconvert.errors import GateError
from cxrconvert.films import calibration_films, load_inputs, read_films
from cxrconvert.gates import find_gates, stop_at_failed
from cxrconvert.layers import find_rebuilt_layer, rank_layers, title
from cxrconvert.quantise import to_float, to_int8
from cxrconvert.rebuild import rebuild_body
from cxrconvert.settings import Settings
from onnx import numpy_helper
from tiny_run import SIZE, tiny_body

SCALING = 1 / 128, 127


def tiny_settings(own, **changes):
    return Settings(
        own / "run", own / "films", own / "out" / "bundle", "cxr-test", "1", allow_failed_gates=True, **changes
    )


def reports(own):
    found = {
        path.parent.name: json.loads(path.read_text()) for path in (own / "run" / "conversion").glob("*/report.json")
    }
    return dict(sorted(found.items(), key=lambda item: item[1]["finished"]))


def moments(own):
    return {name: report["finished"] for name, report in reports(own).items()}


def test_the_command_says_the_stages_that_there_are():
    assert tuple(stage.name for stage in STAGES) == SAID


def test_a_conversion_stops_where_it_is_told_and_goes_on(own):
    convert(tiny_settings(own, until="quantise"))
    assert list(reports(own)) == ["export", "rebuild", "quantise"]
    assert not (own / "out" / "bundle").exists()
    before = moments(own)
    convert(tiny_settings(own))
    assert tuple(reports(own)) == SAID
    assert {name: moments(own)[name] for name in before} == before
    load_bundle(own / "out" / "bundle")


def test_only_what_changed_runs_again(own):
    convert(tiny_settings(own))
    before = moments(own)
    convert(tiny_settings(own, force=True, measured_films=20))
    assert [name for name, at in moments(own).items() if at != before[name]] == [
        "parity",
        "calibrate",
        "film-check",
        "golden",
        "bundle",
    ]
    before = moments(own)
    (own / "run" / "conversion" / "quantise" / "int8.tflite").write_bytes(b"damaged")
    convert(tiny_settings(own, force=True, measured_films=20))
    assert [name for name, at in moments(own).items() if at != before[name]] == ["quantise", "bundle"]
    before = moments(own)
    convert(tiny_settings(own, force=True, measured_films=20, again="golden"))
    assert [name for name, at in moments(own).items() if at != before[name]] == ["golden", "bundle"]


def test_a_conversion_killed_at_any_moment_goes_on_to_the_same_body(made, own):
    words = [made / "run", "--films", made / "films", "-o", own / "out" / "bundle", "--work", own / "work"]
    command = [sys.executable, "-m", "cxrconvert", *map(str, words), "--allow-failed-gates", "--until", "compile"]
    body = own / "work" / "quantise" / "int8.tflite"
    subprocess.run(command, check=True, capture_output=True, timeout=240)
    whole = body.read_bytes()
    for stage in ("export", "rebuild", "quantise"):
        shutil.rmtree(own / "work")
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (own / "work" / stage).exists():
            time.sleep(0.01)
        process.kill()
        process.wait()
        for folder in (own / "work").glob("[!.]*"):
            assert (folder / "report.json").is_file()
        subprocess.run(command, check=True, capture_output=True, timeout=240)
        assert body.read_bytes() == whole
        assert not list((own / "work").glob(".*"))


def test_every_stage_reports_what_it_was_made_from(own):
    convert(tiny_settings(own))
    for name, report in reports(own).items():
        assert set(report) == {"stage", "inputs", "code", "seconds", "finished", "peak_mb", "facts", "files"}, name
        assert report["stage"] == name and report["peak_mb"] > 50
    conversion = load_bundle(own / "out" / "bundle").manifest.conversion
    assert list(conversion["stages"]) == list(SAID[:-1])
    assert conversion["edgetpu"] == "not compiled"


def test_too_few_films_stop_the_bundle_and_the_reports_stay(own):
    with pytest.raises(GateError, match=r"number of films measured on is 48, it must be at least 300"):
        convert(replace(tiny_settings(own), allow_failed_gates=False))
    assert "parity" in reports(own) and list((own / "out").iterdir()) == []


def test_a_bundle_that_was_made_despite_its_gates_says_so(own):
    convert(tiny_settings(own))
    assert "**IT FAILED" in (own / "out" / "bundle" / "card.md").read_text("utf-8")
    gates = load_bundle(own / "out" / "bundle").manifest.conversion["gates"]
    assert next(gate["name"] for gate in gates if not gate["passed"]) == "number of films measured on"


def test_a_body_that_is_not_the_one_that_was_trained_is_stopped(own):
    path = own / "run" / "predictions.csv"
    head, *rows = path.read_text().splitlines()
    cells = rows[0].split(",")
    rows[0] = ",".join([*cells[:-1], str(float(cells[-1]) + 0.01)])
    path.write_text("\n".join([head, *rows]))
    with pytest.raises(GateError, match=r"and \d more gates failed") as caught:
        convert(replace(tiny_settings(own), allow_failed_gates=False))
    assert "\n" not in str(caught.value)
    gates = {gate["name"]: gate for gate in reports(own)["parity"]["facts"]["gates"]}
    gate = gates["largest logit difference of PyTorch and ONNX Runtime"]
    assert not gate["passed"] and gate["value"] == pytest.approx(0.01, abs=1e-3)
    assert gates["largest logit difference of ONNX Runtime and TFLite float"]["passed"]


def sound_parity():
    return {
        "films": 300,
        "differences": {pair: {"max": 1e-5} for pair in ("torch_onnx", "onnx_float")},
        "mean_auc_change": -0.002,
        "auc_change": {finding: {"auc_change": -0.02, "auc_change_95": [-0.05, 0.01]} for finding in FINDINGS},
        "logit_correlation": dict.fromkeys(FINDINGS, 0.995),
        "map_correlation_median": 0.99,
    }


def test_at_its_bounds_every_gate_is_passed():
    gates = find_gates(sound_parity())
    assert len(gates) == 7 and all(gate.passed for gate in gates)
    stop_at_failed(gates, {})


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"films": 299}, "films measured on is 299"),
        ({"differences": {"torch_onnx": {"max": 2e-4}, "onnx_float": {"max": 0}}}, "stage export the largest logit"),
        ({"differences": {"torch_onnx": {"max": 0}, "onnx_float": {"max": 2e-4}}}, "stage rebuild the largest logit"),
        ({"mean_auc_change": -0.0021}, "loss of mean AUC is 0.0021"),
        ({"mean_auc_change": None}, "loss of mean AUC could not be measured"),
        ({"auc_change": {"Mass": {"auc_change": -0.03, "auc_change_95": [-0.05, -0.011]}}}, "AUC of mass .* is 0.011"),
        ({"logit_correlation": dict.fromkeys(FINDINGS, 0.999) | {"Hernia": 0.9949}}, "correlation of hernia is 0.9949"),
        ({"logit_correlation": dict.fromkeys(FINDINGS, 0.999) | {"Mass": None}}, "correlation of mass could not be"),
        ({"map_correlation_median": 0.9899}, "class maps is 0.9899, it must be at least 0.99"),
    ],
)
def test_each_gate_fails_alone_and_names_the_layer(change, words):
    gates = find_gates(sound_parity() | change)
    layers = dict.fromkeys(("export", "rebuild", "quantise"), "operator 7")
    with pytest.raises(GateError, match=words) as caught:
        stop_at_failed(gates, layers)
    assert "the error enters at operator 7" in str(caught.value)
    assert sum(not gate.passed for gate in gates) == 1


def spoilt_body(place, factor):
    """Return the tiny body with the kernel of one convolution scaled, and the name of that node."""
    model = tiny_body()
    node = [node for node in model.graph.node if node.op_type == "Conv"][place]
    (array,) = (array for array in model.graph.initializer if array.name == node.input[1])
    array.CopyFrom(numpy_helper.from_array((numpy_helper.to_array(array) * factor).astype(np.float32), array.name))
    return model, node.name


def some_films(own):
    drawn, _ = calibration_films(read_films(own / "run" / "films.csv", own / "films"), 16)
    return np.concatenate(list(load_inputs(own / "films", drawn, SIZE)))


@pytest.mark.parametrize("place", [0, 3, 8])
def test_the_layer_at_which_rebuilding_errs_is_named(own, place):
    films = some_films(own)[:1]
    spoilt, name = spoilt_body(place, 1.1)
    assert find_rebuilt_layer(tiny_body(), to_float(rebuild_body(tiny_body())), films, *SCALING) is None
    assert repr(name) in find_rebuilt_layer(tiny_body(), to_float(rebuild_body(spoilt)), films, *SCALING)


@pytest.mark.parametrize("place", [0, 4, 8])
def test_the_layer_at_which_quantising_errs_is_ranked_first(own, place):
    films = some_films(own)
    spoilt, _ = spoilt_body(place, -1)
    reference = to_float(rebuild_body(tiny_body()))
    int8 = to_int8(rebuild_body(spoilt), films, *SCALING)
    convolutions = [operator for operator in read_graph(int8).operators if "CONV_2D" in operator.name]
    assert rank_layers(reference, int8, films[:4], *SCALING)[0]["layer"] == title(convolutions[place])


def test_onnx_reads_its_own_body(own):
    convert(tiny_settings(own, until="export"))
    onnx.checker.check_model(onnx.load(own / "run" / "conversion" / "export" / "body.onnx"))
