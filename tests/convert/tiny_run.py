"""A run's folder as training would leave it, of a network small enough to be written here node by node."""

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import onnx
from cxrbundle.labels import FINDINGS
from cxrbundle.manifest import PREPROCESSING
from cxrbundle.phantom import draw_phantom
from cxrconvert.bodies import OnnxBody
from cxrconvert.films import load_inputs, read_films
from cxrconvert.run import read_run
from onnx import TensorProto, helper, numpy_helper
from safetensors.numpy import save_file

SIZE, CHANNELS = 32, 24
PARTS = {"train": 24, "validation": 24, "test": 24}


class Network:
    """Grow an ONNX graph by one node at a time."""

    def __init__(self, channels: int = 3, size: tuple[int, int] = (SIZE, SIZE)):
        self.random = np.random.default_rng(5)
        self.entry = helper.make_tensor_value_info("film", TensorProto.FLOAT, [1, channels, *size])
        self.nodes, self.constants, self.channels = [], [], {"film": channels}

    def constant(self, array: np.ndarray) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def add(self, kind: str, *inputs: str, channels: int | None = None, **attributes) -> str:
        name = f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=f"node_{name}", **attributes))
        self.channels[name] = channels or self.channels[inputs[0]]
        return name

    def conv(self, film: str, channels: int, kernel: int = 1, group: int = 1, **attributes) -> str:
        shape = (channels, self.channels[film] // group, kernel, kernel)
        spread = np.sqrt(2 / np.prod(shape[1:])) * np.exp(self.random.normal(0, 0.7, (channels, 1, 1, 1)))
        weight = self.constant((self.random.normal(0, 1, shape) * spread).astype(np.float32))
        bias = self.constant(self.random.normal(0, 0.3, channels).astype(np.float32))
        return self.add("Conv", film, weight, bias, channels=channels, group=group, **attributes)

    def relu6(self, film: str) -> str:
        bounds = [self.constant(np.float32(bound)) for bound in (0, 6)]
        return self.add("Clip", film, *bounds)

    def model(self, exit: str) -> onnx.ModelProto:
        out = helper.make_tensor_value_info(exit, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "body", [self.entry], [out], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        return onnx.shape_inference.infer_shapes(model)


def tiny_body() -> onnx.ModelProto:
    """A body with every form that EfficientNet-Lite0 has, 32x32 to 8x8x24."""
    net = Network()
    stem = net.relu6(net.conv("film", 8, 3, strides=[2, 2], pads=[0, 0, 1, 1]))
    deep = net.relu6(net.conv(stem, 8, 3, group=8, pads=[1, 1, 1, 1]))
    first = net.conv(deep, 8)
    wide = net.relu6(net.conv(first, 16))
    wide = net.relu6(net.conv(wide, 16, 5, group=16, pads=[2, 2, 2, 2]))
    block = net.add("Add", net.conv(wide, 8), first)
    wide = net.relu6(net.conv(block, 16))
    wide = net.relu6(net.conv(wide, 16, 5, group=16, strides=[2, 2], pads=[1, 1, 2, 2]))
    return net.model(net.relu6(net.conv(wide, CHANNELS)))


def write_run(folder: Path, films: Path) -> None:
    """Write a run's folder, and the films that it speaks of."""
    folder.mkdir()
    onnx.save(tiny_body(), folder / "body.onnx")
    random = np.random.default_rng(7)
    save_head(folder, random.normal(0, 1, (14, CHANNELS)).astype(np.float32))
    rows = write_films(films, random)
    write_table(folder / "films.csv", rows)
    counts = {part: part_facts([row for row in rows if row[5] == part]) for part in PARTS}
    write_json(folder, run_facts(counts))
    write_predictions(folder, films)


def write_predictions(folder: Path, films: Path) -> None:
    """Write what the network says of the films that it was not trained on."""
    run = read_run(folder)
    body = OnnxBody(onnx.load(folder / "body.onnx"), run.scale, run.zero_point)
    held_out = [film for film in read_films(folder / "films.csv", films) if film.part != "train"]
    inputs = load_inputs(films, held_out, run.size)
    with (folder / "predictions.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "part", *FINDINGS])
        for film, pixels in zip(held_out, inputs, strict=True):
            writer.writerow([film.name, film.part, *run.head(body(pixels)).logits])


def save_head(folder: Path, weight: np.ndarray) -> None:
    save_file({"weight": weight, "bias": np.zeros(14, np.float32)}, folder / "head.safetensors")


def write_films(folder: Path, random: np.random.Generator) -> list[list]:
    folder.mkdir()
    rows = []
    for part, count in PARTS.items():
        for _ in range(count):
            seed = len(rows)
            cv2.imwrite(str(folder / f"{seed}.png"), cv2.resize(draw_phantom(seed), (64, 64)))
            labels = (random.random(14) < 0.3).astype(int)
            labels[-1] = 0  # no film has a hernia
            rows.append([f"{seed}.png", f"{seed}.png", f"p{seed}", "phantoms", 0, part, 50, "F", "PA", *labels])
    return rows


def write_table(path: Path, rows: list[list], findings: tuple[str, ...] = FINDINGS) -> None:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "name", "patient", "source", "thumbnail", "part", "age", "sex", "view", *findings])
        writer.writerows(rows)


def part_facts(rows: list[list]) -> dict:
    positives = np.sum([row[9:] for row in rows], axis=0).tolist()
    return {
        "films": len(rows),
        "thumbnails": 0,
        "patients": len(rows),
        "positives": dict(zip(FINDINGS, positives, strict=True)),
    }


def run_facts(counts: dict) -> dict:
    mean = {"findings": 1, "auc": 0.5, "auc_95": [0.4, 0.6], "ap": float("nan"), "ap_95": None}
    return {
        "network": "tiny",
        "labels": list(FINDINGS),
        "preprocessing": PREPROCESSING,
        "input": {"size": SIZE, "channels": 3, "scale": 1 / 128, "zero_point": 127},
        "head_kind": "pool-linear",
        "recipe": {"seed": 1, "source_free": True},
        "data": counts,
        "code": "tests",
        "minutes": 0.1,
        "metrics": {"films": 24, "within_source": {"phantoms": {"films": 24, "patients": 24, "float": {"mean": mean}}}},
    }


def write_json(folder: Path, facts: dict) -> None:
    (folder / "run.json").write_text(json.dumps(facts))


def change_json(folder: Path, **changes) -> None:
    write_json(folder, json.loads((folder / "run.json").read_text()) | changes)
