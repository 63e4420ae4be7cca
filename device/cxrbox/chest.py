"""Is it a frontal chest film, and does it lie as it should? The body's own features say (`cxrbundle.film_check`).

A film that was put in sideways, upside down or as a negative is set right, if it is then a film beyond doubt. All else
is refused, unless a person wants it read all the same.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from cxrbundle.errors import BlankFilmError
from cxrbundle.film_check import (
    NEGATIVE,
    TURNED_LEFT,
    TURNED_RIGHT,
    TURNS_TO_UPRIGHT,
    UPSIDE_DOWN,
    FilmCheck,
    FilmScore,
)
from cxrbundle.preprocess import to_input

from cxrbox.errors import RefusedError
from cxrbox.refusals import refuse

# A film may be a negative and lie on its side.
MOST_CORRECTIONS = 2
DONE = {
    TURNED_LEFT: "turned a quarter to the right",
    TURNED_RIGHT: "turned a quarter to the left",
    UPSIDE_DOWN: "turned half round",
    NEGATIVE: "inverted, because bone was dark",
}
LIES = {
    TURNED_LEFT: ("turned", "the film lies on its side, turned to the left"),
    TURNED_RIGHT: ("turned", "the film lies on its side, turned to the right"),
    UPSIDE_DOWN: ("turned", "the film is upside down"),
    NEGATIVE: ("negative", "bone is dark in this picture"),
}
# What is refused by what the body saw of it.
SEEN_BY_BODY = {"not_a_chest_film", *(code for code, _ in LIES.values())}


@dataclass(frozen=True)
class ChestFilm:
    """A film that may be read, and what the body made of it.

    Attributes
    ----------
    grey : ndarray of uint8, shape (height, width)
        Upright, bone bright.
    pixels : ndarray of uint8, shape (1, side, side, 3)
        The input of the body.
    features : ndarray of float32, shape (height, width, channels)
    score : FilmScore or None
        None where the bundle has no film check.
    corrections : tuple of str
        What was done to the film, for its page.
    """

    grey: np.ndarray
    pixels: np.ndarray
    features: np.ndarray
    score: FilmScore | None
    corrections: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether the film check refuses it."""
        return self.score is not None and self.score.refused

    def set_right(self) -> tuple[np.ndarray, str] | None:
        """Return the film as it should lie and what was done to it; None where nothing is known to help."""
        kind = self.score.kind
        if kind == NEGATIVE:
            return ~self.grey, DONE[kind]
        if kind in TURNS_TO_UPRIGHT:
            return np.ascontiguousarray(np.rot90(self.grey, TURNS_TO_UPRIGHT[kind])), DONE[kind]
        return None


def look_at_film(
    grey: np.ndarray, body: Callable[[np.ndarray], np.ndarray], side: int, check: FilmCheck | None, override: bool
) -> ChestFilm:
    """Return a film that may be read, set right where it lay wrongly.

    Parameters
    ----------
    grey : ndarray of uint8, shape (height, width)
    body : callable
        Takes the input, returns the feature map.
    side : int
        Of the input, in pixels.
    check : FilmCheck or None
    override : bool
        Read it as it is, whatever the check says.

    Raises
    ------
    RefusedError
        If it is blank, or no frontal chest film.
    """
    first = film = _look(grey, body, side, check)
    while film.refused and not override and len(film.corrections) < MOST_CORRECTIONS:
        right = film.set_right()
        if right is None:
            break
        film = _look(right[0], body, side, check, (*film.corrections, right[1]))
    if film.refused and not override:
        raise refuse_film(first.score)
    return film


def refuse_film(score: FilmScore) -> RefusedError:
    """Return the refusal of what is no frontal chest film, or lies in a way that could not be set right for certain."""
    return refuse(*LIES.get(score.kind, ("not_a_chest_film", "this does not look like a frontal chest film")))


def _look(
    grey: np.ndarray,
    body: Callable[[np.ndarray], np.ndarray],
    side: int,
    check: FilmCheck | None,
    corrections: tuple[str, ...] = (),
) -> ChestFilm:
    try:
        pixels = to_input(grey, side)
    except BlankFilmError as err:
        raise refuse("blank", "the film is blank, it has no contrast") from err
    features = body(pixels)
    return ChestFilm(grey, pixels, features, check and check.score(features), corrections)
