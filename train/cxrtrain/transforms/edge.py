"""Random changes to a batch of films in training; evaluation has none (cxrbundle.preprocess).

Geometry makes up for few patients; blur and noise take away what tells one source of films from another.
"""

import math

import torch
import torch.nn.functional as nnf

ROTATION = math.radians(12)
ZOOM = (0.85, 1.12)
SHIFT = 0.06
# Part of the films redrawn through a coarser grid, and how coarse it may be.
COARSE_SHARE = 0.5
COARSEST = 0.35
GAMMA = 0.35
CONTRAST = 0.25
NOISE = 0.03


def augment(films: torch.Tensor, size: int, random: torch.Generator) -> torch.Tensor:
    """Return randomly changed films.

    Parameters
    ----------
    films : Tensor of uint8, shape (n, height, width)
    size : int
        Side of the result, in pixels.
    random : Generator

    Returns
    -------
    Tensor of float32, shape (n, size, size), 0..255
    """
    grey = films.unsqueeze(1).float() / 255
    grey = nnf.grid_sample(grey, _grid(len(films), size, random), padding_mode="zeros", align_corners=False)
    grey = _coarsen(grey, random)
    return _tone(grey, random).squeeze(1) * 255


def _uniform(n: int, low: float, high: float, random: torch.Generator) -> torch.Tensor:
    return torch.rand(n, generator=random) * (high - low) + low


def _grid(n: int, size: int, random: torch.Generator) -> torch.Tensor:
    """Return sampling grids, shape (n, size, size, 2): rotation, zoom, shift, and a mirror for half of them."""
    angle = _uniform(n, -ROTATION, ROTATION, random)
    zoom = _uniform(n, *ZOOM, random)
    mirror = (torch.rand(n, generator=random) < 0.5).float() * 2 - 1
    cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    shift = [_uniform(n, -SHIFT, SHIFT, random) for _ in range(2)]
    rows = [
        torch.stack([cosine * mirror, -sine, shift[0]], 1),
        torch.stack([sine * mirror, cosine, shift[1]], 1),
    ]
    return nnf.affine_grid(torch.stack(rows, 1), [n, 1, size, size], align_corners=False)


def _coarsen(grey: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Redraw some of the films through one coarser grid, as a poorer scanner would have."""
    chosen = torch.rand(len(grey), generator=random) < COARSE_SHARE
    if not chosen.any():
        return grey
    scale = float(_uniform(1, COARSEST, 0.9, random))
    coarse = nnf.interpolate(grey[chosen], scale_factor=scale, mode="bilinear", antialias=True)
    grey[chosen] = nnf.interpolate(coarse, size=grey.shape[-2:], mode="bilinear")
    return grey


def _tone(grey: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Change gamma and contrast, and add noise."""
    n = len(grey)
    gamma = torch.exp(_uniform(n, -GAMMA, GAMMA, random)).view(n, 1, 1, 1)
    contrast = (1 + _uniform(n, -CONTRAST, CONTRAST, random)).view(n, 1, 1, 1)
    middle = grey.mean(dim=(2, 3), keepdim=True)
    noise = torch.randn(grey.shape, generator=random) * _uniform(n, 0, NOISE, random).view(n, 1, 1, 1)
    return ((grey.clamp(0, 1) ** gamma - middle) * contrast + middle + noise).clamp(0, 1)
