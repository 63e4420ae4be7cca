"""Figures of where a network looks. Films appear in them: they belong where the films may be kept."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import matplotlib as mpl
import numpy as np
from cxrbundle.labels import readable
from cxrbundle.preprocess import stretch_levels
from cxrbundle.scores import sigmoid
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from sklearn.metrics import average_precision_score

from cxrtrain.evaluate.curves import precision_recall
from cxrtrain.explain.maps import positive_part
from cxrtrain.explain.settings import CLASS_MAP, GRAD_CAM, GUIDED_GRAD_CAM, HIRES_CAM
from cxrtrain.figures import BLUE, GREY, ORANGE, STYLE, write_figure

# The frame that side markers stand in, as a share of the film's side: the paper's Grad-CAM peaks there.
BORDER = 0.1
TITLES = {
    CLASS_MAP: "Class map",
    GRAD_CAM: "Grad-CAM",
    HIRES_CAM: "HiResCAM",
    GUIDED_GRAD_CAM: "Guided Grad-CAM",
}
# Clear at 0, so that the film stays to be seen; two hues that the colour-blind tell apart.
OPAQUE = 0.8
AGAINST, FOR = to_rgb(BLUE), to_rgb(ORANGE)
HEAT = LinearSegmentedColormap.from_list(
    "heat", [(0, (*AGAINST, OPAQUE)), (0.5, (*AGAINST, 0)), (0.5, (*FOR, 0)), (1, (*FOR, OPAQUE))]
)
FRAME = {"edgecolor": "white", "linewidth": 0.7, "linestyle": (0, (4, 3))}
NOTE = {"color": "white", "size": 6, "bbox": {"facecolor": "black", "alpha": 0.6, "linewidth": 0}}
CAPTION = {"size": 6, "color": GREY, "va": "top"}
# Under a triplet and under a sheet.
CAVEAT = "Orange speaks for the finding; the map has a scale of its own. It shows where, not how sure."
READING = (
    "Orange speaks for the finding, blue against it; each map has a scale of its own. It shows where, not how sure.\n"
    "The border lies outside of the dashed frame, where side markers stand; an even map has "
    f"{1 - (1 - 2 * BORDER) ** 2:.0%} of its orange there."
)


@dataclass(frozen=True)
class Example:
    """A film, and the heat of one finding on it.

    Attributes
    ----------
    has_finding : bool
        By its label.
    grey : ndarray of uint8, shape (height, width)
    heats : dict of str to ndarray of float, shape (side, side)
        From `film_heats`, by method.
    """

    image: str
    finding: str
    has_finding: bool
    logit: float
    grey: np.ndarray
    heats: dict[str, np.ndarray]

    @cached_property
    def border_shares(self) -> dict[str, float | None]:
        """Share of each method's heat within BORDER of the film's edge; None where there is no heat."""
        return {method: border_share(heat) for method, heat in self.heats.items()}

    @property
    def title(self) -> str:
        """What is shown."""
        label = "labelled" if self.has_finding else "not labelled"
        score = sigmoid(self.logit)
        said = f"{score:.2f}" if score >= 0.01 else "below 0.01"
        return f"{readable(self.finding)} ({label}), score {said}: {self.image}"


def border_share(heat: np.ndarray, width: float = BORDER) -> float | None:
    """Return the share within WIDTH of the edge of what speaks for the finding; None where nothing does.

    An even map has 1 - (1 - 2 WIDTH)^2 there.

    Parameters
    ----------
    heat : ndarray of float, shape (side, side)
    width : float
        As a share of the side.
    """
    edge = round(width * heat.shape[0])
    positive = positive_part(heat)
    total = float(positive.sum())
    return round(1 - float(positive[edge:-edge, edge:-edge].sum()) / total, 4) if total else None


def draw_triplet(example: Example, truth: np.ndarray, logits: np.ndarray, stem: Path) -> None:
    """Write STEM.png and STEM.svg: original, guided Grad-CAM, precision and recall (the paper's Fig. 13-22).

    Where guided Grad-CAM was not asked for, the first method stands in its place.

    Parameters
    ----------
    truth, logits : ndarray, shape (films,)
        Of the finding on all films of the part.
    """
    method = GUIDED_GRAD_CAM if GUIDED_GRAD_CAM in example.heats else next(iter(example.heats))
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 2.8))
        film, heat, curve = (figure.add_axes((left, 0.15, 0.275, 0.71)) for left in (0.01, 0.315, 0.7))
        figure.suptitle(example.title, x=0.01, y=0.985, ha="left", size=8, weight="bold")
        figure.text(0.01, 0.085, CAVEAT, **CAPTION)
        _draw_film(film, example.grey, "Film")
        _draw_film(heat, example.grey, TITLES[method])
        _lay_heat(heat, example.heats[method])
        _draw_curve(curve, example, truth, logits)
        write_figure(figure, stem)


def draw_methods(example: Example, stem: Path) -> None:
    """Write STEM.png and STEM.svg: the film and its heat by every method, with the share within the border."""
    columns = 1 + len(example.heats)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(7.2, 2.35))
        figure.suptitle(example.title, x=0.01, y=0.98, ha="left", size=8, weight="bold")
        places = [(0.01 + 0.98 * column / columns, 0.17, 0.96 / columns, 0.6) for column in range(columns)]
        film, *others = map(figure.add_axes, places)
        _draw_film(film, example.grey, "Film")
        for axes, (method, heat) in zip(others, example.heats.items(), strict=True):
            share = example.border_shares[method]
            said = "nothing for it" if share is None else f"{share:.0%} in the border"
            _draw_film(axes, example.grey, f"{TITLES[method]}\n{said}")
            _lay_heat(axes, heat)
            axes.add_patch(Rectangle((BORDER, BORDER), 1 - 2 * BORDER, 1 - 2 * BORDER, fill=False, **FRAME))
        figure.text(0.01, 0.13, READING, **CAPTION)
        write_figure(figure, stem)


def _draw_film(axes: Axes, grey: np.ndarray, title: str) -> None:
    """Draw a film in coordinates of 0..1, with its own proportions and its levels stretched as the network sees it."""
    height, width = grey.shape
    axes.imshow(stretch_levels(grey), "gray", vmin=0, vmax=255, extent=(0, 1, 1, 0), aspect=height / width)
    axes.set_title(title)
    axes.set_axis_off()


def _lay_heat(axes: Axes, heat: np.ndarray) -> None:
    if not heat.any():
        axes.text(0.5, 0.5, "the network finds\nnothing for it", ha="center", va="center", **NOTE)
        return
    axes.imshow(heat, HEAT, vmin=-1, vmax=1, extent=(0, 1, 1, 0), aspect=axes.get_aspect(), interpolation="bilinear")


def _draw_curve(axes: Axes, example: Example, truth: np.ndarray, logits: np.ndarray) -> None:
    """Draw precision against recall, the precision of chance, and where the film's own score lies."""
    axes.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="Recall", ylabel="Precision")
    axes.spines[["top", "right"]].set_visible(False)
    if not truth.any():
        axes.set_title("Precision and recall")
        axes.text(0.5, 0.5, "no film with the finding", ha="center", color=GREY)
        return
    axes.set_title(f"Precision and recall: AP {average_precision_score(truth, logits):.2f}")
    recall, precision = precision_recall(truth, logits)
    axes.step(recall, precision, where="post", color=BLUE, linewidth=1.2, label=f"{truth.sum()} of {truth.size} films")
    axes.axhline(truth.mean(), color=GREY, linewidth=0.8, linestyle="--", label="chance")
    above = logits >= example.logit
    place = (truth[above].sum() / truth.sum(), truth[above].mean())
    axes.plot(*place, "o", color=ORANGE, markersize=4, clip_on=False, label="at this film's score")
    axes.legend(frameon=False, fontsize=6)
