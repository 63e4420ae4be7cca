"""A folder that `cxrtrain prepare` wrote: what training reads."""

import json
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
from cxrbundle.errors import BlankFilmError
from cxrbundle.manifest import PREPROCESSING
from cxrbundle.preprocess import to_input

from cxrtrain.data.films import Film, load_grey
from cxrtrain.data.pixels import in_order
from cxrtrain.data.tables import COLUMNS, make_films, name_culprits, read_rows
from cxrtrain.errors import FilmsError

SCHEMA = 1
FACTS, TABLE, PIXELS = "prepared.json", "films.csv", "pixels.npy"
# Films decoded ahead of the one that is needed next.
AHEAD = 64


@dataclass
class Facts:
    """The facts of a prepared folder: its prepared.json.

    Attributes
    ----------
    root : str
        Absolute folder of the films.
    size : int
        Side of the stored films, in pixels.
    films : int
        Films to prepare; once finished, those that are there.
    asked : str
        SHA-256 of the table of all films that were asked for.
    code : str
        Version of the code that began.
    done : int
        Films decoded, in their order.
    unusable : dict of str to str
        What is wrong with a film that could not be used, by its image.
    finished : bool
        Whether everything is there; unusable films are left out then.
    """

    root: str
    size: int
    films: int
    asked: str
    code: str
    schema: int = SCHEMA
    preprocessing: str = PREPROCESSING
    done: int = 0
    unusable: dict[str, str] = field(default_factory=dict)
    finished: bool = False

    def write(self, folder: Path) -> None:
        """Write the facts as a whole or not at all."""
        new = folder / f"{FACTS}.new"
        with new.open("w", encoding="utf-8") as file:
            file.write(json.dumps(asdict(self), indent=2) + "\n")
            file.flush()
            os.fsync(file.fileno())
        new.replace(folder / FACTS)


def read_facts(folder: Path) -> Facts:
    """Read the facts of a prepared folder.

    Raises
    ------
    FilmsError
        If it is not one, or one of another version or another preprocessing.
    """
    path = folder / FACTS
    try:
        facts = Facts(**json.loads(path.read_text("utf-8")))
    except OSError as err:
        raise FilmsError(
            f"{folder} is not prepared ({FACTS}: {err.strerror}); run `cxrtrain prepare` and name its folder"
        ) from err
    except (ValueError, TypeError) as err:
        raise FilmsError(f"{path} is not of this version; run `cxrtrain prepare` into a new folder") from err
    if (facts.schema, facts.preprocessing) != (SCHEMA, PREPROCESSING):
        raise FilmsError(
            f"{folder} was prepared by {facts.preprocessing} (schema {facts.schema}), not {PREPROCESSING} "
            f"(schema {SCHEMA}); run `cxrtrain prepare` into a new folder"
        )
    return facts


@dataclass(frozen=True)
class Prepared:
    """Films to train on and to measure on.

    Attributes
    ----------
    films : list of Film
    pixels : memmap of uint8, shape (films, size, size)
        Read only. The levels are stretched, and no film can be told by its sharpness.
    root : Path
        Folder of the films as they were.
    size : int
        Side of the stored films, in pixels.
    """

    films: list[Film]
    pixels: np.memmap
    root: Path
    size: int

    def inputs(self, rows: Sequence[int], size: int) -> np.ndarray:
        """Return the inputs of the contract, made of the films as they were: uint8, shape (rows, size, size).

        Raises
        ------
        FilmsError
            If a film went away or cannot be decoded any more.
        """
        inputs = np.empty((len(rows), size, size), np.uint8)
        with ThreadPoolExecutor() as pool:
            paths = [self.root / self.films[row].path for row in rows]
            for place, grey in enumerate(in_order(pool, lambda path: _input(path, size), paths, AHEAD)):
                inputs[place] = grey
        return inputs


def _input(path: Path, size: int) -> np.ndarray:
    try:
        return to_input(load_grey(path), size)[0, ..., 0]
    except BlankFilmError as err:
        raise FilmsError(f"{path}: {err}") from err


def open_prepared(folder: Path) -> Prepared:
    """Open a folder that `cxrtrain prepare` has finished.

    Raises
    ------
    FilmsError
        If it is no such folder, not finished, made by another preprocessing, or its films went away.
    """
    facts = read_facts(folder)
    if not facts.finished:
        raise FilmsError(
            f"{folder} has {facts.done} of {facts.films} films; run the same `cxrtrain prepare` again to finish it"
        )
    root = Path(facts.root)
    films = make_films(folder / TABLE, read_rows(folder / TABLE, COLUMNS))
    pixels = _open_pixels(folder / PIXELS, (len(films), facts.size, facts.size))
    if gone := [film.path for film in films if not (root / film.path).is_file()]:
        raise FilmsError(
            f"{len(gone)} of {len(films)} films of {folder} are no longer below {root}: {name_culprits(gone)}; "
            "bring them back or run `cxrtrain prepare` again into a new folder"
        )
    return Prepared(films, pixels, root, facts.size)


def _open_pixels(path: Path, shape: tuple[int, int, int]) -> np.memmap:
    try:
        pixels = np.load(path, mmap_mode="r")
    except (OSError, ValueError) as err:
        raise FilmsError(f"{path} cannot be read ({err}); run `cxrtrain prepare` into a new folder") from err
    if pixels.shape != shape or pixels.dtype != np.uint8:
        raise FilmsError(f"{path} has the shape {pixels.shape}, not {shape}; run `cxrtrain prepare` into a new folder")
    return pixels
