"""The rebuilt body does what ONNX Runtime does, and has no operator that it need not have."""

from collections import Counter

import numpy as np
import onnx
import pytest
from cxrconvert.activations import read_activations
from cxrconvert.bodies import OnnxBody, TfliteBody
from cxrconvert.builders import same_pads
from cxrconvert.channels import measure_reach
from cxrconvert.equalise import equalise
from cxrconvert.errors import UnsupportedOperatorError
from cxrconvert.onnxbody import read_body
from cxrconvert.quantise import to_float
from cxrconvert.rebuild import rebuild_body
from cxrconvert.simplify import simplify
from tiny_dense import dense_block, norm, pool
from tiny_run import SIZE, Network, tiny_body


def difference(model, size=(SIZE, SIZE), channels=3):
    film = np.random.default_rng(1).integers(0, 256, (1, *size, channels), np.uint8)
    scaled = (film.astype(np.float32) - 127) / 128
    expected = OnnxBody(model, 1 / 128, 127)(film)
    body = rebuild_body(model)
    operators = {operation.type for operation in body.graph.get_operations()}
    return np.abs(body(scaled).numpy()[0] - expected).max(), operators


def one_conv(size, pads, strides, kernel=3, depthwise=False, before=None, **attributes):
    net = Network(8, size)
    film = "film"
    if before:
        film = net.add("Pad", film, net.constant(np.array(before, np.int64)))
    groups = 8 if depthwise else 1
    return net.model(net.conv(film, 16, kernel, group=groups, strides=strides, pads=pads, **attributes))


@pytest.mark.parametrize("depthwise", [False, True])
@pytest.mark.parametrize(
    ("size", "pads", "stride", "padded"),
    [
        ((32, 32), [0, 0, 1, 1], 2, False),
        ((31, 31), [1, 1, 1, 1], 2, False),
        ((32, 32), [1, 1, 1, 1], 2, True),
        ((17, 20), [1, 1, 1, 1], 1, False),
        ((17, 20), [0, 0, 0, 0], 2, False),
        ((17, 20), [2, 0, 1, 3], 2, True),
    ],
)
def test_convolutions(size, pads, stride, padded, depthwise):
    model = one_conv(size, pads, [stride, stride], depthwise=depthwise)
    off, operators = difference(model, size, 8)
    assert off < 1e-4
    assert ("Pad" in operators) == padded
    assert "Transpose" not in operators


def test_a_pad_is_taken_over_by_the_convolution_after_it():
    off, operators = difference(one_conv((32, 32), [0, 0, 1, 1], [1, 1], before=[0, 0, 1, 1, 0, 0, 0, 0]), channels=8)
    assert off < 1e-4
    assert "Pad" not in operators


def test_a_pad_at_the_end_is_kept():
    net = Network()
    padded = net.add("Pad", net.conv("film", 4), net.constant(np.array([0, 0, 1, 2, 0, 0, 0, 1], np.int64)))
    off, operators = difference(net.model(net.add("Relu", net.add("Identity", padded))))
    assert off < 1e-4
    assert "Pad" in operators


def test_uneven_strides_and_automatic_padding():
    assert difference(one_conv((20, 17), [0, 0, 0, 0], [2, 1]), (20, 17), 8)[0] < 1e-4
    net = Network()
    same = net.conv("film", 4, 5, strides=[2, 2], auto_pad="SAME_UPPER")
    assert difference(net.model(same))[0] < 1e-4


def test_constants_are_folded(tmp_path):
    net = Network()
    low = net.add("Constant", channels=1, value=onnx.numpy_helper.from_array(np.int64(0)))
    low = net.add("Cast", low, to=onnx.TensorProto.FLOAT)
    six = net.constant(np.float32(6))
    onnx.save(net.model(net.add("Clip", net.conv("film", 4), low, six)), tmp_path / "body.onnx")
    assert difference(read_body(tmp_path / "body.onnx"))[0] < 1e-4


@pytest.mark.parametrize(
    ("size", "pads", "padded"),
    [((32, 32), [1, 1, 1, 1], True), ((31, 31), [1, 1, 1, 1], False), ((20, 17), [0, 0, 0, 0], False)],
)
def test_the_largest_under_a_window(size, pads, padded):
    net = Network(8, size)
    film = net.add("Relu", "film") if padded else "film"
    off, operators = difference(net.model(pool(net, film, "MaxPool", 3, pads)), size, 8)
    assert off < 1e-6
    assert ("Pad" in operators) == padded


