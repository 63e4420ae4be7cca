"""The presets of random changes to films in training; evaluation has none (cxrbundle.preprocess)."""

from collections.abc import Callable

import torch
from torch import Tensor

from cxrtrain.errors import RecipeError
from cxrtrain.transforms.edge import change_edge
from cxrtrain.transforms.film import change_film
from cxrtrain.transforms.geometry import resize
from cxrtrain.transforms.paper import change_paper

# Each takes films of shape (n, 1, side, side), 0..1, and a size, and returns them so at that size.
CHANGES = {"none": resize, "edge": change_edge, "paper": change_paper, "film": change_film}
PRESETS = tuple(CHANGES)


def build_transform(preset: str, size: int) -> Callable[[Tensor], Tensor]:
    """Return the function that changes a batch of films for training.

    It takes a Tensor of uint8, shape (n, side, side), and returns one of float32, shape (n, size, size),
    0..255, on the same device. It draws from torch's global generator.

    Raises
    ------
    RecipeError
        If there is no such preset.
    """
    if preset not in CHANGES:
        raise RecipeError(f"transforms.preset {preset} does not exist; take one of {', '.join(PRESETS)}")
    change = CHANGES[preset]

    @torch.no_grad()
    def transform(films: Tensor) -> Tensor:
        return change(films.unsqueeze(1).float() / 255, size).squeeze(1) * 255

    return transform
