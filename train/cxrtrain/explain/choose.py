"""Which films are explained: never one that the network was trained on."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from cxrbundle.errors import BlankFilmError
from cxrbundle.preprocess import to_input

from cxrtrain.data.films import TEST, TRAIN, VALIDATION, Film, load_grey
from cxrtrain.data.tables import name_culprits
from cxrtrain.errors import FilmsError
from cxrtrain.report.run_folder import FinishedRun, Predictions


def held_out(run: FinishedRun, part: str) -> Predictions:
    """Return the films of one part that the network was not trained on, and their logits.

    Raises
    ------
    FilmsError
        If the part is not such a one, or has no films.
    """
    if part == TRAIN:
        raise FilmsError(f"--part {TRAIN}: a map of a film that was trained on shows what was learnt by heart")
    if part not in (VALIDATION, TEST):
        raise FilmsError(f"--part {part} is unknown; name {VALIDATION} or {TEST}")
    known = run.predictions
    images = [film.image for film, own in zip(known.films, known.parts, strict=True) if own == part]
    if not images:
        raise FilmsError(f"{run.folder} has no {part} films in its predictions.csv; name another --part")
    return known.of(images, known.findings)


def check_images(run: FinishedRun, part: str, images: tuple[str, ...]) -> None:
    """Raise FilmsError if one of these films may not be looked at in this part."""
    parts = {film.image: own for film, own in zip(run.films, run.parts, strict=True)}
    scored = {film.image for film in run.predictions.films}
    for image in images:
        if image not in parts:
            raise FilmsError(f"--film {image} is no film of {run.folder}; its films.csv has them all")
        if parts[image] == TRAIN:
            raise FilmsError(
                f"--film {image} was trained on, so a map of it shows what was learnt by heart; name a {part} film"
            )
        if parts[image] != part:
            own = f"is a {parts[image]} film" if parts[image] else "stands in no part"
            raise FilmsError(f"--film {image} {own}, not a {part} film; name another, or another --part")
        if image not in scored:
            raise FilmsError(f"--film {image} came as a thumbnail, on which nothing is measured; name another")


def best_scored(films: Predictions, finding: str) -> list[str]:
    """Return the names of the films that have a finding, the highest logit first."""
    own = films.of([film.image for film in films.films], (finding,))
    order = np.argsort(-own.logits[:, 0], kind="stable")
    return [own.films[row].image for row in order if own.labels[row, 0]]


def load_films(folder: Path, films: list[Film]) -> list[np.ndarray]:
    """Return the pixels of each film: uint8, shape (height, width).

    Raises
    ------
    FilmsError
        If a film is not there or cannot be decoded.
    """
    if gone := [film.path for film in films if not (folder / film.path).is_file()]:
        raise FilmsError(f"{folder} lacks {name_culprits(gone)}; name the folder of the run's films with --films")
    with ThreadPoolExecutor() as pool:
        return list(pool.map(load_grey, [folder / film.path for film in films]))


def make_inputs(films: list[Film], greys: list[np.ndarray], size: int) -> np.ndarray:
    """Return the inputs of the contract of films and their pixels: uint8, shape (films, size, size).

    Raises
    ------
    FilmsError
        If a film is blank.
    """
    inputs = np.empty((len(films), size, size), np.uint8)
    for place, (film, grey) in enumerate(zip(films, greys, strict=True)):
        try:
            inputs[place] = to_input(grey, size)[0, ..., 0]
        except BlankFilmError as err:
            raise FilmsError(f"{film.image}: {err}") from err
    return inputs
