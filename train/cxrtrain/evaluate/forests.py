"""Forest plots: a figure a row, with its interval."""

from cxrbundle.labels import readable
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from cxrtrain.evaluate.panels import count_films
from cxrtrain.figures import BLUE, GREY, ORANGE

# In inches.
ROW = 0.21
DIVISIONS = {"sex": "Sex", "age": "Age in years", "view": "View position", "source": "Source"}
GROUPS = {"F": "female", "M": "male", None: "unknown"}


def draw_findings(figures: dict) -> Figure:
    """Return the figure of each finding's AUC and AP with their intervals, beside the reference's."""
    names = [*figures["findings"], *(["mean"] if len(figures["findings"]) > 1 else [])]
    figure = Figure(figsize=(7.2, 1.0 + ROW * 1.2 * len(names)), layout="constrained")
    panels = figure.subplots(1, 2, sharey=True)
    for axes, key, title in zip(panels, ("auc", "ap"), ("AUC", "Average precision"), strict=True):
        for row, name in enumerate(names):
            _draw_interval(axes, row - 0.14, _row_of(figures, name), key, BLUE, "o")
            if figures["reference"]:
                _draw_interval(axes, row + 0.14, _row_of(figures["reference"], name)["reference"], key, ORANGE, "D")
        axes.set(title=title, xlim=(None, 1))
        if len(names) > 1:
            axes.axhline(len(names) - 1.5, color=GREY, linewidth=0.5)
    panels[0].axvline(0.5, linestyle=":", color=GREY, linewidth=0.7)
    labels = [f"{readable(name)} ({row['positives']})" for name, row in figures["findings"].items()]
    panels[0].set_yticks(range(len(names)), [*labels, "Mean"][: len(names)])
    panels[0].set_ylim(len(names) - 0.5, -0.5)
    readers = {"this run": (BLUE, "o")}
    if beside := figures["reference"]:
        readers[f"reference {beside['name']}, {beside['films']} films"] = (ORANGE, "D")
    _finish(figure, panels, readers)
    return figure


def _row_of(figures: dict, name: str) -> dict:
    return figures["mean"] if name == "mean" else figures["findings"][name]


def draw_subgroups(figures: dict) -> Figure:
    """Return the figure of each group's mean AUC with its interval, beside that of all films on the same findings."""
    groups = figures["subgroups"]
    places, place = [], -1.0
    for number, group in enumerate(groups):
        first = number == 0 or groups[number - 1]["by"] != group["by"]
        # A line for the heading of a division.
        place += 2.0 if first else 1.0
        places.append(place)
    figure = Figure(figsize=(7.2, 0.9 + ROW * (place + 2)), layout="constrained")
    axes = figure.subplots()
    axes.axvline(0.5, linestyle=":", color=GREY, linewidth=0.7)
    for place, group in zip(places, groups, strict=True):
        if group["auc"] is None:
            axes.text(0.505, place, "too few films", size=6, color=GREY, va="center")
        else:
            axes.plot(group["auc_of_all_films"], place, "|", color=GREY, markersize=9, markeredgewidth=1.2)
            _draw_interval(axes, place, group, "auc", BLUE, "o")
    axes.set_yticks(places, [_group_label(group, len(figures["findings"])) for group in groups])
    _write_headings(axes, places, groups)
    lows = [(group["auc_95"] or [group["auc"]])[0] for group in groups if group["auc"] is not None]
    axes.set(xlim=(min([0.47, *lows]) - 0.02, 1), ylim=(places[-1] + 0.7, -0.6), xlabel="Mean AUC")
    _finish(figure, [axes], {"films of the group": (BLUE, "o"), "all films, the same findings": (GREY, "|")})
    return figure


def _write_headings(axes: Axes, places: list[float], groups: list[dict]) -> None:
    headings = {}
    for place, group in zip(places, groups, strict=True):
        headings.setdefault(group["by"], place - 1)
    for division, place in headings.items():
        text = DIVISIONS[division]
        axes.text(-0.01, place, text, weight="bold", ha="right", va="center", transform=axes.get_yaxis_transform())


def _group_label(group: dict, findings: int) -> str:
    name = GROUPS.get(group["group"], group["group"])
    return f"{name}: {count_films(group['films'])}, {group['findings_counted']} of {findings} findings"


def _draw_interval(axes: Axes, place: float, row: dict, key: str, colour: str, marker: str) -> None:
    if row[key] is not None:
        low, high = row[f"{key}_95"] or (row[key], row[key])
        axes.plot([low, high], [place, place], color=colour, linewidth=1, solid_capstyle="butt")
        axes.plot(row[key], place, marker, color=colour, markersize=3.5)


def _finish(figure: Figure, panels, readers: dict[str, tuple[str, str]]) -> None:
    for axes in panels:
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", color="#eeeeee", linewidth=0.6)
        axes.set_axisbelow(True)
    handles = [Line2D([], [], color=c, marker=m, linestyle="-" if m != "|" else "") for c, m in readers.values()]
    figure.legend(handles, list(readers), loc="outside lower center", ncols=len(readers), frameon=False, fontsize=7)
