"""Hand a trained network over to convert/: the body as ONNX, the head as arrays."""

import copy
import warnings
from pathlib import Path

import torch
from safetensors.torch import save_file

from cxrtrain.networks.network import Network

BODY, HEAD = "body.onnx", "head.safetensors"


def export_run(network: Network, size: int, folder: Path) -> None:
    """Write the body (ONNX, NCHW, scaled input) and the head's weights (as cxrbundle.head names them).

    The network itself stays as it is.
    """
    network = copy.deepcopy(network).cpu().float().eval().to(memory_format=torch.contiguous_format)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's exporter calls what torch deprecates
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
    save_file(network.head.arrays(), folder / HEAD)
