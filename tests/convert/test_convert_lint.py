"""The lint says what the Edge TPU takes: the shipped body, models that TensorFlow makes here, damaged files."""

import argparse
import json
import re
from types import SimpleNamespace

import numpy as np
import pytest
from cxrconvert.edgetpu.cost import ON_CHIP
from cxrconvert.edgetpu.graph import Operator, Tensor, read_graph
from cxrconvert.edgetpu.latency import PUBLISHED, fit, predict
from cxrconvert.edgetpu.lint import Verdict, check_for_edge_tpu, lint
from cxrconvert.edgetpu.lint_command import add_lint_command, as_json, as_text
from cxrconvert.edgetpu.rules import RULES, find_faults
from cxrconvert.errors import NotForEdgeTpuError, NotTfliteError
from cxrconvert.quantise import quiet
from hypothesis import given, settings
from hypothesis import strategies as st

SIDE = 32
FILM = (1, SIDE, SIDE, 3)


def kernel(*shape):
    return np.random.default_rng(len(shape)).normal(0, 0.3, shape).astype(np.float32)


class Models:
    """Small models that TensorFlow converts, each made once."""

    def __init__(self, tf):
        self.tf = tf
        self.made = {}

    def __getitem__(self, name):
        if name not in self.made:
            self.made[name] = getattr(self, name)()
        return self.made[name]

    def conv(self, film, channels=8, deep=None):
        weights = kernel(3, 3, deep or film.shape[-1], channels)
        return self.tf.nn.relu6(self.tf.nn.bias_add(self.tf.nn.conv2d(film, weights, 1, "SAME"), kernel(channels)))

    def dense(self, film):
        pooled = self.tf.reduce_mean(self.conv(film), [1, 2])
        return self.tf.matmul(pooled, kernel(8, 14)) + kernel(14)

    def convert(self, network, shape=FILM, int8=True, optimised=True, ends="uint8", per_channel=False):
        tf = self.tf
        film = tf.TensorSpec(shape, tf.float32, name="film")
        body = tf.function(network, input_signature=[film], autograph=False).get_concrete_function()
        converter = tf.lite.TFLiteConverter.from_concrete_functions([body], tf.Module())
        converter.optimizations = [tf.lite.Optimize.DEFAULT] if optimised else []
        if int8:
            random = np.random.default_rng(0)
            drawn = [random.random([side or 1 for side in shape], np.float32) for _ in range(2)]
            converter.representative_dataset = lambda: ([film] for film in drawn)
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
            converter.inference_input_type = converter.inference_output_type = tf.dtypes.as_dtype(ends)
            converter._experimental_disable_per_channel_quantization_for_dense_layers = not per_channel
        with quiet():
            return converter.convert()

    def whole(self):
        return self.convert(self.dense)

    def floating(self):
        return self.convert(self.conv, int8=False, optimised=False)

    def dynamic_range(self):
        return self.convert(lambda film: self.conv(self.conv(film, 32), 64), int8=False)

    def grouped(self):
        return self.convert(lambda film: self.conv(self.conv(film), 8, deep=2))

    def pool(self):
        return self.convert(lambda film: self.tf.nn.relu6(self.tf.nn.max_pool2d(self.conv(film), 2, 2, "SAME")))

    def leaky(self):
        tf = self.tf
        return self.convert(
            lambda film: self.conv(tf.nn.leaky_relu(tf.nn.conv2d(self.conv(film), kernel(3, 3, 8, 8), 1, "SAME")))
        )

    def transpose(self):
        return self.convert(lambda film: self.conv(self.tf.transpose(film, [0, 2, 3, 1])), (1, 3, SIDE, SIDE))

    def batch(self):
        return self.convert(self.conv, (2, SIDE, SIDE, 3))

    def unknown_batch(self):
        return self.convert(self.conv, (None, SIDE, SIDE, 3))

    def dense_per_channel(self):
        return self.convert(self.dense, per_channel=True)

    def depth_mean(self):
        return self.convert(lambda film: self.tf.reduce_mean(self.conv(film, 6), 3))

    def float_ends(self):
        return self.convert(self.conv, ends="float32")

    def int8_ends(self):
        return self.convert(self.conv, ends="int8")

    def resize(self):
        return self.convert(lambda film: self.tf.image.resize(self.conv(film), (64, 64)))


@pytest.fixture(scope="module")
def models():
    import tensorflow as tf

    return Models(tf)


@pytest.fixture(scope="module")
def body(bundle_folder):
    return (bundle_folder / "body.tflite").read_bytes()


def run(*words):
    parser = argparse.ArgumentParser()
    add_lint_command(parser.add_subparsers())
    arguments = parser.parse_args(["lint", *map(str, words)])
    return arguments.run(arguments)


