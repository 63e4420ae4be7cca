"""Photographs of films on a light box, as a phone or the box's camera takes them.

Light is added and weakened in linear light, then the camera makes tones of it. All lengths are shares of the
photograph's side, so that a photograph looks the same at every size.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as nnf
from kornia.enhance import jpeg_codec_differentiable
from kornia.filters import gaussian_blur2d, motion_blur
from kornia.geometry import angle_to_rotation_matrix
from torch import Tensor

from cxrtrain.transforms.camera import pixel_grid, plane_of, see_corners
from cxrtrain.transforms.chance import each, log_uniform, some, uniform
from cxrtrain.transforms.geometry import resize

# Tones of a screen to linear light and back.
GAMMA = 2.2
# What the clearest part of a film lets through: bone is a little darker than the empty box.
CLEAR = 0.7, 1.0
# The box around the film, in half sides of it; beyond is the dark room. For some the box is masked or its
# surround is opaque, as at the edge of both real photographs.
MARGIN = 0.03, 0.5
MASKED_SHARE = 0.5
MASK = 0.005, 0.05
ROOM = 0.005, 0.08
# The box's light falls off to one side, by so much over half the film, and has the hot spot of its lamp.
GRADIENT = 0.0, 0.25
HOT_SPOT = 0.0, 0.3
HOT_RADIUS = 0.4, 0.9
# The lens is darker in its corners.
VIGNETTE = 0.0, 0.15
# A lamp or window mirrored by some films, of white.
GLARE_SHARE = 0.4
GLARE = 0.05, 0.5
GLARE_RADIUS = 0.03, 0.15
# Light of the room that the whole film mirrors: it lifts the blacks and so lowers contrast.
VEIL = 0.0005, 0.05
# Above 1 white burns out.
EXPOSURE = 0.6, 1.2
# Gains of red and of blue, green being 1; the room's light has others than the box's, so that darks are tinted.
BOX_CAST = 0.92, 1.1
ROOM_CAST = 0.7, 1.6
# Standard deviation of the blur out of focus, and length of the shake of a hand-held camera.
DEFOCUS = 0.0008, 0.004
SHAKE_SHARE = 0.25
SHAKE = 0.02
# The film's, or a screen's, fine lines beat with the camera's pixels, in some: contrast, and pixels a period.
MOIRE_SHARE = 0.4
MOIRE = 0.003, 0.016
PERIOD = 2.3, 9.0
# Standard deviation, of white.
NOISE = 0.002, 0.02
# In the others compression does not show.
JPEG_SHARE = 0.5
QUALITY = 30, 85


@dataclass(frozen=True)
class Shot:
    """Photographs and where the films stand in them.

    Attributes
    ----------
    photos : Tensor, shape (n, 3, size, size)
        Red, green and blue, 0..1.
    corners : Tensor, shape (n, 4, 2)
        Top left, top right, bottom right and bottom left of the film, x and y in pixels.
    """

    photos: Tensor
    corners: Tensor


@torch.no_grad()
def photograph(films: Tensor, size: int) -> Tensor:
    """Return a photograph of each film with what is around it.

    Parameters
    ----------
    films : Tensor of uint8, shape (n, side, side)
    size : int
        Side of the photograph, in pixels.

    Returns
    -------
    Tensor of float32, shape (n, 3, size, size)
        Red, green and blue, 0..255.
    """
    return shoot(films.unsqueeze(1).float() / 255, size).photos * 255


def shoot(films: Tensor, size: int) -> Shot:
    """Photograph films of shape (n, 1, side, side), 0..1; the side of the photographs is SIZE pixels."""
    corners = see_corners(films, size)
    light = _light_box(films, plane_of(corners, size))
    photos = _expose(_blur(light))
    photos = _add_noise(_add_moire(photos)).clamp(0, 1)
    return Shot(_compress(photos), corners)


def _light_box(films: Tensor, plane: Tensor) -> Tensor:
    """Return the light that comes from the film and from around it: shape (n, 1, size, size)."""
    size = plane.shape[-1]
    # A film finer than the photograph would alias.
    film = resize(films, min(size, films.shape[-1])) ** GAMMA * each(uniform(films, *CLEAR))
    film = nnf.grid_sample(film, plane.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)
    margins = [_pair(uniform(films, *MARGIN), uniform(films, *MARGIN)) for _ in range(2)]
    on_box = _inside(plane, -1 - margins[0], 1 + margins[1])
    on_film = _inside(plane, torch.full_like(margins[0], -1), torch.full_like(margins[0], 1))
    masked = some(films, MASKED_SHARE).to(films.device)
    surround = each(torch.where(masked, uniform(films, *MASK), 1.0))
    light = _lamp(films, plane) * torch.lerp(on_box * surround, film, on_film)
    return light + (1 - on_box) * each(uniform(films, *ROOM))


def _pair(x: Tensor, y: Tensor) -> Tensor:
    """Return a vector for each film in the shape that meets places: (n, 2, 1, 1)."""
    return torch.stack([x, y], dim=1)[..., None, None]


def _inside(plane: Tensor, low: Tensor, high: Tensor) -> Tensor:
    """Return 1 inside a rectangle of the plane and 0 outside, soft by a pixel: shape (n, 1, size, size)."""
    within = torch.minimum(plane - low, high - plane).amin(dim=1, keepdim=True)
    return (within * plane.shape[-1] / 2 + 0.5).clamp(0, 1)


def _lamp(films: Tensor, plane: Tensor) -> Tensor:
    """Return how bright the box is at each place of the plane."""
    way, fall = uniform(films, 0, 2 * torch.pi), uniform(films, *GRADIENT)
    slope = _pair(way.cos() * fall, way.sin() * fall)
    gradient = (1 + (plane * slope).sum(dim=1, keepdim=True)).clamp(0, 1.5)
    spot = _blob(films, plane, HOT_RADIUS) * each(uniform(films, *HOT_SPOT))
    return gradient * (1 + spot)


def _blob(films: Tensor, places: Tensor, radius: tuple[float, float]) -> Tensor:
    """Return an oblong blob somewhere between -1 and 1, 1 in its middle: shape (n, 1, size, size)."""
    from_centre = places - _pair(uniform(films, -1, 1), uniform(films, -1, 1))
    # Turned to the axes of the blob, and measured in its radii.
    axes = angle_to_rotation_matrix(uniform(films, 0, 180))
    axes = axes / _pair(log_uniform(films, *radius), log_uniform(films, *radius))[..., 0]
    far = (axes @ from_centre.flatten(2)).square().sum(dim=1)
    return torch.exp(-0.5 * far).view(-1, 1, *places.shape[-2:])


def _blur(light: Tensor) -> Tensor:
    """Blur by the lens, and some by a shake of the hand."""
    size = light.shape[-1]
    sigma = log_uniform(light, *(size * share for share in DEFOCUS))
    light = gaussian_blur2d(light, _odd(6 * size * DEFOCUS[1]), sigma.unsqueeze(1).expand(-1, 2))
    shaken = some(light, SHAKE_SHARE)
    if shaken.any():
        angle = uniform(light[shaken], 0, 180)
        light[shaken] = motion_blur(light[shaken], _odd(size * SHAKE), angle, torch.zeros_like(angle), mode="bilinear")
    return light


def _odd(pixels: float) -> int:
    """Return the side of a kernel that spans so many pixels."""
    return max(3, int(pixels) // 2 * 2 + 1)


def _expose(light: Tensor) -> Tensor:
    """Return the photograph in colour: the box's light, the room's and its glare, in the camera's tones."""
    size = light.shape[-1]
    frame = pixel_grid(light, size, normalised=True)
    lens = 1 - each(uniform(light, *VIGNETTE)) * frame.square().sum(dim=1, keepdim=True) / 2
    glare = some(light, GLARE_SHARE).to(light) * uniform(light, *GLARE)
    room = each(log_uniform(light, *VEIL)) + each(glare) * _blob(light, frame, GLARE_RADIUS)
    seen = (light * _cast(light, BOX_CAST) + room * _cast(light, ROOM_CAST)) * lens
    return (seen * each(uniform(light, *EXPOSURE))).clamp(0, 1) ** (1 / GAMMA)


