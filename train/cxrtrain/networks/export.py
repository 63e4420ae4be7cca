"""Hand a trained network over: the body as ONNX, the head as arrays, and what is known of both."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from cxrtrain.networks.network import EdgeNetwork

BODY, HEAD, NETWORK, RUN = "body.onnx", "head.safetensors", "network.safetensors", "run.json"


def export_run(network: EdgeNetwork, facts: dict, size: int, folder: Path) -> None:
    """Write the body (ONNX, NCHW, scaled input), the head's weights, all weights, and run.json."""
    network.eval().to(memory_format=torch.contiguous_format)
    torch.onnx.export(
        network.body,
        (torch.zeros(1, 3, size, size),),
        folder / BODY,
        dynamo=True,
        opset_version=18,
        external_data=False,
        input_names=["film"],
        output_names=["features"],
        verbose=False,
    )
    linear = network.linear
    head = {"weight": linear.weight.detach().contiguous(), "bias": linear.bias.detach().contiguous()}
    save_file(head, folder / HEAD)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, folder / NETWORK)
    (folder / RUN).write_text(json.dumps(facts, indent=2, allow_nan=False) + "\n")
