"""Preset `film`: films photographed on a light box, as the box reads them.

The box finds the film in the photograph, makes it square, grey, and stretches its levels (cxrbundle.preprocess).
What remains are small errors of the corners, and all that a camera does to light.
"""

import torch
from kornia.color import rgb_to_grayscale
from kornia.geometry import get_perspective_transform, warp_perspective
from torch import Tensor

from cxrtrain.transforms.camera import SQUARE
from cxrtrain.transforms.levels import stretch_levels
from cxrtrain.transforms.photograph import Shot, shoot

# Mean error of a corner that is found, in diagonals of the film.
CORNER_ERROR = 0.01
# Side of the photograph by that of the result: the film fills about this part of it.
FINER = 1.25


def change_film(films: Tensor, size: int) -> Tensor:
    """Return changed films: Tensor, shape (n, 1, size, size), of films of shape (n, 1, side, side), both 0..1."""
    return rectify(shoot(films, round(FINER * size)), size)


def rectify(shot: Shot, size: int) -> Tensor:
    """Return the films of photographs as the box reads them: Tensor, shape (n, 1, size, size), 0..1."""
    found = _find_corners(shot.corners)
    square = (found.new_tensor(SQUARE).expand_as(found) + 1) * size / 2 - 0.5
    grey = rgb_to_grayscale(shot.photos)
    flat = warp_perspective(grey, get_perspective_transform(found, square), (size, size), padding_mode="border")
    return stretch_levels(flat.squeeze(1) * 255).unsqueeze(1) / 255


def _find_corners(corners: Tensor) -> Tensor:
    """Return the corners as a finder would: each off by CORNER_ERROR of the film's diagonal in the mean."""
    diagonal = (corners[:, 2] - corners[:, 0]).norm(dim=1).view(-1, 1, 1)
    # The length of a normal vector in the plane is sqrt(pi / 2) in the mean.
    error = torch.randn(corners.shape).to(corners) * (CORNER_ERROR / (torch.pi / 2) ** 0.5)
    return corners + error * diagonal
