"""Figures for print. They are drawn without pyplot, so no display and no global state is needed."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
from cxrbundle.labels import FINDINGS, readable
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

# One hue from light to dark: read the same by the colour-blind and from a grey print.
COLOURS = "Blues"
# Lines take these of Okabe and Ito, told apart by the colour-blind.
BLUE, ORANGE, GREEN, GREY = "#0072b2", "#d55e00", "#009e73", "#666666"
# Text is white where the cell is darker than this share of the scale.
DARK = 0.7
STYLE = {
    "font.size": 7,
    "axes.titlesize": 8,
    # Text stays text in the SVG, and the same matrix gives the same bytes.
    "svg.fonttype": "none",
    "svg.hashsalt": "cxrtrain",
}


def write_figure(figure: Figure, stem: Path) -> None:
    """Write STEM.png and STEM.svg, the same figure as the same bytes; call it within `rc_context(STYLE)`."""
    figure.savefig(f"{stem}.png", dpi=300)
    figure.savefig(f"{stem}.svg", metadata={"Date": None})


def draw_cooccurrence(counts: np.ndarray, images: int, stem: Path) -> None:
    """Write STEM.png and STEM.svg: how many of all images have both findings (the paper's Fig. 3).

    Parameters
    ----------
    counts : ndarray of int, shape (findings, findings)
    images : int
        Images that were counted.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 6.4))
        # Room for the longest name, set by hand: a layout engine would draw everything twice more.
        axes = figure.add_axes((0.13, 0.125, 0.735, 0.835))
        scale = figure.add_axes((0.885, 0.245, 0.018, 0.595))
        # Counts span four powers of ten; on a linear scale all but the diagonal would look empty.
        norm = LogNorm(1, max(int(counts.max()), 10))
        picture = axes.imshow(np.ma.masked_equal(counts, 0), COLOURS, norm)
        _label_axes(axes, images)
        _write_numbers(axes, counts, norm)
        bar = figure.colorbar(picture, cax=scale, format="{x:,.0f}")
        bar.set_label("Images, logarithmic scale (white: none)")
        bar.outline.set_visible(False)
        write_figure(figure, stem)


def _label_axes(axes, images: int) -> None:
    names = [readable(finding) for finding in FINDINGS]
    places = range(len(names))
    axes.set_xticks(places, names, rotation=45, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, names)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    # Lines between the cells, so that neighbours of one shade stay apart.
    axes.set_xticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(names) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=1)
    axes.tick_params(which="minor", length=0)
    axes.set_title(f"Images with both findings (diagonal: with the finding), of {images:,}")


def _write_numbers(axes, counts: np.ndarray, norm: LogNorm) -> None:
    for (row, column), count in np.ndenumerate(counts):
        dark = count > 0 and norm(count) > DARK
        weight = "bold" if row == column else "normal"
        colour = "white" if dark else "black"
        axes.text(column, row, f"{count:,}", color=colour, weight=weight, size=6.2, ha="center", va="center")
