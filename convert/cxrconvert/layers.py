"""At which layer an error enters: the bodies compared tensor by tensor on the same films."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import numpy as np
import onnx
import onnxruntime
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from cxrconvert.bodies import scale_film
from cxrconvert.edgetpu.graph import Graph, Operator, read_graph

# Relative difference below which two float tensors are the same arithmetic in another order.
SAME = 1e-3
WORST = 5


def rank_layers(
    reference: bytes, int8: bytes, films: np.ndarray, scale: float, zero_point: int
) -> list[dict[str, Any]]:
    """Return the layers of an int8 body that add most error, the worst first.

    Parameters
    ----------
    reference : bytes
        TFLite file in float of the body that was quantised: tensors of the same names.
    int8 : bytes
    films : ndarray of uint8, shape (films, size, size, 3)
    scale, zero_point : float, int
        Scaling of the reference's input.

    Returns
    -------
    list of dict
        "layer" (operator and the tensor that it makes), "error" (its error's power over its own) and "added" (how
        much more that is than in the worst of its inputs).
    """
    errors = _error_shares(reference, int8, films, scale, zero_point)
    graph, layers = read_graph(int8), []
    aliases = exit_alias(graph)
    for operator in graph.operators:
        made = aliases.get(operator.where(), operator.where())
        if operator.name == "QUANTIZE" or made not in errors:
            continue
        read = [errors[tensor.name] for tensor in operator.inputs if tensor and tensor.name in errors]
        added = errors[made] - max(read, default=0.0)
        layers.append({"layer": title(operator), "error": errors[made], "added": added})
    worst = sorted(layers, key=lambda layer: -layer["added"])[:WORST]
    return [{key: of if isinstance(of, str) else float(f"{of:.2g}") for key, of in layer.items()} for layer in worst]


def exit_alias(graph: Graph) -> dict[str, str]:
    """Return the name of the feature map by the name of the tensor that an int8 body quantises to it.

    The last operator of such a body turns int8 into uint8, and only what it makes has the name that the feature map
    has in the float body.
    """
    last = graph.operators[-1]
    return {last.inputs[0].name: last.where()} if last.name == "QUANTIZE" else {}


def find_rebuilt_layer(
    model: onnx.ModelProto, body: bytes, film: np.ndarray, scale: float, zero_point: int
) -> str | None:
    """Return the first ONNX node after which a float TFLite body computes something else; None where there is none.

    The rebuilt body fuses some nodes, and names its tensors anew, so a node agrees if any of its tensors is the node's.

    Parameters
    ----------
    model : ModelProto
    body : bytes
        TFLite file in float.
    film : ndarray of uint8, shape (1, size, size, 3)
    """
    scaled = scale_film(film, scale, zero_point)
    rebuilt = list(Probe(body)(scaled).values())
    agrees = [_is_among(value, rebuilt) for value in run_onnx(model, scaled)]
    if agrees[-1]:
        return None
    last = max((place for place, same in enumerate(agrees) if same), default=-1)
    node = model.graph.node[last + 1]
    return f"node {node.name!r} ({node.op_type})"


def title(operator: Operator) -> str:
    """Return what names a layer to people: place, operator and the tensor that it makes."""
    return f"operator {operator.place}, {operator.name}, {operator.where()!r}"


def run_onnx(model: onnx.ModelProto, scaled: np.ndarray) -> list[np.ndarray]:
    """Return what each node of an ONNX body makes of a film: float32, in NHWC where it is a picture."""
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    names = [node.output[0] for node in model.graph.node]
    del probe.graph.output[:]
    probe.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    film = np.ascontiguousarray(scaled.transpose(0, 3, 1, 2))
    values = session.run(names, {model.graph.input[0].name: film})
    return [value.transpose(0, 2, 3, 1) if value.ndim == 4 else value for value in values]


def _error_shares(reference: bytes, int8: bytes, films: np.ndarray, scale: float, zero_point: int) -> dict[str, float]:
    """Return the power of each tensor's error over its own power, over all films."""
    exact, rounded = Probe(reference), Probe(int8)
    error, power = defaultdict(float), defaultdict(float)
    for film in films[:, np.newaxis]:
        right, found = exact(scale_film(film, scale, zero_point)), rounded(film)
        for name in right.keys() & found.keys():
            error[name] += ((right[name] - found[name]) ** 2).sum(dtype=np.float64)
            power[name] += ((right[name] - right[name].mean()) ** 2).sum(dtype=np.float64)
    return {name: float(error[name] / max(power[name], 1e-12)) for name in error}


class Probe:
    """A TFLite body that shows every tensor that a film passes through.

    Parameters
    ----------
    content : bytes
    """

    def __init__(self, content: bytes):
        # A delegate would keep what lies between to itself.
        resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        self.interpreter = Interpreter(
            model_content=content, experimental_op_resolver_type=resolver, experimental_preserve_all_tensors=True
        )
        self.interpreter.allocate_tensors()
        graph = read_graph(content)
        made = {tensor.name for operator in graph.operators for tensor in operator.outputs}
        self.details = [detail for detail in self.interpreter.get_tensor_details() if detail["name"] in made]
        self.aliases = exit_alias(graph)

    def __call__(self, film: np.ndarray) -> dict[str, np.ndarray]:
        """Return every tensor in float32 by its name; the film is uint8 for a body with uint8 ends, else scaled."""
        self.interpreter.set_tensor(self.interpreter.get_input_details()[0]["index"], film)
        self.interpreter.invoke()
        return {
            self.aliases.get(detail["name"], detail["name"]): _as_float(
                self.interpreter.get_tensor(detail["index"]), detail
            )
            for detail in self.details
        }


def _as_float(value: np.ndarray, detail: dict) -> np.ndarray:
    scale, zero_point = detail["quantization"]
    return value.astype(np.float32) if not scale else np.float32(scale) * (value.astype(np.float32) - zero_point)


def _is_among(value: np.ndarray, others: Iterable[np.ndarray]) -> bool:
    """Return whether one of some tensors holds the same values."""
    size = float(np.abs(value).max()) or 1.0
    return any(other.shape == value.shape and float(np.abs(other - value).max()) <= SAME * size for other in others)