def sentences(report):
    return [fault.sentence for finding in report.findings for fault in finding.faults]


def test_the_shipped_body_runs_whole_on_the_tpu(body):
    report = lint(body)
    assert (report.verdict, report.subgraphs, sentences(report)) == (Verdict.WHOLE, 1, [])
    assert report.tpu_macs == report.macs == 383_907_552
    assert report.off_chip_bytes == 0 < report.parameter_bytes < ON_CHIP
    assert report.latency.low < report.latency.milliseconds < report.latency.high
    assert check_for_edge_tpu(body) == {"ADD": 9, "CONV_2D": 33, "DEPTHWISE_CONV_2D": 16, "QUANTIZE": 2}


def test_macs_and_parameters_are_those_of_the_network(models):
    report = lint(models["whole"])
    assert [finding.macs for finding in report.findings if finding.macs] == [SIDE * SIDE * 8 * 27, 8 * 14]
    # int8 kernels and int32 biases; the axes of the mean are constants too.
    assert report.parameter_bytes == 8 * 27 + 8 * 14 + 4 * (8 + 14) + 4 * 2
    assert report.verdict is Verdict.WHOLE


@pytest.mark.parametrize(
    ("name", "verdict", "place", "words"),
    [
        ("floating", Verdict.NOTHING, 0, "is float32; quantise it fully"),
        ("dynamic_range", Verdict.NOTHING, 1, "is float32 and the weights are 8 bits: a dynamic-range model"),
        ("grouped", Verdict.NOTHING, 2, r"a grouped convolution \(4 groups; CONV_2D version 6\) is refused"),
        ("pool", Verdict.PARTLY, 2, "MAX_POOL_2D must have no fused activation"),
        ("leaky", Verdict.PARTLY, 3, "the Edge TPU has no LeakyReLU; use ReLU or ReLU6"),
        ("transpose", Verdict.NOTHING, 1, r"a feature map of \(1, 3, 32, 32\) is transposed"),
        ("batch", Verdict.NOTHING, 0, r"has the shape \(2, 32, 32, 3\): a batch of more than 1"),
        ("unknown_batch", Verdict.NOTHING, 0, "has no fixed shape; export the model with fixed sizes"),
        ("dense_per_channel", Verdict.PARTLY, 3, r"its weights are quantised per channel \(14 scales\)"),
        ("depth_mean", Verdict.PARTLY, 2, "a depth of 6 is reduced; it must be a multiple of 4"),
        ("float_ends", Verdict.PARTLY, 0, "so the CPU quantises it; give the model uint8 inputs"),
        ("float_ends", Verdict.PARTLY, 2, "DEQUANTIZE begins a float island"),
    ],
)
def test_what_the_tpu_refuses_is_named_at_its_place(models, name, verdict, place, words):
    report = lint(models[name])
    assert report.verdict is verdict
    assert re.search(words, "\n".join(fault.sentence for fault in report.findings[place].faults))
    with pytest.raises(NotForEdgeTpuError, match="the body is not for an Edge TPU: operator"):
        check_for_edge_tpu(models[name])


def test_all_after_the_first_refused_operator_stays_on_the_cpu(models):
    report = lint(models["leaky"])
    assert [finding.operator.name for finding in report.on_tpu] == ["QUANTIZE", "CONV_2D", "CONV_2D"]
    followers = report.findings[4:]
    assert [finding.operator.name for finding in followers] == ["CONV_2D", "QUANTIZE"]
    assert not any(finding.faults for finding in followers)
    assert (report.subgraphs, report.tpu_macs) == (1, report.macs - followers[0].macs)


def test_a_version_that_the_compiler_does_not_know_refuses_the_whole_model(models):
    """The grouped convolution stands last, and what is before it would run; the compiler ends with an error."""
    report = lint(models["grouped"])
    assert (report.on_tpu, report.subgraphs, report.latency) == ([], 0, None)
    assert report.findings[0].faults == ()


def test_what_may_be_taken_does_not_change_the_verdict(models):
    report = lint(models["resize"])
    assert report.verdict is Verdict.WHOLE
    assert sentences(report) == ["RESIZE_BILINEAR is taken or not, depending on its size; only the compiler knows"]


def test_ends_of_the_body_are_uint8(models):
    with pytest.raises(NotForEdgeTpuError, match="an end of the body, is int8; it must be uint8"):
        check_for_edge_tpu(models["int8_ends"])


def eight_bit(*shape, scales=1, **more):
    return Tensor("map", shape, "int8", scales, **more)


