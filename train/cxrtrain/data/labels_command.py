"""`cxrtrain labels`: from NIH's metadata to labels, counts, a figure and a split."""

import argparse
import csv
import json
import logging
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from cxrbundle.labels import FINDINGS

from cxrtrain.errors import FilmsError
from cxrtrain.figures import draw_cooccurrence
from cxrtrain.data.metadata import Entry, cooccurrence, keep_present, label_rows, read_metadata
from cxrtrain.data.splits import PAPER_SEED, PAPER_SHARE, Parts, official_split, paper_split, patient_split, split_facts

log = logging.getLogger(__name__)
OFFICIAL, PATIENT, PAPER = "official", "patient", "paper"
# The paper's one-vs-all experiment.
ONE = "Pneumothorax"
# Beyond it less would be trained on than validated on.
LARGEST_SHARE = 0.5


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
    seed : int
        Of the draw of patients; the paper's split has its own.
    validation_share : float
        Share of the patients (official: of train_val's) to validate on; the paper's split has its own.
    """

    metadata: Path
    output: Path
    split: str = OFFICIAL
    lists: Path | None = None
    films: Path | None = None
    allow_missing: bool = False
    seed: int = 1
    validation_share: float = 0.1


def add_labels_command(commands) -> None:
    """Add `labels` to the commands of `cxrtrain`."""
    parser = commands.add_parser("labels", help="count the labels of ChestX-ray14 and split its images")
    parser.add_argument("metadata", type=Path, help="NIH's Data_Entry_2017 CSV, either form, plain or .gz")
    parser.add_argument("-o", "--output", type=Path, required=True, help="new folder")
    parser.add_argument(
        "--split", choices=(OFFICIAL, PATIENT, PAPER), default=LabelSettings.split, help="default %(default)s"
    )
    parser.add_argument("--lists", type=Path, help="folder of NIH's two lists; default: that of METADATA")
    parser.add_argument("--films", type=Path, help="folder in or below which each image must stand")
    parser.add_argument("--allow-missing", action="store_true", help="leave out images that --films lacks")
    parser.add_argument("--seed", type=int, default=LabelSettings.seed, help="of the draw; default %(default)s")
    parser.add_argument(
        "--validation-share",
        type=float,
        default=LabelSettings.validation_share,
        help="share of the patients to validate on; default %(default)s",
    )
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
        If a setting, the metadata, the lists or the films cannot be used, or the folder is not empty.
    """
    _check(settings)
    entries = read_metadata(settings.metadata)
    # Split before films are left out: the part of an image must not depend on what is on this disk.
    parts = _split(settings, entries)
    kept = entries
    if settings.films:
        kept = keep_present(entries, settings.films, settings.allow_missing)
    counts = count_labels(kept) | {"left_out": len(entries) - len(kept)}
    facts = _split_settings(settings) | split_facts(kept, parts)
    _write_folder(settings.output, kept, parts, counts, facts)
    _say(counts, facts)


def _check(settings: LabelSettings) -> None:
    output, share = settings.output, settings.validation_share
    if output.exists() and not output.is_dir():
        raise FilmsError(f"{output} is a file; name a new folder with -o")
    if output.is_dir() and any(output.iterdir()):
        raise FilmsError(f"{output} is not empty; name a new folder with -o")
    if not 0 < share <= LARGEST_SHARE:
        raise FilmsError(f"--validation-share {share} is not above 0 and at most {LARGEST_SHARE}")
    if settings.seed < 0:
        raise FilmsError(f"--seed {settings.seed} is below 0, where no draw can start")
    if settings.allow_missing and not settings.films:
        raise FilmsError("--allow-missing needs --films: without a folder no image is looked for")


def _split(settings: LabelSettings, entries: list[Entry]) -> Parts:
    if settings.split == PAPER:
        return paper_split(entries)
    if settings.split == PATIENT:
        return patient_split(entries, settings.seed, settings.validation_share)
    lists = settings.lists or settings.metadata.parent
    return official_split(entries, lists, settings.seed, settings.validation_share)


def _split_settings(settings: LabelSettings) -> dict:
    own = (settings.seed, settings.validation_share)
    seed, share = (PAPER_SEED, PAPER_SHARE) if settings.split == PAPER else own
    return {"split": settings.split, "seed": seed, "validation_share": share}


def count_labels(entries: list[Entry]) -> dict:
    """Return how many images and patients there are, and how many images have each finding."""
    counts = label_rows(entries).sum(axis=0).tolist()
    found = sum(any(entry.labels) for entry in entries)
    ones = counts[FINDINGS.index(ONE)]
    return {
        "images": len(entries),
        "patients": len({entry.patient for entry in entries}),
        "images_with_a_finding": found,
        "images_without_age": sum(entry.age is None for entry in entries),
        "findings": dict(zip(FINDINGS, counts, strict=True)),
        # Of the images with a finding, as in the paper.
        "one_vs_all": {"finding": ONE, "images_with": ones, "images_without": found - ones},
    }


def _write_folder(output: Path, entries: list[Entry], parts: Parts, counts: dict, facts: dict) -> None:
    """Write beside the folder and rename, so that it is never there in part."""
    output = output.resolve()
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as work:
            new = Path(work) / "new"
            new.mkdir()
            _write_tables(new, entries, parts)
            _write_json(new / "counts.json", counts)
            _write_json(new / "split.json", facts)
            new.rename(output)
    except OSError as err:
        raise FilmsError(f"{output} cannot be written ({err.strerror}); make room or name another with -o") from err


def _write_tables(folder: Path, entries: list[Entry], parts: Parts) -> None:
    header = ("image", "findings", "patient", "age", "sex", "view", *FINDINGS)
    _write_csv(folder / "labels.csv", header, map(_label_row, entries))
    pairs = ((entry.image, parts[entry.image]) for entry in entries if entry.image in parts)
    _write_csv(folder / "split.csv", ("image", "part"), pairs)
    matrix = cooccurrence(label_rows(entries))
    rows = ((finding, *row) for finding, row in zip(FINDINGS, matrix.tolist(), strict=True))
    _write_csv(folder / "cooccurrence.csv", ("finding", *FINDINGS), rows)
    draw_cooccurrence(matrix, len(entries), folder / "cooccurrence")


def _label_row(entry: Entry) -> tuple:
    findings = "|".join(finding for finding, on in zip(FINDINGS, entry.labels, strict=True) if on)
    return (entry.image, findings, entry.patient, entry.age, entry.sex, entry.view, *entry.labels)


def _write_csv(path: Path, header: Iterable, rows: Iterable[Iterable]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)


def _write_json(path: Path, facts: dict) -> None:
    path.write_text(json.dumps(facts, indent=2, allow_nan=False) + "\n")


def _say(counts: dict, facts: dict) -> None:
    if counts["left_out"]:
        log.warning("%d images were left out: their films are missing", counts["left_out"])
    log.info("%(images)d images, %(patients)d patients, %(images_with_a_finding)d images with a finding", counts)
    log.info("%s split: %s", facts["split"], {part: own["images"] for part, own in facts["parts"].items()})
    for part, own in facts["leakage"].items():
        if own["images"]:
            share = own["share_of_images"], own["share_of_patients"]
            log.warning("%s leaks: %.1f%% of images, %.1f%% of patients", part, *(100 * s for s in share))
