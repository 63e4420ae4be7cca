"""Where the corners of a film stand in a photograph of it."""

import torch
from kornia.geometry import (
    angle_to_rotation_matrix,
    axis_angle_to_rotation_matrix,
    create_meshgrid,
    get_perspective_transform,
    transform_points,
)
from torch import Tensor

from cxrtrain.transforms.chance import log_uniform, uniform

# Degrees between the camera's axis and the film's normal.
TILT = 25
# Degrees both ways about the camera's axis.
ROLL = 6
# Width by height: films are portrait, landscape or square.
ASPECT = 0.8, 1.25
# From the camera to the film, in half diagonals of the film: a phone's wide angle to an arm's length.
DISTANCE = 1.8, 4.0
# Share of the photograph's side that the film fills.
FILL = 0.75, 0.98
# Corners in their order: top left, top right, bottom right, bottom left.
SQUARE = (-1.0, -1.0), (1.0, -1.0), (1.0, 1.0), (-1.0, 1.0)


def see_corners(films: Tensor, size: int) -> Tensor:
    """Return where a camera sees the corners of each film: Tensor, shape (n, 4, 2), x and y in pixels.

    The film hangs on a light box; the camera is a pinhole, tilted any way within TILT. All corners are in
    the photograph, whose side is SIZE pixels.
    """
    sheet = torch.cat([_sheet(films), films.new_zeros(len(films), 4, 1)], dim=2)
    turned = sheet @ _tilt(films)
    seen = turned[..., :2] / (turned[..., 2:] + uniform(films, *DISTANCE).view(-1, 1, 1))
    return _frame(seen @ angle_to_rotation_matrix(uniform(films, -ROLL, ROLL)), films, size)


def _sheet(films: Tensor) -> Tensor:
    """Return the corners of each film on its own plane, half a diagonal from its centre: shape (n, 4, 2)."""
    aspect = log_uniform(films, *ASPECT)
    half = torch.stack([aspect, torch.ones_like(aspect)], dim=1)
    return films.new_tensor(SQUARE) * (half / half.norm(dim=1, keepdim=True)).unsqueeze(1)


def _tilt(films: Tensor) -> Tensor:
    way = uniform(films, 0, 2 * torch.pi)
    axis = torch.stack([way.cos(), way.sin(), torch.zeros_like(way)], dim=1)
    return axis_angle_to_rotation_matrix(axis * uniform(films, 0, TILT).deg2rad().unsqueeze(1))


def _frame(seen: Tensor, films: Tensor, size: int) -> Tensor:
    """Scale and shift what is seen into the photograph."""
    low = seen.amin(dim=1, keepdim=True)
    extent = seen.amax(dim=1, keepdim=True) - low
    scale = uniform(films, *FILL).view(-1, 1, 1) * size / extent.amax(dim=2, keepdim=True)
    room = size - extent * scale
    place = torch.stack([uniform(films, 0, 1) for _ in range(2)], dim=1).unsqueeze(1)
    # The centre of the first pixel is 0, its corner -0.5.
    return (seen - low) * scale + room * place - 0.5


def plane_of(corners: Tensor, size: int) -> Tensor:
    """Return where on the film's plane each pixel of the photograph looks.

    Parameters
    ----------
    corners : Tensor, shape (n, 4, 2)
        As of see_corners.
    size : int
        Side of the photograph, in pixels.

    Returns
    -------
    Tensor, shape (n, 2, size, size)
        x and y; the film reaches from -1 to 1 in both.
    """
    to_plane = get_perspective_transform(corners, corners.new_tensor(SQUARE).expand_as(corners))
    points = pixel_grid(corners, size).permute(0, 2, 3, 1).flatten(1, 2).expand(len(corners), -1, 2)
    return transform_points(to_plane, points).mT.reshape(-1, 2, size, size)


def pixel_grid(like: Tensor, size: int, normalised: bool = False) -> Tensor:
    """Return x and y of each pixel, or from -1 to 1: Tensor, shape (1, 2, size, size)."""
    grid = create_meshgrid(size, size, normalised, device=like.device, dtype=like.dtype)
    return grid.permute(0, 3, 1, 2).contiguous()
