"""The whole way, as a user goes it: `python -m cxrconvert`."""

import json
import subprocess
import sys

import numpy as np
import pytest
from cxrbundle.bundle import load_bundle
from cxrbundle.labels import FINDINGS
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import to_input
from cxrconvert.bodies import TfliteBody
from cxrconvert.card import DASH


def run_command(*arguments):
    command = [sys.executable, "-m", "cxrconvert", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)


@pytest.fixture(scope="module")
def converted(made, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    done = convert_tiny(made, folder, "--allow-failed-gates", "--version", "1.0")
    assert done.returncode == 0, done.stderr
    return folder


def convert_tiny(made, folder, *options):
    work = folder.with_name("work")
    return run_command(made / "run", "--films", made / "films", "-o", folder, "--work", work, *options)


def test_the_box_loads_the_bundle(converted):
    bundle = load_bundle(converted)
    manifest = bundle.manifest
    assert bundle.title == "tiny 1.0"
    assert (manifest.input.scale, manifest.input.zero_point) == (1 / 128, 127)
    assert (manifest.features.height, manifest.features.width, manifest.features.channels) == (8, 8, 24)
    assert set(manifest.files) == {
        "body.tflite",
        "head.npz",
        "golden.npz",
        "film-check.npz",
        "card.md",
        "LICENCES.md",
    }
    assert sorted(path.name for path in converted.parent.iterdir()) == ["tiny", "work"]


def test_golden_logits_reproduce(converted):
    bundle = load_bundle(converted)
    body = TfliteBody(bundle.body, bundle.manifest.input.scale, bundle.manifest.input.zero_point)
    for seed, logits in zip(bundle.golden.seeds, bundle.golden.logits, strict=True):
        film = to_input(draw_phantom(int(seed)), bundle.manifest.input.height)
        np.testing.assert_allclose(bundle.head(body(film)).logits, logits, atol=0.05)


def test_the_body_is_one_for_the_edge_tpu_and_close_to_float(converted):
    conversion = load_bundle(converted).manifest.conversion
    assert conversion["operators"] == {"ADD": 1, "CONV_2D": 6, "DEPTHWISE_CONV_2D": 3, "QUANTIZE": 2}
    differences = conversion["parity"]["differences"]
    assert (
        max(differences["torch_onnx"]["max"], differences["onnx_float"]["max"]) < 1e-4 < differences["onnx_int8"]["max"]
    )
    assert conversion["parity"]["logit_correlation_minimum"] > 0.95
    assert (conversion["calibration_films"], conversion["held_out_films"]) == (18, 6)


def test_provenance_says_what_thresholds_rest_on(converted):
    point = load_bundle(converted).manifest.conversion["operating_point"]
    assert point["thresholds_basis"]["Hernia"] == "fallback, 0 positives"
    assert point["test"]["findings"]["Hernia"]["sensitivity"] is None
    assert set(point["test"]["findings"]) == set(FINDINGS)


def test_the_card_is_plain_and_whole(converted):
    card = (converted / "card.md").read_text("utf-8")
    for words in (
        "NOT A DIAGNOSIS",
        "NIH Clinical Center",
        "Apache-2.0",
        "make train convert",
        f"| Hernia | 0 | {DASH}",
    ):
        assert words in card
    for leak in ("nan", "None", "{", "NaN"):
        assert leak not in card


def test_manifest_is_strict_json(converted):
    text = (converted / "manifest.json").read_text()
    json.loads(text, parse_constant=lambda word: pytest.fail(f"{word} in manifest.json"))


def test_a_wrong_run_is_one_sentence_and_status_1(tmp_path):
    done = run_command(tmp_path, "--films", tmp_path, "-o", tmp_path / "bundle")
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("cxrconvert: ")
    assert "run.json cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
