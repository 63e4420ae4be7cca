"""The films of a run: how many, of whom, with which findings, and how they are changed in training (Fig. 1, 3)."""

from pathlib import Path

from cxrbundle.labels import FINDINGS, readable

from cxrtrain.data.counts import cooccurrence, split_facts
from cxrtrain.data.films import TRAIN
from cxrtrain.data.prepared import open_prepared
from cxrtrain.errors import RunError
from cxrtrain.figures import draw_cooccurrence
from cxrtrain.report.blocks import Block, Missing, Picture, Section, Table, Text, percent
from cxrtrain.report.run_folder import FinishedRun

SPLITS = {
    "official": "NIH's official split, by patient",
    "reference": "a split by patient that tests on patients whom the reference DenseNet-121 never saw",
    "patient": "a split by patient",
    "paper": "the paper's split, by film",
}


def data_section(run: FinishedRun, films: Path | None, folder: Path) -> Section:
    """Return the section on the films; its figures are written to FOLDER."""
    facts = split_facts(run.films, run.parts)
    blocks = [_what_films(run), _parts_table(run, facts), _leakage(facts), _findings_table(facts)]
    blocks += [_cooccurrence(run, folder), *_transform_figures(run, films, folder)]
    return Section("data", "Data", blocks)


def _used(run: FinishedRun) -> list:
    return [film for film, part in zip(run.films, run.parts, strict=True) if part]


def _what_films(run: FinishedRun) -> Text:
    used = _used(run)
    left_out = len(run.films) - len(used)
    return Text(
        f"{len(used):,} frontal films of {len({film.patient for film in used}):,} patients from ChestX-ray14 (NIH), "
        f"divided by {SPLITS[run.recipe.data.split]}"
        + (f"; {left_out:,} further films are in no part. " if left_out else ". ")
        + "The labels were mined from radiologists' reports, so some are wrong: where radiologists looked at films "
        "again, 46 % of the labels of pneumothorax were right, and 46 % of those who had it had the label."
    )


def _parts_table(run: FinishedRun, facts: dict) -> Table:
    thumbnails = {
        part: sum(film.thumbnail for film, own in zip(run.films, run.parts, strict=True) if own == part)
        for part in facts["parts"]
    }
    rows = [
        (part.capitalize(), f"{own['images']:,}", f"{thumbnails[part]:,}", f"{own['patients']:,}")
        for part, own in facts["parts"].items()
    ]
    caption = "Parts. Thumbnails came at 64 pixels a side; nothing is measured on them."
    return Table(caption, ("Part", "Films", "of them thumbnails", "Patients"), rows)


def _leakage(facts: dict) -> Text:
    sentences = [
        f"{percent(own['share_of_images'])} of the {part} films, and {percent(own['share_of_patients'])} of the {part} "
        "patients, are of patients who are trained on too"
        if own["images"]
        else f"no {part} film is of a patient who is trained on"
        for part, own in facts["leakage"].items()
    ]
    compared = "In the paper it is 83.3 % of the validation films, because films were drawn and not patients."
    return Text(f"Leakage: {'; '.join(sentences)}. {compared}")


def _findings_table(facts: dict) -> Table:
    parts = facts["parts"]
    rows = [(readable(name), *(f"{own['findings'][name]:,}" for own in parts.values())) for name in FINDINGS]
    return Table("Films with each finding.", ("Finding", *(part.capitalize() for part in parts)), rows)


def _cooccurrence(run: FinishedRun, folder: Path) -> Picture:
    used = _used(run)
    draw_cooccurrence(cooccurrence(used), len(used), folder / "cooccurrence")
    caption = (
        "Fig. 3 of the paper, for the films of this run: how many films have both findings. "
        "cxrtrain labels draws it for all 112,120 films."
    )
    return Picture(caption, folder / "cooccurrence.png", 150)


def _transform_figures(run: FinishedRun, films: Path | None, folder: Path) -> list[Block]:
    """Return the figures of the random changes; drawn here if FILMS, a prepared folder, is named."""
    preset = run.recipe.transforms.preset
    if films:
        _draw_presets(run, films, folder)
    found = sorted(path for place in (folder, run.folder / "transforms") for path in place.glob("transforms-*.png"))
    # A preset may have been drawn in both places.
    pictures = {path.stem.removeprefix("transforms-"): path for path in reversed(found)}
    if pictures:
        own = (" (this run's)", " (not this run's)")
        return [
            Picture(f"As in Fig. 1 of the paper: films as the preset {name!r} changes them{own[name != preset]}.", path)
            for name, path in sorted(pictures.items(), key=lambda item: item[0] != preset)
        ]
    if preset == "none":
        return [Text("Films were not changed in training, so there is no figure like Fig. 1 of the paper.")]
    words = f"The figure of the changes in training (Fig. 1 of the paper; preset {preset!r}) is left out"
    return [Missing(words, f"cxrtrain report {run.folder} --films PREPARED")]


def _draw_presets(run: FinishedRun, films: Path, folder: Path) -> None:
    """Draw this run's preset and the paper's on a training film of full sharpness."""
    import torch  # it takes seconds to import

    from cxrtrain.transforms.figure import draw_transforms

    prepared = open_prepared(films)
    pairs = zip(run.films, run.parts, strict=True)
    trained = {film.image for film, part in pairs if part == TRAIN and not film.thumbnail}
    row = next((row for row, film in enumerate(prepared.films) if film.image in trained), None)
    if row is None:
        raise RunError(f"{films} holds no training film of {run.folder}; name the prepared folder it was trained on")
    pixels = torch.from_numpy(prepared.pixels[row : row + 1].copy())
    for preset in {run.recipe.transforms.preset, "paper"} - {"none"}:
        draw_transforms(pixels, preset, folder / f"transforms-{preset}")
