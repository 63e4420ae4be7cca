"""Where the network looks (the paper's Fig. 13-22), and how well its maps find what radiologists boxed."""

from cxrbundle.labels import readable

from cxrtrain.explain.settings import CLASS_MAP, GRAD_CAM, GUIDED_GRAD_CAM, HIRES_CAM
from cxrtrain.report.blocks import NOTHING, Block, Missing, Picture, Section, Table, Text, number
from cxrtrain.report.run_folder import FinishedRun

FOLDER = "explanation"
OVERALL = "overall"
READERS = {
    CLASS_MAP: "Class map",
    GRAD_CAM: "Grad-CAM",
    HIRES_CAM: "HiResCAM",
    GUIDED_GRAD_CAM: "Guided Grad-CAM",
    "random": "Random map",
    "centre": "Centre of the film",
}


def explanation_section(run: FinishedRun) -> Section:
    """Return the section on the maps."""
    title = "Where the network looks"
    explanation = run.read(f"{FOLDER}/explanation.json")
    if explanation is None:
        words = "The maps (Fig. 13-22 of the paper) and their localisation are left out"
        missing = Missing(words, f"cxrtrain explain {run.folder} --films FILMS --boxes BBox_List_2017.csv")
        return Section("maps", title, [missing])
    words = (
        f"Each row is of a {explanation['part']} film, which the network was not trained on: the film, guided "
        "Grad-CAM, and precision and recall of the finding. A map shows what moved the score, not that it is right."
    )
    return Section(
        "maps",
        title,
        [Text(words), *_triplets(run, explanation), _border_table(explanation), *_localisation(run, explanation)],
    )


def _triplets(run: FinishedRun, explanation: dict) -> list[Picture]:
    return [
        Picture(
            f"As in Fig. 13-22 of the paper: {readable(name).lower()}, film {shown['film']}.",
            run.folder / FOLDER / shown["triplet"],
        )
        for name, own in explanation["findings"].items()
        for shown in own["shown"]
    ]


def _border_table(explanation: dict) -> Table:
    methods = explanation["methods"]
    rows = [
        (readable(name), str(own["border_films"]), *(number(own["border_share"][method], 2) for method in methods))
        for name, own in explanation["findings"].items()
    ]
    border = explanation["border"]
    caption = (
        f"Share of the heat in the outer {border['width']:.0%} of the film, where side markers stand; an even map has "
        f"{border['area_share']:.2f}. The paper's Grad-CAM peaks on the marker."
    )
    return Table(caption, ("Finding", "Films", *(READERS[method] for method in methods)), rows)


def _localisation(run: FinishedRun, explanation: dict) -> list[Block]:
    found = explanation["localisation"]
    if found is None:
        words = "Localisation against the boxes of radiologists is left out"
        return [Missing(words, f"cxrtrain explain {run.folder} --films FILMS --boxes BBox_List_2017.csv")]
    if not found["cases"]:
        return [Text("No boxed film of NIH's list is among the films that this run may be measured on.")]
    words = (
        f"Localisation: {found['cases']:,} boxes' findings on {found['films']['used']:,} films of patients who were "
        "not trained on. Pointing: is the hottest place inside a box. IoU, IoBB: does a region of the map overlap a "
        "box by more than the given share of both together, or of itself. Random maps show what takes no skill."
    )
    return [Text(words), _overlap_table(found), _pointing_table(found)]


def _overlap_table(found: dict) -> Table:
    levels = [str(level) for level in found["overlaps"]]
    rows = []
    for reader, table in found["tables"].items():
        own = table[OVERALL]
        overlaps = [number(own[measure][level]["share"], 2) for measure in ("iou", "iobb") for level in levels]
        rows.append((READERS[reader], _share(own["pointing"]), *overlaps))
    header = ("Map", "Pointing (95 %)", *(f"{name} > {level}" for name in ("IoU", "IoBB") for level in levels))
    return Table("Localisation over all findings: share of cases that are right.", header, rows)


def _pointing_table(found: dict) -> Table:
    tables = found["tables"]
    names = [name for name in next(iter(tables.values())) if name != OVERALL]
    rows = [
        (
            readable(name),
            str(next(iter(tables.values()))[name]["cases"]),
            *(number(table[name]["pointing"]["share"], 2) for table in tables.values()),
        )
        for name in names
    ]
    return Table("Pointing by finding.", ("Finding", "Cases", *(READERS[reader] for reader in tables)), rows)


def _share(own: dict) -> str:
    share = number(own["share"], 2)
    if own["interval_95"] is None or share == NOTHING:
        return share
    return f"{share} ({own['interval_95'][0]:.2f} to {own['interval_95'][1]:.2f})"
