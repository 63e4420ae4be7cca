"""Tables of films as CSV files: read whole, refused in one sentence."""

import csv
import re
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import fields
from pathlib import Path

from cxrbundle.labels import FINDINGS

from cxrtrain.data.films import TEST, TRAIN, TRAIN_VAL, Film
from cxrtrain.errors import FilmsError

CULPRITS = 5
# The 2017 form of the metadata holds ages up to 414.
OLDEST = 120
FIELDS = tuple(field.name for field in fields(Film) if field.name != "labels")
# The columns of a prepared folder's films.csv.
COLUMNS = (*FIELDS, *FINDINGS)
# What a cell may hold. A film without a part in a split is not in that split.
ALLOWED = {
    **dict.fromkeys(FINDINGS, ("0", "1")),
    "thumbnail": ("0", "1"),
    "official": (TRAIN_VAL, TEST, ""),
    "reference": (TRAIN, "val", TEST, ""),
}


def name_culprits(culprits: Collection[str]) -> str:
    """Return the first few culprits and how many more there are."""
    more = len(culprits) - CULPRITS
    return ", ".join(list(culprits)[:CULPRITS]) + (f" and {more} more" if more > 0 else "")


def age_in_years(text: str) -> int | None:
    """Return an age in whole years; NIH wrote "58", and "058Y", "013M" or "010D" in the first release."""
    match = re.fullmatch(r"(\d{1,3})([YMD]?)", text)
    if not match:
        return None
    years = int(match[1]) // {"M": 12, "D": 365}.get(match[2], 1)
    return years if years <= OLDEST else None


def read_rows(path: Path, columns: Iterable[str]) -> list[dict[str, str]]:
    """Read a table's rows by the names of its columns; a row that ends early is blank to its end.

    Raises
    ------
    FilmsError
        If the file is no CSV, lacks one of the columns, or has no rows.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="", strict=True)
            header, rows = reader.fieldnames or (), list(reader)
    except OSError as err:
        raise FilmsError(f"{path} cannot be read ({err.strerror}); name the folder that holds it") from err
    except (csv.Error, UnicodeDecodeError) as err:
        raise FilmsError(f"{path} is not a CSV file ({err}); make or copy it again") from err
    if missing := [column for column in columns if column not in header]:
        raise FilmsError(f"{path} lacks the columns {', '.join(missing)}; make or copy it again")
    if not rows:
        raise FilmsError(f"{path} ends after its header; make or copy it again")
    return rows


def write_rows(path: Path, header: Iterable[str], rows: Iterable[Iterable]) -> None:
    """Write a table."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def make_films(path: Path, rows: list[dict[str, str]]) -> list[Film]:
    """Return the films of rows whose columns are fields and findings; PATH is for the errors.

    Raises
    ------
    FilmsError
        If rows lack an image or a patient, name an image twice, or hold what their column cannot.
    """
    if blank := [f"row {n}" for n, row in enumerate(rows, 1) if not (row["image"] and row["patient"])]:
        raise FilmsError(f"{path} has {len(blank)} rows without image or patient: {name_culprits(blank)}")
    if twice := [image for image, count in Counter(row["image"] for row in rows).items() if count > 1]:
        raise FilmsError(f"{path} has more than one row of {len(twice)} images: {name_culprits(twice)}")
    if wrong := [
        f"{column} {row[column]!r} of {row['image']}"
        for row in rows
        for column, allowed in ALLOWED.items()
        if row.get(column, allowed[0]) not in allowed
    ]:
        raise FilmsError(f"{path} has {len(wrong)} unknown labels or parts: {name_culprits(wrong)}")
    return [_film(row) for row in rows]


def _film(row: dict[str, str]) -> Film:
    cells = {field: row[field] for field in FIELDS if field in row}
    labels = tuple(int(row[finding]) for finding in FINDINGS)
    thumbnail = row.get("thumbnail") == "1"
    return Film(**cells | {"labels": labels, "age": age_in_years(row["age"]), "thumbnail": thumbnail})


def film_cells(film: Film) -> tuple:
    """Return a film's cells below the header `COLUMNS`."""
    cells = (getattr(film, field) for field in FIELDS)
    return (*(int(cell) if isinstance(cell, bool) else cell for cell in cells), *film.labels)