def _cast(light: Tensor, gains: tuple[float, float]) -> Tensor:
    """Return the gains of red, green and blue: shape (n, 3, 1, 1)."""
    red, blue = log_uniform(light, *gains), log_uniform(light, *gains)
    return torch.stack([red, torch.ones_like(red), blue], dim=1)[..., None, None]


def _add_moire(photos: Tensor) -> Tensor:
    """Add faint lines, another phase in each colour, to some."""
    chosen = some(photos, MOIRE_SHARE)
    photos[chosen] *= 1 + _lines(photos[chosen])
    return photos


def _lines(photos: Tensor) -> Tensor:
    """Return faint lines of any direction and period: shape (n, 3, size, size)."""
    way, turns = uniform(photos, 0, torch.pi), 2 * torch.pi / uniform(photos, *PERIOD)
    wave = _pair(way.cos() * turns, way.sin() * turns)
    phases = torch.stack([uniform(photos, 0, torch.pi) for _ in range(3)], dim=1)[..., None, None]
    place = (pixel_grid(photos, photos.shape[-1]) * wave).sum(dim=1, keepdim=True)
    return torch.sin(place + phases) * each(uniform(photos, *MOIRE))


def _add_noise(photos: Tensor) -> Tensor:
    return photos + torch.randn_like(photos) * each(log_uniform(photos, *NOISE))


def _compress(photos: Tensor) -> Tensor:
    """Store some as JPEG."""
    chosen = some(photos, JPEG_SHARE)
    if chosen.any():
        photos[chosen] = jpeg_codec_differentiable(photos[chosen], uniform(photos[chosen], *QUALITY))
    return photos
