"""The rebuilt body does what ONNX Runtime does, and has no operator that it need not have."""

import numpy as np
import onnx
import pytest
from cxrconvert.bodies import OnnxBody
from cxrconvert.equalise import equalise
from cxrconvert.errors import UnsupportedOperatorError
from cxrconvert.onnxbody import read_body
from cxrconvert.rebuild import rebuild_body, same_pads
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


def test_tiny_body_and_its_equalised_form():
    model = tiny_body()
    off, operators = difference(model)
    assert off < 1e-4
    assert not operators & {"Pad", "Transpose"}
    films = np.random.default_rng(2).integers(0, 256, (8, SIZE, SIZE, 3), np.uint8)
    even = equalise(model, films, 1 / 128, 127)
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


@pytest.mark.parametrize(
    ("form", "words"),
    [
        (clip_to_one, r"'node_clip_0': operator Clip to \(-1.0, 1.0\)"),
        (grouped, "'node_conv_1': operator Conv with 2 groups"),
        (dilated, "operator Conv with dilations"),
        (reflected, "operator Pad of mode reflect"),
        (shifted, "operator Add with a constant input 1"),
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
