"""`prepare`: every film is decoded once, brought to one size, and kept in one array that is mapped into memory."""

import hashlib
import logging
import os
import shutil
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from cxrbundle.errors import BlankFilmError
from cxrbundle.preprocess import resize_film, stretch_levels
from cxrbundle.provenance import code_version
from tqdm import tqdm

from cxrtrain.data.films import LEAST_SIDE, Film, fault_of, read_grey
from cxrtrain.data.folders import read_films
from cxrtrain.data.pixels import create_pixels, in_order, keep_pixels, write_pixels
from cxrtrain.data.prepared import FACTS, PIXELS, TABLE, Facts, read_facts
from cxrtrain.data.tables import COLUMNS, film_cells, name_culprits, write_rows
from cxrtrain.errors import FilmsError

log = logging.getLogger(__name__)
# Films between two notes of how far it is: what a power cut can cost.
CHUNK = 256
# That of NIH's files.
LARGEST_SIDE = 1024


@dataclass(frozen=True)
class PrepareSettings:
    """All settings of `cxrtrain prepare`.

    Attributes
    ----------
    source : Path
        Folder with manifest.csv, or one that `cxrtrain labels` wrote.
    output : Path
        New folder, or one that was begun with the same settings.
    films : Path or None
        Folder of the films; None: the source.
    size : int
        Side of the stored films, in pixels. It is below that of all sources, so that none can be told by its
        sharpness, and above the input of the network.
    allow_missing : bool
        Leave films out that are missing or cannot be used.
    workers : int
        Films that are decoded at the same time.
    """

    source: Path
    output: Path
    films: Path | None = None
    size: int = 256
    allow_missing: bool = False
    workers: int = os.cpu_count() or 1


def prepare(settings: PrepareSettings) -> None:
    """Prepare the films of a folder, or go on where this was interrupted.

    Raises
    ------
    FilmsError
        If films are missing or cannot be used, the folder is another's, or the disk is full.
    """
    _check(settings)
    films = read_films(settings.source, settings.films, settings.allow_missing)
    try:
        facts = _begin_or_go_on(settings, films)
        if facts.finished:
            log.info("%s is finished: %d films", settings.output, facts.films)
            return
        # Fewer than were asked for: it was interrupted while films were being left out, and rows have moved.
        if facts.films == len(films):
            _decode(settings, films, facts)
        _finish(settings, films, facts)
    except OSError as err:
        raise FilmsError(f"{settings.output} cannot be written ({err.strerror}); make room and run it again") from err


def _check(settings: PrepareSettings) -> None:
    if not LEAST_SIDE <= settings.size <= LARGEST_SIDE:
        raise FilmsError(f"--size {settings.size} is not from {LEAST_SIDE} to {LARGEST_SIDE}")
    if settings.workers < 1:
        raise FilmsError(f"--workers {settings.workers} is below 1")
    if settings.output.exists() and not settings.output.is_dir():
        raise FilmsError(f"{settings.output} is a file; name a new folder with -o")


def _begin_or_go_on(settings: PrepareSettings, films: list[Film]) -> Facts:
    """Return the facts of the folder as it is on disk."""
    output = settings.output
    asked = Facts(
        root=str((settings.films or settings.source).resolve()),
        size=settings.size,
        films=len(films),
        asked=hashlib.sha256(repr(films).encode()).hexdigest(),
        code=code_version(),
    )
    if not output.is_dir() or not any(output.iterdir()):
        _begin(output.resolve(), asked)
        return asked
    if not (output / FACTS).is_file():
        raise FilmsError(f"{output} is not empty and not prepared; name a new folder with -o")
    facts = read_facts(output)
    for name, own, other in (
        ("the size", facts.size, asked.size),
        ("films in", facts.root, asked.root),
        ("the list of films", facts.asked[:12], asked.asked[:12]),
    ):
        if own != other:
            raise FilmsError(f"{output} was begun with {name} {own}, not {other}; name a new folder with -o")
    return facts


def _begin(output: Path, facts: Facts) -> None:
    """Make the folder with room for all films; it is never there without its facts."""
    output.parent.mkdir(parents=True, exist_ok=True)
    need, free = facts.films * facts.size**2, shutil.disk_usage(output.parent).free
    if need > free:
        raise FilmsError(f"{output} needs {need / 1e9:.1f} GB, {free / 1e9:.1f} GB are free; name another disk with -o")
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=f".{output.name}.") as work:
        new = Path(work) / "new"
        new.mkdir()
        create_pixels(new / PIXELS, facts.films, facts.size)
        facts.write(new)
        new.rename(output)


def _decode(settings: PrepareSettings, films: list[Film], facts: Facts) -> None:
    """Decode all films that are not done, and those again that could not be used before."""
    again = [row for row, film in enumerate(films) if film.image in facts.unusable]
    rows = [*again, *range(facts.done, len(films))]
    root, size = Path(facts.root), facts.size
    with (
        ThreadPoolExecutor(settings.workers) as pool,
        tqdm(total=facts.films, initial=facts.films - len(rows), unit="film", desc="prepare") as bar,
    ):
        squares = in_order(pool, lambda row: _square(root / films[row].path, size), rows, 4 * settings.workers)
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            _note(settings.output, films, facts, list(zip(chunk, islice(squares, len(chunk)), strict=True)))
            bar.update(len(chunk))


def _square(path: Path, size: int) -> np.ndarray | str:
    """Return the stored film, uint8 of shape (size, size), or why there is none."""
    grey = read_grey(path)
    if fault := fault_of(grey):
        return fault
    try:
        return stretch_levels(resize_film(grey, size))
    except BlankFilmError:
        return "is blank"


def _note(output: Path, films: list[Film], facts: Facts, squares: list[tuple[int, np.ndarray | str]]) -> None:
    """Write films, and only then that they are written."""
    write_pixels(output / PIXELS, [(row, square) for row, square in squares if not isinstance(square, str)])
    for row, square in squares:
        if isinstance(square, str):
            facts.unusable[films[row].image] = square
        else:
            facts.unusable.pop(films[row].image, None)
    facts.done = max(facts.done, squares[-1][0] + 1)
    facts.write(output)


def _finish(settings: PrepareSettings, films: list[Film], facts: Facts) -> None:
    """Write the table, without the films that cannot be used."""
    kept = [row for row, film in enumerate(films) if film.image not in facts.unusable]
    said = name_culprits([f"{image} {fault}" for image, fault in facts.unusable.items()])
    if not kept or (facts.unusable and not settings.allow_missing):
        raise FilmsError(
            f"{len(facts.unusable)} of {len(films)} films below {facts.root} cannot be used: {said}; "
            "copy them again and run the same command, or leave them out with --allow-missing"
        )
    facts.films = facts.done = len(kept)
    if facts.unusable:
        log.warning("%d films were left out: %s", len(facts.unusable), said)
        facts.write(settings.output)
        keep_pixels(settings.output / PIXELS, kept)
    write_rows(settings.output / TABLE, COLUMNS, (film_cells(films[row]) for row in kept))
    facts.finished = True
    facts.write(settings.output)
    log.info("%s: %d films of %d x %d pixels", settings.output, len(kept), facts.size, facts.size)
