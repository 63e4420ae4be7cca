"""Make the film check of a body from the films of a run: fit, set the gates, measure."""

import logging
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import cv2
import numpy as np
from cxrbundle.errors import BlankFilmError
from cxrbundle.film_check import FRONTAL, KINDS, FilmCheck, describe, pool
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import to_input

from cxrconvert.bodies import Body
from cxrconvert.errors import FilmsError
from cxrconvert.film_check.fit import choose_gates, choose_mirrored, fit_kinds, fit_spread, log_odds_inside
from cxrconvert.film_check.kinds import MIRRORED_FILM, SEEN, Picture
from cxrconvert.film_check.spoilt import as_it_comes
from cxrconvert.films import TRAIN, VALIDATION, Film, films_of

log = logging.getLogger(__name__)
# Times that each good film comes, beside the film itself.
COMES = 3
# Pictures of each sort to fit on.
PICTURES = 700
# Drawn chests among the good films, none of them a golden one: a box proves itself on golden films, check included.
PHANTOMS = range(1000, 1100)
LEAST_FILMS = 16


class Eye:
    """Looks at films through a body.

    Parameters
    ----------
    body : Body
        The int8 body, as the box runs it.
    size : int
        Side of its input, in pixels.
    """

    def __init__(self, body: Body, size: int):
        self.body, self.size = body, size

    def features(self, grey: np.ndarray) -> np.ndarray:
        """Return the feature map of a film, float32 of shape (height, width, channels).

        Raises
        ------
        BlankFilmError
            If the film has no contrast: the box refuses it before the body sees it.
        """
        return self.body(to_input(grey, self.size))


def read_greys(root: Path, films: list[Film]) -> list[np.ndarray]:
    """Return the films' pixels, uint8 of shape (height, width); raise FilmsError if one cannot be decoded."""
    greys = [cv2.imread(str(root / film.path), cv2.IMREAD_GRAYSCALE) for film in films]
    for film, grey in zip(films, greys, strict=True):
        if grey is None:
            raise FilmsError(f"{root / film.path} cannot be decoded; copy it again")
    return greys


def draw_pictures(picture: Picture, greys: list[np.ndarray], count: int, seed: list[int]) -> Iterator[np.ndarray]:
    """Yield pictures of one sort, each from another film while there are any, half of those as they come."""
    random = np.random.default_rng(seed)
    for place in random.permutation(len(greys))[:count]:
        film = as_it_comes(greys[place], random) if random.random() < 0.5 else greys[place]
        yield picture.draw(film, random)


def make_film_check(body: Body, films: list[Film], root: Path, size: int) -> FilmCheck:
    """Fit the film check of a body on training films, and set its gates on validation films.

    Parameters
    ----------
    body : Body
    films : list of Film
        Of a run; the test films are not looked at.
    root : Path
        Folder of the films.
    size : int
        Side of the body's input, in pixels.

    Raises
    ------
    FilmsError
        If a film cannot be decoded, or there are fewer than `LEAST_FILMS` of either part.
    """
    own, held = (read_greys(root, films_of(films, part)) for part in (TRAIN, VALIDATION))
    if min(len(own), len(held)) < LEAST_FILMS:
        raise FilmsError(
            f"{len(own)} training and {len(held)} validation films are too few for the film check, it takes"
            f" {LEAST_FILMS} of each; train on more films"
        )
    return fit_film_check(Eye(body, size), own, held)


def fit_film_check(eye: Eye, own: list[np.ndarray], held: list[np.ndarray]) -> FilmCheck:
    """Fit the film check on good films and set its gates on others; see `make_film_check`."""
    log.info("fitting the film check on %d films and %d sorts of pictures", len(own), len(SEEN))
    films = chain(good_films(own, COMES, 1), map(draw_phantom, PHANTOMS))
    good = np.stack([pooled.astype(np.float16) for pooled in pooled_of(eye, films)])
    spread = fit_spread(good[:, 0].astype(np.float32))
    places, kinds = [describe(film, *spread)[0] for film in good], [KINDS.index(FRONTAL)] * len(good)
    for number, picture in enumerate((MIRRORED_FILM, *SEEN.values())):
        pictures = draw_pictures(picture, own, PICTURES, [1, number])
        new = [describe(pooled, *spread)[0] for pooled in pooled_of(eye, pictures)]
        places += new
        kinds += [KINDS.index(picture.kind)] * len(new)
    layer = fit_kinds(np.stack(places), np.array(kinds))
    return _with_gates(eye, spread, layer, held)


def _with_gates(eye: Eye, spread: tuple, layer: tuple, held: list[np.ndarray]) -> FilmCheck:
    """Return the check with gates that let good films pass, themselves and as they come."""
    seen = [describe(pooled, *spread) for pooled in pooled_of(eye, good_films(held, 1, 2))]
    places, distances = (np.array(values) for values in zip(*seen, strict=True))
    logits = places @ layer[0].T + layer[1]
    gates = choose_gates(log_odds_inside(logits), distances)
    return FilmCheck(*spread, *layer, gates, choose_mirrored(logits))


def good_films(greys: list[np.ndarray], times: int, seed: int) -> Iterator[np.ndarray]:
    """Yield every film itself, then each `times` as it comes."""
    yield from greys
    random = np.random.default_rng([seed, 1000])
    for _ in range(times):
        yield from (as_it_comes(grey, random) for grey in greys)


def pooled_of(eye: Eye, pictures: Iterator[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the pooled features of pictures; blank ones are left out."""
    for picture in pictures:
        try:
            yield pool(eye.features(picture))
        except BlankFilmError:
            continue


def to_arrays(check: FilmCheck) -> dict[str, np.ndarray]:
    """Return the arrays of film-check.npz; the components in half precision, a fourth of a megabyte less."""
    return {**vars(check), "basis": check.basis.astype(np.float16)}