def constant(values, kind=np.int32, scales=0):
    values = np.asarray(values, kind)
    return Tensor("constant", values.shape, values.dtype.name, scales, data=values.reshape(-1).view(np.uint8))


def operator(name, *inputs, makes=None, version=1, **options):
    outputs = (makes or eight_bit(1, 8, 8, 4),)
    return Operator(0, name, version, inputs, outputs, SimpleNamespace(**options))


MAP = eight_bit(1, 8, 8, 4)
FILTER = constant(np.ones((4, 3, 3, 4)), np.int8, scales=4)
BROKEN = {
    "does not run GELU": operator("GELU", MAP),
    "no LeakyReLU": operator("LEAKY_RELU", MAP),
    "float island": operator("DEQUANTIZE", MAP, makes=Tensor("map", (1, 8), "float32")),
    "so the CPU quantises it": operator("QUANTIZE", Tensor("film", (1, 8), "float32")),
    "a dynamic-range model": operator("CONV_2D", Tensor("film", (1, 8, 8, 4), "float32"), FILTER),
    "'film' is float16; quantise": operator("RELU", Tensor("film", (1, 8), "float16")),
    "'film' is int16; only int8": operator("RELU", Tensor("film", (1, 8), "int16")),
    "'map' has no scale": operator("RELU", eight_bit(1, 8, scales=0)),
    "a scale for every channel": operator("RELU", eight_bit(1, 8, scales=8)),
    "no fixed shape": operator("RELU", eight_bit(1, 8, dynamic=True)),
    "a batch of more than 1": operator("RELU", eight_bit(2, 8, 8, 4)),
    "only the 3 innermost": operator("RELU", eight_bit(1, 2, 8, 8, 4)),
    "its version is 4, and 3 is": operator("DEPTHWISE_CONV_2D", MAP, FILTER, version=4),
    "a filter or bias, is not constant": operator("CONV_2D", MAP, eight_bit(4, 3, 3, 4)),
    "a grouped convolution (2 groups": operator("CONV_2D", eight_bit(1, 8, 8, 8), FILTER, version=6),
    "dilations 2 and 1": operator("CONV_2D", MAP, FILTER, dilationHFactor=2, dilationWFactor=1),
    "CONCATENATION must have no fused": operator("CONCATENATION", MAP, MAP, fusedActivationFunction=1),
    "the constant 'constant' is joined": operator("CONCATENATION", MAP, constant(np.ones((1, 8, 8, 4)), np.int8)),
    "is the batch, which must not be reduced": operator("SUM", MAP, constant([-4])),
    "a depth of 6": operator("MEAN", eight_bit(1, 8, 8, 6), constant([-1])),
    "the batch is padded by [0, 1]": operator("PAD", MAP, constant([[0, 1], [0, 0], [0, 0], [0, 0]])),
    "which must not be split": operator("SPLIT", constant(0), MAP),
    "pack along another": operator("PACK", MAP, MAP, axis=0),
    "its weights are shuffled": operator("FULLY_CONNECTED", eight_bit(1, 4), FILTER, weightsFormat=1),
    "is not one-dimensional": operator("FULLY_CONNECTED", eight_bit(9, 4), FILTER, makes=eight_bit(9, 4)),
    "quantised per channel (4 scales)": operator("FULLY_CONNECTED", eight_bit(1, 4), FILTER, makes=eight_bit(1, 4)),
    "is transposed": operator("TRANSPOSE", MAP, constant([0, 3, 1, 2])),
    "it must be flat": operator("SOFTMAX", eight_bit(1, 16_001), makes=eight_bit(1, 16_001)),
    "its strides are [1, 2]": operator("STRIDED_SLICE", MAP, constant([0, 0]), constant([8, 8]), constant([1, 2])),
    "only leading ones": operator("SQUEEZE", eight_bit(1, 5, 1, 10)),
    "its alpha": operator("PRELU", MAP, constant(np.ones((8, 8, 4)), np.int8)),
    "depending on its size": operator("RESIZE_NEAREST_NEIGHBOR", MAP, constant([16, 16])),
}


@pytest.mark.parametrize("words", BROKEN)
def test_each_rule_finds_what_breaks_it(words):
    assert words in "\n".join(fault.sentence for fault in find_faults(BROKEN[words]))


def test_every_rule_has_a_case_and_a_source():
    assert {fault.rule for case in BROKEN.values() for fault in find_faults(case)} == set(RULES)
    assert all(rule.source and rule.sentence for rule in RULES)


