"""`cxrtrain labels`: from NIH's metadata to labels, counts, a figure and a split."""

import argparse
import json
import logging
import tempfile
from dataclasses import dataclass
from pathlib import Path

from cxrbundle.labels import FINDINGS

from cxrtrain.data.counts import cooccurrence, count_labels, split_facts
from cxrtrain.data.films import Film
from cxrtrain.data.folders import LABELS, place_films
from cxrtrain.data.metadata import read_metadata
from cxrtrain.data.official import has_lists, mark_official
from cxrtrain.data.splits import PAPER_SEED, PAPER_SHARE, split
from cxrtrain.data.tables import write_rows
from cxrtrain.errors import FilmsError
from cxrtrain.figures import draw_cooccurrence
from cxrtrain.recipe import DataSettings, make_recipe

log = logging.getLogger(__name__)
# NIH's metadata says nothing of the reference network's split.
SPLITS = ("official", "patient", "paper")


@dataclass(frozen=True)
class LabelSettings:
    """All settings of `cxrtrain labels`.

    Attributes
    ----------
    metadata : Path
        NIH's Data_Entry_2017 CSV.
    output : Path
        New folder.
    split : str
        "official", "patient" or "paper".
    lists : Path or None
        Folder of NIH's two lists; None: that of the metadata.
    films : Path or None
        Folder in or below which each image must stand; None: not looked at.
    allow_missing : bool
        Leave images out whose film is missing.
    seed, folds, fold : int
        Of the draw of patients to validate on; the paper's split has its own.
    """

    metadata: Path
    output: Path
    split: str = "official"
    lists: Path | None = None
    films: Path | None = None
    allow_missing: bool = False
    seed: int = DataSettings().split_seed
    folds: int = DataSettings().folds
    fold: int = DataSettings().fold

    def data_settings(self) -> DataSettings:
        """Return the settings of the split, or raise RecipeError."""
        own = {"split": self.split, "split_seed": self.seed, "folds": self.folds, "fold": self.fold}
        return make_recipe({"data": own}, "cxrtrain labels").data


def add_labels_command(commands) -> None:
    """Add `labels` to the commands of `cxrtrain`."""
    parser = commands.add_parser("labels", help="count the labels of ChestX-ray14 and split its images")
    parser.add_argument("metadata", type=Path, help="NIH's Data_Entry_2017 CSV, either form, plain or .gz")
    parser.add_argument("-o", "--output", type=Path, required=True, help="new folder")
    parser.add_argument("--split", choices=SPLITS, default=LabelSettings.split, help="default %(default)s")
    parser.add_argument("--lists", type=Path, help="folder of NIH's two lists; default: that of METADATA")
    parser.add_argument("--films", type=Path, help="folder in or below which each image must stand")
    parser.add_argument("--allow-missing", action="store_true", help="leave out images that --films lacks")
    for name, field in (("seed", "split_seed"), ("folds", "folds"), ("fold", "fold")):
        said = f"{DataSettings.model_fields[field].description}; default %(default)s"
        parser.add_argument(f"--{name}", type=int, default=getattr(LabelSettings, name), help=said)
    parser.set_defaults(run=run_labels_command)


def run_labels_command(arguments: argparse.Namespace) -> None:
    """Run `labels` with parsed arguments."""
    names = LabelSettings.__dataclass_fields__
    write_labels(LabelSettings(**{name: getattr(arguments, name) for name in names}))


def write_labels(settings: LabelSettings) -> None:
    """Read the metadata, split it, and write the folder as a whole or not at all.

    Raises
    ------
    FilmsError
        If the metadata, the lists or the films cannot be used, or the folder is not empty.
    RecipeError
        If a setting of the split is not one.
    """
    _check_output(settings)
    data = settings.data_settings()
    films = _read(settings)
    # Split before films are left out: the part of an image must not depend on what is on this disk.
    part = dict(zip((film.image for film in films), split(films, data), strict=True))
    kept = place_films(films, settings.films, settings.allow_missing) if settings.films else films
    parts = [part[film.image] for film in kept]
    counts = count_labels(kept) | {"left_out": len(films) - len(kept)}
    facts = _split_settings(data) | split_facts(kept, parts)
    _write_folder(settings.output, kept, parts, counts, facts)
    _say(counts, facts)


def _check_output(settings: LabelSettings) -> None:
    output = settings.output
    if output.exists() and not output.is_dir():
        raise FilmsError(f"{output} is a file; name a new folder with -o")
    if output.is_dir() and any(output.iterdir()):
        raise FilmsError(f"{output} is not empty; name a new folder with -o")
    if settings.allow_missing and not settings.films:
        raise FilmsError("--allow-missing needs --films: without a folder no image is looked for")


def _read(settings: LabelSettings) -> list[Film]:
    """Return the films of the metadata, with NIH's part of each where its lists are there or needed."""
    films = read_metadata(settings.metadata)
    lists = settings.lists or settings.metadata.parent
    needed = settings.split == "official" or settings.lists
    return mark_official(films, lists) if needed or has_lists(lists) else films


def _split_settings(data: DataSettings) -> dict:
    if data.split == "paper":
        return {"split": data.split, "seed": PAPER_SEED, "validation_share": PAPER_SHARE}
    return {"split": data.split, "seed": data.split_seed, "folds": data.folds, "fold": data.fold}


def _write_folder(output: Path, films: list[Film], parts: list[str], counts: dict, facts: dict) -> None:
    """Write beside the folder and rename, so that it is never there in part."""
    output = output.resolve()
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as work:
            new = Path(work) / "new"
            new.mkdir()
            _write_tables(new, films, parts)
            _write_json(new / "counts.json", counts)
            _write_json(new / "split.json", facts)
            new.rename(output)
    except OSError as err:
        raise FilmsError(f"{output} cannot be written ({err.strerror}); make room or name another with -o") from err


def _write_tables(folder: Path, films: list[Film], parts: list[str]) -> None:
    header = ("image", "findings", "patient", "age", "sex", "view", "official", *FINDINGS)
    write_rows(folder / LABELS, header, map(_label_row, films))
    pairs = ((film.image, part) for film, part in zip(films, parts, strict=True) if part)
    write_rows(folder / "split.csv", ("image", "part"), pairs)
    matrix = cooccurrence(films)
    rows = ((finding, *row) for finding, row in zip(FINDINGS, matrix.tolist(), strict=True))
    write_rows(folder / "cooccurrence.csv", ("finding", *FINDINGS), rows)
    draw_cooccurrence(matrix, len(films), folder / "cooccurrence")


def _label_row(film: Film) -> tuple:
    findings = "|".join(finding for finding, on in zip(FINDINGS, film.labels, strict=True) if on)
    return (film.image, findings, film.patient, film.age, film.sex, film.view, film.official, *film.labels)


def _write_json(path: Path, facts: dict) -> None:
    path.write_text(json.dumps(facts, indent=2, allow_nan=False) + "\n")


def _say(counts: dict, facts: dict) -> None:
    log.info("%(images)d images, %(patients)d patients, %(images_with_a_finding)d images with a finding", counts)
    log.info("%s split: %s", facts["split"], {part: own["images"] for part, own in facts["parts"].items()})
    for part, own in facts["leakage"].items():
        if own["images"]:
            share = own["share_of_images"], own["share_of_patients"]
            log.warning("%s leaks: %.1f%% of images, %.1f%% of patients", part, *(100 * s for s in share))