def test_zeros_before_a_pool_count():
    net = Network(8)
    padded = net.add("Pad", "film", net.constant(np.array([0, 0, 0, 1, 0, 0, 1, 0], np.int64)))
    for kind in ("MaxPool", "AveragePool"):
        off, operators = difference(net.model(pool(net, padded, kind, 2)), channels=8)
        assert off < 1e-6
        assert "Pad" in operators


def test_a_batch_norm_is_taken_in_by_the_convolution_before_it_or_becomes_one():
    def normed(net):
        return net.add("Relu", norm(net, net.conv("film", 8, 3, pads=[1, 1, 1, 1])))

    assert operators_of(simplified(normed)) == {"CONV_2D": 1}
    assert operators_of(simplified(lambda net: norm(net, normed(net)))) == {"CONV_2D": 1, "DEPTHWISE_CONV_2D": 1}


def test_an_average_pool_comes_before_a_1x1_convolution_that_it_followed():
    def pooled(net):
        return pool(net, net.conv(net.add("Relu", net.conv("film", 8, 3)), 6), "AveragePool", 2)

    assert [node.op_type for node in simplified(pooled).graph.node] == ["Conv", "Relu", "AveragePool", "Conv"]


def simplified(build):
    """A body simplified, after a check that it still does the same."""
    net = Network()
    model = net.model(build(net))
    changed = onnx.ModelProto.FromString(model.SerializeToString())
    simplify(changed.graph)
    onnx.checker.check_model(changed)
    before, after = (OnnxBody(m, 1 / 128, 127)(noise(1)) for m in (model, changed))
    np.testing.assert_allclose(after, before, atol=1e-4)
    return changed


def noise(films):
    return np.random.default_rng(2).integers(0, 256, (films, SIZE, SIZE, 3), np.uint8)


def operators_of(model):
    """What the float TFLite file of a body does, by how often."""
    body = TfliteBody(to_float(rebuild_body(model)), 1 / 128, 127, plain_kernels=True)
    return Counter(operator["op_name"] for operator in body.interpreter._get_ops_details())


@pytest.mark.parametrize("bound", [True, False])
def test_a_dense_block_is_rebuilt_and_equalised_to_the_same_function(bound):
    model = simplified(lambda net: dense_block(net, bound))
    off, operators = difference(model)
    assert off < 1e-4
    assert not operators & {"Pad", "Transpose"}
    films = noise(8)
    even = equalise(model, measure_reach(model, films, 1 / 128, 127))
    onnx.checker.check_model(even)
    before, after = (OnnxBody(m, 1 / 128, 127) for m in (model, even))
    for film in films:
        np.testing.assert_allclose(after(film[np.newaxis]), before(film[np.newaxis]), atol=0.01, rtol=2e-3)
    assert all(a.raw_data != b.raw_data for a, b in zip(sized(model), sized(even), strict=True))


def test_a_stream_fills_its_bounds_and_no_channel_leaves_them():
    model, films = simplified(lambda net: dense_block(net, bound=True)), noise(8)
    even = equalise(model, measure_reach(model, films, 1 / 128, 127))
    streams = [node.output[0] for node in even.graph.node if node.op_type == "Concat"]
    peaks = {name: np.zeros(1) for name in streams}
    for values in read_activations(even, streams, films, 1 / 128, 127):
        for name, value in values.items():
            assert value.min() >= 0
            peaks[name] = np.maximum(peaks[name], value.max(axis=(1, 2)))
    assert all((peak <= 6).all() and np.median(peak) > 5.9 for peak in peaks.values())


def test_a_share_of_the_films_bounds_a_channel_by_less_than_all():
    model = tiny_body()
    reach = measure_reach(model, noise(20), 1 / 128, 127)
    (low, high), (lowest, highest) = reach.bounds(0.9), reach.bounds()
    assert (low >= lowest).all() and (high <= highest).all() and (high < highest).any()
    np.testing.assert_array_equal(reach.first(5).bounds()[1], reach.high[:5].max(axis=0))


