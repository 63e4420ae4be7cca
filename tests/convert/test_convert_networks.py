"""Every network of the training room, exported by it, is rebuilt as it is and fit for the Edge TPU."""

import shutil
import subprocess
import sys
from collections import Counter
from functools import cache

import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from cxrbundle.bundle import load_bundle
from cxrbundle.labels import FINDINGS
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import to_input
from cxrconvert.bodies import OnnxBody, TfliteBody
from cxrconvert.channels import measure_reach
from cxrconvert.edgetpu.lint import check_for_edge_tpu
from cxrconvert.integer import Ranges, make_int8
from cxrconvert.onnxbody import read_body
from cxrconvert.parity import correlation
from cxrconvert.quantise import to_float
from cxrconvert.rebuild import rebuild_body
from cxrtrain.networks.export import export_run
from cxrtrain.networks.network import build_network
from cxrtrain.recipe import NetworkSettings
from tiny_run import change_json
from torch import nn

SIZE, SCALING = 64, (1 / 128, 127)
# One PAD stands before each window of stride 2 that torch pads evenly, for SAME pads such a one unevenly.
OPERATORS = {
    "densenet121": {
        "AVERAGE_POOL_2D": 3,
        "CONCATENATION": 58,
        "CONV_2D": 120,
        "DEPTHWISE_CONV_2D": 62,
        "MAX_POOL_2D": 1,
        "PAD": 2,
    },
    "mobilenet_v2": {"ADD": 10, "CONV_2D": 35, "DEPTHWISE_CONV_2D": 17, "PAD": 5},
    "efficientnet_lite0": {"ADD": 9, "CONV_2D": 33, "DEPTHWISE_CONV_2D": 16},
    "efficientnet_lite1": {"ADD": 14, "CONV_2D": 43, "DEPTHWISE_CONV_2D": 21},
    "efficientnet_lite2": {"ADD": 14, "CONV_2D": 43, "DEPTHWISE_CONV_2D": 21},
}
UNFUSED = {"AVERAGE_POOL_2D", "CONCATENATION", "MAX_POOL_2D"}


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Return a function: from a network's name to the folder of its body.onnx and its head, exported once."""

    @cache
    def export(name):
        torch.manual_seed(2)
        settings = NetworkSettings(name=name, head="concat-pool", weights="none", drop_path=0, dropout=0, bound=True)
        network = build_network(settings, len(FINDINGS), SIZE)
        settle_norms(network)
        folder = tmp_path_factory.mktemp(name)
        export_run(network, SIZE, folder)
        return folder

    return export


@pytest.fixture(scope="module")
def films():
    """Return drawn films as the body takes them, uint8 of shape (20, SIZE, SIZE, 3)."""
    return np.concatenate([to_input(draw_phantom(seed), SIZE) for seed in range(20)])


def settle_norms(network):
    """Give batch norms weights as if trained, and the statistics of noise, so that no channel is nearly dead."""
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, 0, 0.3)
            norm.momentum = None  # the plain mean of what it sees
    with torch.no_grad():
        network.train()(torch.randn(16, 3, SIZE, SIZE))


def operators_of(body):
    return Counter(operator["op_name"] for operator in body.interpreter._get_ops_details())


def far(one, other):
    """The largest difference, in units of the largest value."""
    return np.abs(one - other).max() / np.abs(other).max()


@pytest.mark.parametrize("name", OPERATORS)
def test_the_rebuilt_body_does_what_onnx_runtime_does(exported, films, name):
    model = read_body(exported(name) / "body.onnx")
    content = to_float(rebuild_body(model))
    exact, rebuilt = OnnxBody(model, *SCALING), TfliteBody(content, *SCALING)
    for film in films[:3]:
        assert far(rebuilt(film[np.newaxis]), exact(film[np.newaxis])) < 1e-4
    assert operators_of(TfliteBody(content, *SCALING, plain_kernels=True)) == OPERATORS[name]


@pytest.mark.parametrize("name", ["densenet121", "mobilenet_v2"])
def test_the_int8_body_is_one_for_the_edge_tpu_and_near_the_float_one(exported, films, name, record_property):
    model = read_body(exported(name) / "body.onnx")
    reach = measure_reach(model, films, *SCALING)
    even, content = make_int8(model, reach, Ranges(len(films), 1.0), films, *SCALING, trial=True)
    exact, equal = OnnxBody(model, *SCALING), OnnxBody(even, *SCALING)
    for film in films[:3]:
        assert far(equal(film[np.newaxis]), exact(film[np.newaxis])) < 5e-3
    counts = check_for_edge_tpu(content)
    assert {kind: count for kind, count in counts.items() if kind != "QUANTIZE"} == OPERATORS[name]
    assert fused(content) & UNFUSED == set()
    int8 = TfliteBody(content, *SCALING)
    near = [float(correlation(int8(film[None]).ravel(), exact(film[None]).ravel())) for film in films]
    record_property("feature_correlation", near)
    assert np.median(near) > 0.7


def fused(content):
    """Return the operators of a TFLite file that have an activation fused into them."""
    names = {code: name for name, code in vars(schema.BuiltinOperator).items()}
    model = schema.ModelT.InitFromPackedBuf(content)
    codes = [names[code.builtinCode] for code in model.operatorCodes]
    return {
        codes[operator.opcodeIndex]
        for operator in model.subgraphs[0].operators
        if getattr(operator.builtinOptions, "fusedActivationFunction", 0)
    }


def test_densenet_with_the_papers_head_goes_the_whole_way(exported, own, cxrbox, phantom_png):
    for name in ("body.onnx", "head.safetensors"):
        shutil.copy(exported("densenet121") / name, own / "run" / name)
    entry = {"size": SIZE, "channels": 3, "scale": SCALING[0], "zero_point": SCALING[1]}
    change_json(own / "run", network="densenet121", head_kind="concat-pool", input=entry)
    bundle = own / "out" / "paper"
    command = [sys.executable, "-m", "cxrconvert", own / "run", "--films", own / "films", "-o", bundle]
    few = ["--calibration-films", "16", "--measured-films", "8", "--allow-failed-gates"]
    done = subprocess.run([*command, *few], capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    manifest = load_bundle(bundle).manifest
    assert (manifest.network, manifest.head_kind, manifest.features.channels) == ("densenet121", "concat-pool", 1024)
    read = cxrbox("read", "--allow-unsigned", "--bundle", bundle, phantom_png(1), "--json")
    assert read.returncode == 0, read.stderr
    assert all(finding in read.stdout for finding in FINDINGS)
