"""A folder of films: the table that names them, and where each of them stands."""

import logging
import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path, PurePath

from cxrbundle.labels import FINDINGS

from cxrtrain.data.films import Film
from cxrtrain.data.tables import make_films, name_culprits, read_rows
from cxrtrain.errors import FilmsError

log = logging.getLogger(__name__)
MANIFEST, LABELS = "manifest.csv", "labels.csv"
# The columns of a manifest that have other names than the fields of a film.
MANIFEST_NAMES = {
    "original_file_name": "image",
    "patient_id": "patient",
    "source_repo": "source",
    "split_official": "official",
    "split_chexnet": "reference",
}
MANIFEST_COLUMNS = ("dataset", "quality", "path", "age", "sex", "view", *MANIFEST_NAMES, *FINDINGS)
LABEL_COLUMNS = ("image", "patient", "age", "sex", "view", "official", *FINDINGS)
PICTURES = {".png", ".jpg", ".jpeg"}


def read_films(source: Path, images: Path | None = None, allow_missing: bool = False) -> list[Film]:
    """Read the films of a folder.

    Parameters
    ----------
    source : Path
        Folder with manifest.csv, of which the NIH's films are read, or one that `cxrtrain labels` wrote.
    images : Path or None
        Folder of the films; None: the source. The films of a manifest stand at its paths, those of
        `cxrtrain labels` anywhere below, as PNG or JPEG.
    allow_missing : bool
        Leave films out that are not there.

    Raises
    ------
    FilmsError
        If there is no such table, a row cannot be used, or films are missing that may not be, or all are.
    """
    if (source / MANIFEST).is_file():
        films, folder = _read_manifest(source / MANIFEST), images or source
        there = {film.image for film in films if (folder / film.path).is_file()}
        return _keep(films, there, folder, allow_missing)
    if not (source / LABELS).is_file():
        raise FilmsError(f"{source} has no {MANIFEST}, nor the {LABELS} of `cxrtrain labels`; name a folder that has")
    if images is None:
        raise FilmsError(f"{source / LABELS} does not say where its films stand; name their folder with --films")
    return place_films(make_films(source / LABELS, read_rows(source / LABELS, LABEL_COLUMNS)), images, allow_missing)


def _read_manifest(path: Path) -> list[Film]:
    """Return the NIH's films of a manifest such as ../shared/cxr has."""
    rows = [
        {MANIFEST_NAMES.get(column, column): cell for column, cell in row.items()}
        | {"thumbnail": str(int("64x64" in row["quality"]))}
        for row in read_rows(path, MANIFEST_COLUMNS)
        if row["dataset"] == "nih14"
    ]
    if not rows:
        raise FilmsError(f"{path} names no film of ChestX-ray14 (dataset nih14); name another folder")
    return make_films(path, rows)


def place_films(films: list[Film], folder: Path, allow_missing: bool) -> list[Film]:
    """Return the films that stand in FOLDER or below it under their name, each with its path.

    Raises
    ------
    FilmsError
        If films are missing that may not be, all are, or one stands there twice.
    """
    if not folder.is_dir():
        raise FilmsError(f"{folder} is no folder; name the films' folder with --films")
    places = _find_pictures(folder)
    own = {film.image: places.get(PurePath(film.image).stem, ()) for film in films}
    if twice := [image for image, paths in own.items() if len(paths) > 1]:
        raise FilmsError(f"{folder} holds more than one film of {len(twice)} images: {name_culprits(twice)}")
    there = _keep(films, {image for image, paths in own.items() if paths}, folder, allow_missing)
    return [replace(film, path=own[film.image][0]) for film in there]


def _find_pictures(folder: Path) -> dict[str, list[str]]:
    """Return the paths of pictures by their name without its ending, as the NIH's PNGs are often kept as JPEGs."""
    places: dict[str, list[str]] = {}
    for parent, _, names in os.walk(folder, followlinks=True):
        below = os.path.relpath(parent, folder)
        for name in names:
            path = PurePath(below, name)
            if path.suffix.lower() in PICTURES:
                places.setdefault(path.stem, []).append(path.as_posix())
    return places


def _keep(films: list[Film], there: Collection[str], folder: Path, allow_missing: bool) -> list[Film]:
    """Return the films whose image is there."""
    missing = [film.image for film in films if film.image not in there]
    if len(missing) == len(films):
        raise FilmsError(f"{folder} holds none of the {len(films)} images; name the films' folder with --films")
    if missing and not allow_missing:
        raise FilmsError(
            f"{folder} lacks {len(missing)} of {len(films)} images: {name_culprits(missing)}; "
            "leave them out with --allow-missing"
        )
    if missing:
        log.warning("%d images were left out, their films are missing: %s", len(missing), name_culprits(missing))
    return [film for film in films if film.image in there]
