"""NIH's metadata of ChestX-ray14: Data_Entry_2017.csv or its v2020 form, plain or compressed."""

import csv
import gzip
import io
import zlib
from collections import Counter
from functools import cache
from pathlib import Path

from cxrbundle.labels import FINDINGS

from cxrtrain.data.films import Film
from cxrtrain.data.tables import age_in_years, name_culprits
from cxrtrain.errors import FilmsError

NO_FINDING = "No Finding"
# The sides and the pixel spacing have other names in each form and are not needed.
COLUMNS = {
    "image": ("Image Index",),
    "labels": ("Finding Labels",),
    "patient": ("Patient ID",),
    "age": ("Patient Age",),
    "sex": ("Patient Gender", "Patient Sex"),
    "view": ("View Position",),
}
# Without these a row is of no use; age, sex and view may be blank.
REQUIRED = ("image", "labels", "patient")


def read_metadata(path: Path) -> list[Film]:
    """Read the rows of the metadata, in the order of the file: films without a path.

    Raises
    ------
    FilmsError
        If the file is no such CSV, lacks a column, has a label that is none of ChestX-ray14, or two rows of an image.
    """
    header, *rows = _read_table(path)
    places = _places(path, header)
    cells = [_pick(row, places) for row in rows]
    _check(path, cells)
    return [_film(row) for row in cells]


def _read_table(path: Path) -> list[list[str]]:
    """Return the rows that are not blank, the header first and at least one below it."""
    reader = csv.reader(io.StringIO(_read_text(path), newline=""), strict=True)
    try:
        table = [row for row in reader if row]
    except csv.Error as err:
        raise FilmsError(f"{path}, line {reader.line_num}, is not CSV ({err}); download it again") from err
    if len(table) < 2:
        raise FilmsError(f"{path} is empty or ends after its header; download it again")
    return table


def _read_text(path: Path) -> str:
    try:
        data = path.read_bytes()
        # By content, because browsers unpack a download and keep its name, or the other way round.
        if data.startswith(b"\x1f\x8b"):
            data = gzip.decompress(data)
        return data.decode("utf-8-sig")
    except (EOFError, zlib.error, gzip.BadGzipFile) as err:
        raise FilmsError(f"{path} cannot be unpacked ({err}); download it again") from err
    except OSError as err:
        raise FilmsError(f"{path} cannot be read ({err.strerror}); name NIH's Data_Entry_2017 CSV") from err
    except UnicodeDecodeError as err:
        raise FilmsError(f"{path} is not a CSV file; name NIH's Data_Entry_2017 CSV") from err


def _places(path: Path, header: list[str]) -> dict[str, int]:
    """Return where each needed column stands."""
    names = [name.strip() for name in header]
    found = {field: [names.index(name) for name in known if name in names] for field, known in COLUMNS.items()}
    missing = [COLUMNS[field][0] for field, places in found.items() if not places]
    if missing:
        raise FilmsError(f"{path} lacks the columns {', '.join(missing)}; name NIH's Data_Entry_2017 CSV")
    return {field: places[0] for field, places in found.items()}


def _pick(row: list[str], places: dict[str, int]) -> dict[str, str]:
    """Return the needed cells of a row, blank where the row ends early."""
    return {field: row[place].strip() if place < len(row) else "" for field, place in places.items()}


def _check(path: Path, rows: list[dict[str, str]]) -> None:
    """Refuse metadata that would be counted wrongly."""
    if blank := [f"row {n}" for n, row in enumerate(rows, 1) if not all(row[field] for field in REQUIRED)]:
        raise FilmsError(f"{path} has {len(blank)} rows without image, labels or patient: {name_culprits(blank)}")
    if twice := [image for image, n in Counter(row["image"] for row in rows).items() if n > 1]:
        raise FilmsError(f"{path} has more than one row of {len(twice)} images: {name_culprits(twice)}")
    labels = dict.fromkeys(label for text in dict.fromkeys(row["labels"] for row in rows) for label in text.split("|"))
    if unknown := [repr(label) for label in labels if label not in (*FINDINGS, NO_FINDING)]:
        raise FilmsError(f"{path} has {len(unknown)} labels unknown in ChestX-ray14: {name_culprits(unknown)}")
    if torn := [row["image"] for row in rows if NO_FINDING in row["labels"] and "|" in row["labels"]]:
        raise FilmsError(f"{path} has '{NO_FINDING}' beside another label in {len(torn)} images: {name_culprits(torn)}")


def _film(row: dict[str, str]) -> Film:
    return Film(
        image=row["image"],
        patient=row["patient"],
        age=age_in_years(row["age"]),
        sex=row["sex"],
        view=row["view"],
        labels=_labels(row["labels"]),
    )


# 112,120 rows have some 840 different texts.
@cache
def _labels(text: str) -> tuple[int, ...]:
    present = text.split("|")
    return tuple(int(finding in present) for finding in FINDINGS)
