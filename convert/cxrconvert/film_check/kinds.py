"""Which other pictures there are, what the check should call each, and which are kept from fitting."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from cxrbundle.film_check import MIRRORED, NEGATIVE, OTHER, TURNED_LEFT, TURNED_RIGHT, TURNS_TO_UPRIGHT, UPSIDE_DOWN

from cxrconvert.film_check import drawn, spoilt, unseen

Draw = Callable[[np.ndarray, np.random.Generator], np.ndarray]


@dataclass(frozen=True)
class Picture:
    """How to make one sort of pictures.

    Attributes
    ----------
    kind : str
        What the check should call it: one of `cxrbundle.film_check.KINDS`.
    draw : callable
        Makes one from a good film, uint8 (height, width), and a random generator.
    """

    kind: str
    draw: Draw


def _turned(kind: str) -> Picture:
    """Return films that lie wrongly, every fifth of them mirrored as well."""
    quarters = -TURNS_TO_UPRIGHT[kind]

    def draw(grey: np.ndarray, random: np.random.Generator) -> np.ndarray:
        return spoilt.turned(spoilt.mirrored(grey) if random.random() < 0.2 else grey, quarters)

    return Picture(kind, draw)


def _drawn(draw: Callable[[np.random.Generator], np.ndarray]) -> Picture:
    return Picture(OTHER, lambda _, random: draw(random))


def _turned_negative(grey: np.ndarray, random: np.random.Generator) -> np.ndarray:
    return spoilt.negative(spoilt.turned(grey, int(random.integers(1, 4))))


# A mirrored film is one to read, so it is fitted on and reported, but it is no other picture.
MIRRORED_FILM = Picture(MIRRORED, lambda grey, _: spoilt.mirrored(grey))
SEEN = {
    **{kind: _turned(kind) for kind in (TURNED_LEFT, UPSIDE_DOWN, TURNED_RIGHT)},
    "negative": Picture(NEGATIVE, lambda grey, _: spoilt.negative(grey)),
    "tilted": Picture(OTHER, spoilt.tilted),
    "part": Picture(OTHER, spoilt.part),
    "one lung": Picture(OTHER, spoilt.one_lung),
    "blurred": Picture(OTHER, spoilt.blurred),
    "scrambled": Picture(OTHER, spoilt.scrambled),
    "noise": _drawn(drawn.noise),
    "text": _drawn(drawn.text_page),
    "chart": _drawn(drawn.chart),
    "gradient": _drawn(drawn.gradient),
    "shapes": _drawn(drawn.shapes),
}
UNSEEN = {
    "mosaic": Picture(OTHER, unseen.mosaic),
    "contact sheet": Picture(OTHER, unseen.contact_sheet),
    "whirled": Picture(OTHER, unseen.whirled),
    "covered": Picture(OTHER, unseen.covered),
    "outlines": Picture(OTHER, unseen.outlines),
    "squeezed": Picture(OTHER, unseen.squeezed),
    "turned negative": Picture(OTHER, _turned_negative),
    "checks": _drawn(unseen.checks),
    "drawn hand": _drawn(unseen.hand),
    "drawn long bone": _drawn(unseen.long_bone),
    "drawn skull": _drawn(unseen.skull),
}