def test_concatenations_are_built_on_one_another(tmp_path):
    net = Network()
    parts = [net.conv("film", channels) for channels in (4, 2, 3)]
    wide = [net.add("Concat", *parts[:count], axis=1, channels=sum((4, 2, 3)[:count])) for count in (2, 3)]
    model = net.model(net.add("Add", net.conv(wide[0], 5), net.conv(wide[1], 5)))
    onnx.save(model, tmp_path / "body.onnx")
    nested = read_body(tmp_path / "body.onnx")
    assert [list(node.input) for node in nested.graph.node if node.op_type == "Concat"] == [
        parts[:2],
        [wide[0], parts[2]],
    ]
    film = np.random.default_rng(1).integers(0, 256, (1, SIZE, SIZE, 3), np.uint8)
    np.testing.assert_array_equal(*(OnnxBody(m, 1 / 128, 127)(film) for m in (model, nested)))


def test_tiny_body_and_its_equalised_form():
    model = tiny_body()
    off, operators = difference(model)
    assert off < 1e-4
    assert not operators & {"Pad", "Transpose"}
    films = noise(8)
    even = equalise(model, measure_reach(model, films, 1 / 128, 127))
    before, after = (OnnxBody(m, 1 / 128, 127) for m in (model, even))
    for film in films:
        np.testing.assert_allclose(after(film[np.newaxis]), before(film[np.newaxis]), atol=1e-4)
    assert any(a.raw_data != b.raw_data for a, b in zip(sized(model), sized(even), strict=True))


def sized(model):
    """The kernels of a model, in the order of its nodes."""
    arrays = {array.name: array for array in model.graph.initializer}
    return [arrays[node.input[1]] for node in model.graph.node if node.op_type == "Conv"]


def clip_to_one(net):
    return net.add("Clip", "film", net.constant(np.float32(-1)), net.constant(np.float32(1)))


def grouped(net):
    return net.conv(net.conv("film", 8), 8, 3, group=2)


def dilated(net):
    return net.conv("film", 8, 3, dilations=[2, 2])


def reflected(net):
    return net.add("Pad", "film", net.constant(np.array([0, 0, 1, 1, 0, 0, 1, 1], np.int64)), mode="reflect")


def shifted(net):
    return net.add("Add", "film", net.constant(np.ones((1, 3, 1, 1), np.float32)))


def stacked(net):
    return net.add("Concat", "film", "film", axis=2)


def with_indices(net):
    largest = pool(net, "film", "MaxPool", 2)
    net.nodes[-1].output.append("places")
    return largest


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (clip_to_one, r"'node_clip_0': operator Clip to \(-1.0, 1.0\)"),
        (grouped, "'node_conv_1': operator Conv with 2 groups"),
        (dilated, "operator Conv with dilations"),
        (reflected, "operator Pad of mode reflect"),
        (shifted, "operator Add with a constant input 1"),
        (stacked, "operator Concat along axis 2"),
        (with_indices, "operator MaxPool with 2 outputs"),
        (lambda net: norm(net, "film"), "operator BatchNormalization cannot"),
        (lambda net: net.add("Concat", "film", net.constant(np.ones((1, 3, 32, 32), np.float32)), axis=1), "input 1"),
        (lambda net: pool(net, "film", "MaxPool", 3, [1, 1, 1, 1]), "operator MaxPool .* that may be below 0"),
        (lambda net: pool(net, "film", "AveragePool", 3, [0, 0, 1, 1]), "operator AveragePool with padding"),
        (lambda net: pool(net, "film", "AveragePool", 2, ceil_mode=1), "operator AveragePool with ceil_mode"),
        (lambda net: net.add("Relu", pool(net, "film", "MaxPool", 2)), "operator Relu right after a pool"),
        (lambda net: net.add("Elu", "film"), "'node_elu_0': operator Elu cannot"),
    ],
)
def test_unsupported_forms_are_named(form, words):
    net = Network()
    with pytest.raises(UnsupportedOperatorError, match=words):
        rebuild_body(net.model(form(net)))


def test_same_pads():
    assert same_pads((224, 224), (3, 3), (2, 2)) == (0, 0, 1, 1)
    assert same_pads((15, 15), (5, 5), (2, 2)) == (2, 2, 2, 2)
    assert same_pads((8, 8), (1, 1), (2, 2)) == (0, 0, 0, 0)
