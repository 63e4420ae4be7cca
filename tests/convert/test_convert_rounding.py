"""Kernels rounded so that the others make up for the error of each."""

import numpy as np
import onnx
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from cxrconvert.quantise import to_int8
from cxrconvert.rebuild import rebuild_body
from cxrconvert.rounding import STEPS, round_kernels, round_rows
from onnx import numpy_helper
from tiny_run import SIZE, tiny_body

SCALE, ZERO = 1 / 128, 127


def correlated_moments(groups: int, k: int, rank: int) -> tuple[np.ndarray, np.ndarray]:
    """Return inputs that hang together, shape (groups, k, places), and their second moments."""
    random = np.random.default_rng(0)
    inputs = random.normal(size=(groups, k, rank)) @ random.normal(size=(groups, rank, 500))
    return inputs, inputs @ inputs.transpose(0, 2, 1)


def nearest(rows: np.ndarray) -> np.ndarray:
    steps = np.abs(rows).max(axis=-1, keepdims=True) / STEPS
    return np.round(rows / steps) * steps


@pytest.mark.parametrize(("groups", "outputs", "k"), [(1, 16, 48), (24, 1, 9)])
def test_rounded_kernels_err_far_less_on_inputs_that_hang_together(groups, outputs, k):
    rows = np.random.default_rng(1).normal(size=(groups, outputs, k))
    inputs, moments = correlated_moments(groups, k, rank=k // 3)

    def error(rounded: np.ndarray) -> float:
        return float((((rounded - rows) @ inputs) ** 2).mean())

    assert error(round_rows(rows, moments)) < error(nearest(rows)) / 4


def test_every_kernel_stands_on_its_steps_with_its_largest_weight_at_the_last():
    rows = np.random.default_rng(2).normal(size=(1, 32, 27))
    _, moments = correlated_moments(1, 27, rank=5)
    rounded = round_rows(rows, moments)
    steps = np.abs(rounded).max(axis=-1, keepdims=True) / STEPS
    np.testing.assert_allclose(rounded / steps, np.round(rounded / steps), atol=1e-9)


def test_a_kernel_of_zeros_stays_zero():
    rows = np.zeros((1, 2, 9))
    rows[0, 1] = 1
    _, moments = correlated_moments(1, 9, rank=3)
    assert (round_rows(rows, moments)[0, 0] == 0).all()


@pytest.fixture(scope="module")
def rounded():
    """A tiny body with rounded kernels, and its films."""
    films = np.random.default_rng(3).integers(0, 256, (6, SIZE, SIZE, 1), np.uint8).repeat(3, axis=3)
    return round_kernels(tiny_body(), films, SCALE, ZERO), films


def test_the_converter_finds_nothing_left_to_round(rounded):
    model, films = rounded
    content = to_int8(rebuild_body(model), films, SCALE, ZERO)
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    kernels = []
    for detail in interpreter.get_tensor_details():
        scales = detail["quantization_parameters"]["scales"]
        if detail["dtype"] == np.int8 and len(scales) > 1 and len(detail["shape"]) == 4:
            axis = detail["quantization_parameters"]["quantized_dimension"]
            shape = [-1 if place == axis else 1 for place in range(4)]
            kernels.append(np.sort((interpreter.get_tensor(detail["index"]) * scales.reshape(shape)).ravel()))
    arrays = {array.name: numpy_helper.to_array(array) for array in model.graph.initializer}
    expected = [np.sort(arrays[node.input[1]].ravel()) for node in model.graph.node if node.op_type == "Conv"]
    assert len(kernels) == len(expected)
    for kernel in expected:
        assert any(len(own) == len(kernel) and np.allclose(own, kernel, atol=1e-5) for own in kernels)


def test_a_rounded_body_is_sound_and_can_be_rounded_again(rounded):
    model, films = rounded
    onnx.checker.check_model(model)
    again = round_kernels(model, films, SCALE, ZERO)
    assert len(again.graph.initializer) == len(model.graph.initializer)
