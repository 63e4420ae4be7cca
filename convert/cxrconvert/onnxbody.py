"""Read an exported body: one input, one output, static shape, in the forms that int8 does best."""

from pathlib import Path

import onnx

from cxrconvert.errors import RunError
from cxrconvert.simplify import simplify


def read_body(path: Path) -> onnx.ModelProto:
    """Return a checked and simplified ONNX body; see `cxrconvert.simplify`.

    Raises
    ------
    RunError
        If the file is no ONNX model of one film in, one feature map out, at a fixed size.
    """
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as err:  # protobuf, onnx and the file system each have their own root
        raise RunError(f"{path} is no sound ONNX model ({type(err).__name__}); export it again") from err
    if len(model.graph.input) != 1 or len(model.graph.output) != 1:
        raise RunError(f"{path} must have one input and one output; export the body alone")
    shape = input_shape(model)
    if len(shape) != 4 or shape[0] != 1 or 0 in shape:
        raise RunError(f"{path} must take one film of fixed size, not {shape}; export it with a static shape")
    simplify(model.graph)
    return model


def input_shape(model: onnx.ModelProto) -> tuple[int, ...]:
    """Return the shape of the input, (1, channels, height, width); 0 where a side is not fixed."""
    return tuple(dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim)
