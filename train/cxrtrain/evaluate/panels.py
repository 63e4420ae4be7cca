"""Small panels in rows, one for each finding, with one more for all together and a place for the legend."""

from collections.abc import Sequence

from cxrbundle.labels import readable
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

# A page's width holds so many.
COLUMNS = 4
# In inches: a panel among many, and one that stands alone.
SMALL, LARGE = 1.8, 3.2
# Height of a line of a note, as a share of a small panel's.
LINE = 0.105


class Panels:
    """The panels of a figure.

    Parameters
    ----------
    findings : sequence of str
    summary : str
        Title of the panel for all findings together; blank: none. A single finding needs none.
    xlabel, ylabel : str
    shared : bool
        Whether all panels have the same axes.

    Attributes
    ----------
    figure : Figure
    findings : dict of str to Axes
    summary : Axes or None
    """

    def __init__(self, findings: Sequence[str], summary: str, xlabel: str, ylabel: str, shared: bool = True):
        several = len(findings) > 1
        names = [*findings, *([summary] if summary and several else [])]
        columns = min(COLUMNS, len(names) + 1)
        rows = -(-(len(names) + 1) // columns)
        side = SMALL if several else LARGE
        self.figure = Figure(figsize=(columns * side, rows * side * 0.97), layout="constrained")
        grid = list(self.figure.subplots(rows, columns, sharex=shared, sharey=shared).flat)
        drawn = dict(zip(names, grid, strict=False))
        self._legend = grid[len(names)]
        for axes in grid[len(names) :]:
            axes.axis("off")
        for place in range(max(0, len(names) - columns), len(names)):
            grid[place].tick_params(labelbottom=True)
        self.findings: dict[str, Axes] = {name: drawn[name] for name in findings}
        self.summary = drawn.get(summary) if several and summary else None
        if self.summary:
            self.summary.set_title(readable(summary))
        if several:
            self.figure.supxlabel(xlabel, size=8)
            self.figure.supylabel(ylabel, size=8)
        else:
            grid[0].set(xlabel=xlabel, ylabel=ylabel)
        for axes in drawn.values():
            axes.spines[["top", "right"]].set_visible(False)

    def explain(self, lines: dict[str, tuple[str, str]], note: str = "") -> None:
        """Write the legend, {name: (colour, line and marker)}, and a note into the free place."""
        handles = [Line2D([], [], color=colour, **_style(line)) for colour, line in lines.values()]
        self._legend.legend(handles, list(lines), loc="upper left", frameon=False, fontsize=6.2, borderaxespad=0)
        self._legend.text(0, 0, note, size=5.8, va="bottom", transform=self._legend.transAxes)


def _style(line: str) -> dict:
    marker = line[0] if line[0] in "os" else ""
    return {"marker": marker, "linestyle": line[len(marker) :], "linewidth": 1.1, "markersize": 3}


def write_note(axes: Axes, lines: Sequence[tuple[str, str]], place: tuple[float, float]) -> None:
    """Write lines of text, (text, colour) each, at a place in shares of the panel, growing away from its edge."""
    x, y = place
    downward = y > 0.5
    box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.6}
    style = {"size": 6, "ha": "left" if x < 0.5 else "right", "va": "top" if downward else "bottom", "bbox": box}
    for i, (text, colour) in enumerate(lines if downward else reversed(lines)):
        height = y + (-i if downward else i) * LINE
        axes.text(x, height, text, color=colour, transform=axes.transAxes, **style)


def count_films(number: int) -> str:
    """Return a count of films in words."""
    return f"{number} film{'' if number == 1 else 's'}"
