"""Preset `paper`: the changes of section 1.2.1 of Elkins et al. (J Med Artif Intell 2020;3:8).

The paper used fastai 1, whose meaning of lighting and padding is kept: brightness and contrast change the
logit of a pixel, and the film is mirrored at its borders. fastai's own flips and warps are not in the paper's
list; it names flips as future work.
"""

import torch
from torch import Tensor

from cxrtrain.transforms.chance import each, log_uniform, some, uniform
from cxrtrain.transforms.geometry import resize, turn, warp

# Degrees both ways, for all films.
ROTATION = 30
ZOOM = 1.3
ZOOM_SHARE = 0.5
# Largest change of brightness and of contrast, for all films.
LIGHTING = 0.4
# A white or black pixel has no logit; fastai keeps so far from both.
LEAST = 1e-7


def change_paper(films: Tensor, size: int) -> Tensor:
    """Return changed films: Tensor, shape (n, 1, size, size), of films of shape (n, 1, side, side), both 0..1."""
    return _light(_turn_and_zoom(resize(films, size)))


def _turn_and_zoom(films: Tensor) -> Tensor:
    zoom = torch.where(some(films, ZOOM_SHARE), ZOOM, 1.0).to(films)
    matrix = turn(uniform(films, -ROTATION, ROTATION), zoom)
    return warp(films, matrix, matrix.new_zeros(len(films), 2), films.shape[-1], "reflection")


def _light(films: Tensor) -> Tensor:
    """Shift the logits so that mid grey becomes .5 (1 +- LIGHTING), and scale them by 1 - LIGHTING or its inverse."""
    brightness = torch.logit(uniform(films, 0.5 * (1 - LIGHTING), 0.5 * (1 + LIGHTING)))
    contrast = log_uniform(films, 1 - LIGHTING, 1 / (1 - LIGHTING))
    return torch.sigmoid((torch.logit(films, LEAST) + each(brightness)) * each(contrast))