@pytest.mark.parametrize(
    "sound",
    [
        operator("CONCATENATION", MAP, constant(np.zeros((1, 8, 8, 4)), np.int8)),
        operator("MEAN", MAP, constant([1, 2])),
        operator("PAD", MAP, constant([[0, 0], [1, 1], [1, 1], [0, 0]])),
        operator("SPLIT", constant(3), MAP),
        operator("TRANSPOSE", eight_bit(1, 1, 8, 4), constant([0, 2, 1, 3])),
        operator("SQUEEZE", eight_bit(1, 1, 1, 10)),
        operator("STRIDED_SLICE", MAP, constant([0, 0]), constant([8, 8]), constant([1, 1])),
        operator("MUL", MAP, constant(np.ones((1, 1, 1, 4)), np.int8, scales=1), version=3),
    ],
    ids=lambda sound: sound.name,
)
def test_the_allowed_form_of_an_operator_has_no_fault(sound):
    assert find_faults(sound) == ()


def test_the_prediction_meets_what_was_published_within_its_range():
    for row in PUBLISHED:
        predicted = predict(round(row.macs * 1e6), round(row.parameters * 1e6))
        assert predicted.low <= row.milliseconds <= predicted.high, row.network
    assert (fit(PUBLISHED) > 0).all()
    assert "prediction, not a measurement" in predicted.basis


def test_parameters_beyond_the_chip_take_longer():
    on, off = (predict(10**9, ON_CHIP + more) for more in (0, 10**7))
    assert off.milliseconds > on.milliseconds
    assert predict(10**9, 0) == on


@pytest.mark.parametrize(("name", "status"), [("whole", 0), ("leaky", 1), ("floating", 2)])
def test_the_exit_status_is_the_verdict_and_json_says_everything(models, tmp_path, capsys, name, status):
    path = tmp_path / "model.tflite"
    path.write_bytes(models[name])
    assert run(path, "--json") == status
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"] == ("whole", "partly", "nothing")[status]
    assert [row["operator"] for row in said["operators"]] == [o.name for o in read_graph(models[name]).operators]
    first = said["operators"][0]["inputs"][0]
    assert (first["shape"], first["quantisation"]) == (list(FILM), "none" if name == "floating" else "per tensor")
    assert (said["latency_ms"] is None) == (name == "floating")


def test_the_table_has_one_line_for_a_kind_and_names_the_fault(models, tmp_path, capsys):
    path = tmp_path / "leaky.tflite"
    path.write_bytes(models["leaky"])
    assert run(path) == 1
    said = capsys.readouterr().out
    assert said.startswith("leaky.tflite: partly on the Edge TPU (as the rules predict; only edgetpu_compiler knows)")
    assert re.search(r"^CONV_2D +3 +2 +3 +int8 -> int8 +int8 per channel +1\.40$", said, re.MULTILINE)
    assert "operator 3, LEAKY_RELU: the Edge TPU has no LeakyReLU; use ReLU or ReLU6" in said
    assert "57.9% of 1.4 million MACs" in said
    assert "operators without a fault that stay on the CPU with those above: 2" in said


def test_a_float_model_is_called_not_quantised(models, tmp_path, capsys):
    path = tmp_path / "float.tflite"
    path.write_bytes(models["floating"])
    assert run(path) == 2
    assert "float.tflite: not on the Edge TPU; the model is not quantised" in capsys.readouterr().out


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\0" * 64, b"no model at all", b"\x1c\0\0\0TFL3"])
def test_what_is_no_model_gets_one_sentence(tmp_path, capsys, content):
    path = tmp_path / "garbage.tflite"
    path.write_bytes(content)
    assert run(path) == 3
    said = capsys.readouterr()
    assert said.out == ""
    assert re.fullmatch(r"cxrconvert: .*garbage\.tflite: (no TFLite file|a damaged TFLite file).*\n", said.err)
    assert run(tmp_path / "missing.tflite") == 3


def all_said(content):
    """Read, lint and print a file that may be damaged; only NotTfliteError may come."""
    try:
        report = lint(content)
    except NotTfliteError as err:
        assert "\n" not in str(err)
    else:
        json.dumps(as_json(report))
        as_text(report, "body")


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_truncated_body_gives_no_traceback(body, data):
    all_said(body[: data.draw(st.integers(0, len(body) - 1))])


@settings(max_examples=80, deadline=None)
@given(data=st.data())
def test_a_body_with_flipped_bits_gives_no_traceback(body, data):
    """Most bytes are weights; the graph stands at both ends, so most flips are made there."""
    graph = len(body) * 7 // 8
    places = st.one_of(st.integers(8, 128), st.integers(graph, len(body) - 1), st.integers(8, len(body) - 1))
    damaged = bytearray(body)
    for place in data.draw(st.lists(places, min_size=1, max_size=12)):
        damaged[place] ^= 1 << data.draw(st.integers(0, 7))
    all_said(bytes(damaged))
