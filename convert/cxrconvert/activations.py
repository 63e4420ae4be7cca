"""What a body's activations are on films, measured with ONNX Runtime."""

from collections.abc import Iterator, Sequence

import numpy as np
import onnx
import onnxruntime

from cxrconvert.bodies import scale_film


def read_activations(
    model: onnx.ModelProto, names: Sequence[str], films: np.ndarray, scale: float, zero_point: int
) -> Iterator[dict[str, np.ndarray]]:
    """Yield the activations of these names for each film: {name: float32, shape (channels, height, width)}.

    Parameters
    ----------
    model : ModelProto
    names : sequence of str
        Results of nodes, or the body's input.
    films : ndarray of uint8, shape (films, size, size, 3)
    scale, zero_point : float, int
        Scaling of the body's input.
    """
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    entry = model.graph.input[0].name
    inner = sorted(set(names) - {entry})
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.helper.make_tensor_value_info(name, 1, None) for name in inner)
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    for film in films:
        scaled = np.ascontiguousarray(scale_film(film, scale, zero_point).transpose(2, 0, 1)[np.newaxis])
        values = dict(zip(inner, session.run(inner, {entry: scaled}), strict=True)) | {entry: scaled}
        yield {name: values[name][0] for name in names}
