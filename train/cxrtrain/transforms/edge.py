"""Preset `edge`: for a small network and few patients.

Geometry makes up for few patients; coarser grids, other tones and noise take away what tells one source of
films from another.
"""

import torch
import torch.nn.functional as nnf
from kornia.enhance import adjust_contrast_with_mean_subtraction, adjust_gamma
from torch import Tensor

from cxrtrain.transforms.chance import each, log_uniform, some, uniform
from cxrtrain.transforms.geometry import turn, warp

# Degrees both ways: how patients lean and films are laid in.
ROTATION = 12
# Below 1 for films with wide margins.
ZOOM = 0.85, 1.12
# In half sides of the film.
SHIFT = 0.06
# The heart changes sides, which costs little: few findings depend on the side.
MIRROR_SHARE = 0.5
# Films redrawn through a coarser grid, and how coarse it may be: a poorer scanner.
COARSE_SHARE = 0.5
COARSE = 0.35, 0.9
# Tones differ from one maker's processing to the next.
GAMMA = 0.7, 1.42
CONTRAST = 0.75, 1.25
# Standard deviation, of white.
NOISE = 0.03


def change_edge(films: Tensor, size: int) -> Tensor:
    """Return changed films: Tensor, shape (n, 1, size, size), of films of shape (n, 1, side, side), both 0..1."""
    return _add_noise(_change_tone(_coarsen(_move(films, size)))).clamp(0, 1)


def _move(films: Tensor, size: int) -> Tensor:
    """Turn, zoom, shift, and mirror; the rest is black, as beyond the film."""
    matrix = turn(uniform(films, -ROTATION, ROTATION), uniform(films, *ZOOM))
    matrix[some(films, MIRROR_SHARE), :, 0] *= -1
    shift = torch.stack([uniform(films, -SHIFT, SHIFT) for _ in range(2)], dim=1)
    return warp(films, matrix, shift, size, "zeros")


def _coarsen(films: Tensor) -> Tensor:
    """Redraw some films through a coarser grid; the grid is one for the batch, so that it stays one step."""
    chosen = some(films, COARSE_SHARE)
    scale = float(torch.empty(1).uniform_(*COARSE))
    if chosen.any():
        coarse = nnf.interpolate(films[chosen], scale_factor=scale, mode="bilinear", antialias=True)
        films[chosen] = nnf.interpolate(coarse, size=films.shape[-2:], mode="bilinear")
    return films


def _change_tone(films: Tensor) -> Tensor:
    films = adjust_gamma(films, log_uniform(films, *GAMMA))
    return adjust_contrast_with_mean_subtraction(films, uniform(films, *CONTRAST))


def _add_noise(films: Tensor) -> Tensor:
    return films + torch.randn_like(films) * each(uniform(films, 0, NOISE))
