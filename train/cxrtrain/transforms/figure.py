"""Figures of the presets, like the paper's Fig. 1: a film and what training sees of it."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from cxrtrain.figures import STYLE, write_figure
from cxrtrain.transforms import camera, edge, paper
from cxrtrain.transforms.film import FINER, rectify
from cxrtrain.transforms.photograph import shoot
from cxrtrain.transforms.presets import build_transform

# Changed versions beside the original, in rows of four.
VERSIONS, COLUMNS = 7, 4
# Side of a film, in pixels: sharp in a print of the figure's width at 150 dpi.
SIDE = 256
SEED = 1
TITLES = {
    "none": "resized only",
    "edge": f"rotation up to {edge.ROTATION}°, zoom, shift, mirror image, coarser grid, tones and noise",
    "paper": f"rotation up to {paper.ROTATION}°, zoom {paper.ZOOM} for half of the films, "
    f"brightness and contrast change up to {paper.LIGHTING}",
    "film": f"photographed on a light box within {camera.TILT}° (upper rows), and as the box reads it (below each)",
}


def draw_transforms(films: Tensor, preset: str, stem: Path) -> None:
    """Write STEM.png and STEM.svg: a film and seven versions of it that the preset makes.

    Parameters
    ----------
    films : Tensor of uint8, shape (n, side, side)
        The first is drawn.
    preset : str
        One of PRESETS; of "film" the photographs are drawn as well.

    Raises
    ------
    RecipeError
        If there is no such preset.
    """
    with torch.random.fork_rng():
        torch.manual_seed(SEED)
        rows = _show(films[:1], preset)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 0.3 + 1.8 * len(rows)))
        figure.suptitle(f"Preset {preset}: {TITLES[preset]}", y=1 - 0.1 / figure.get_figheight(), va="top")
        figure.subplots_adjust(0.005, 0.005, 0.995, 1 - 0.32 / figure.get_figheight(), 0.02, 0.02)
        cells = figure.subplots(len(rows), COLUMNS).ravel()
        for axes, picture in zip(cells, (picture for row in rows for picture in row), strict=True):
            axes.imshow(picture, "gray", vmin=0, vmax=255)
            axes.set_axis_off()
        # Photographs stand in a row of their own above what is read of them; the original leads both.
        for axes in cells[: len(cells) // 2 : COLUMNS]:
            axes.text(6, 6, "original", color="black", va="top", bbox={"facecolor": "white", "linewidth": 0})
        write_figure(figure, stem)


def _show(film: Tensor, preset: str) -> list[list[np.ndarray]]:
    """Return the rows of pictures to draw: uint8, grey or red, green and blue."""
    original = build_transform("none", SIDE)(film)
    copies = film.expand(VERSIONS, -1, -1)
    if preset != "film":
        return _rows([*original, *build_transform(preset, SIDE)(copies)])
    shot = shoot(copies.unsqueeze(1).float() / 255, round(FINER * SIDE))
    photographs = _rows([*original, *(shot.photos * 255).movedim(1, -1)])
    readings = _rows([*original, *rectify(shot, SIDE).squeeze(1) * 255])
    return [row for pair in zip(photographs, readings, strict=True) for row in pair]


def _rows(pictures: list[Tensor]) -> list[list[np.ndarray]]:
    """Return pictures in rows, as bytes."""
    pixels = [picture.round().byte().cpu().numpy() for picture in pictures]
    return [pixels[start : start + COLUMNS] for start in range(0, len(pixels), COLUMNS)]
