"""Measure a film check on test films and on pictures that are none, of sorts it was fitted on and of others."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from cxrbundle.errors import BlankFilmError
from cxrbundle.film_check import FRONTAL, MIRRORED, OTHER, FilmCheck, FilmScore

from cxrconvert.film_check.kinds import MIRRORED_FILM, SEEN, UNSEEN, Picture
from cxrconvert.film_check.make import Eye, draw_pictures, good_films, read_greys
from cxrconvert.films import TEST, Film, films_of
from cxrconvert.metrics import number, weighted_auc


def score_all(check: FilmCheck, eye: Eye, pictures: Iterable[np.ndarray]) -> list[FilmScore]:
    """Return the score of each picture; blank ones, which are refused without it, are left out."""
    scores = []
    for picture in pictures:
        try:
            scores.append(check.score(eye.features(picture)))
        except BlankFilmError:
            continue
    return scores


def measure_film_check(check: FilmCheck, eye: Eye, films: list[Film], root: Path, most: int) -> dict[str, Any]:
    """Return how well the check tells test films from all else.

    Parameters
    ----------
    check : FilmCheck
    eye : Eye
    films : list of Film
        Of a run; the test films among them are measured on.
    root : Path
        Folder of the films.
    most : int
        Pictures of each sort.

    Returns
    -------
    dict
        "films": how many; "refused", "refused_as_it_comes": share of good test films, themselves and with the
        faults of scanning; "auroc", and "auroc_seen", "auroc_unseen" of the sorts fitted on and of the others;
        "pictures": of each sort its AUROC, share refused and share called as it should be; "mirrored": share
        refused and share called mirrored of mirrored films, and "called_mirrored" of good films.
    """
    greys = read_greys(root, films_of(films, TEST))
    good = score_all(check, eye, greys)
    coming = score_all(check, eye, list(good_films(greys, 1, 3))[len(greys) :])
    drawn = [
        {name: score_all(check, eye, draw_pictures(picture, greys, most, [3, seed])) for name, picture, seed in sorts}
        for sorts in (_numbered(SEEN, 0), _numbered(UNSEEN, len(SEEN)))
    ]
    pictures = {**SEEN, **UNSEEN}
    mirrored = score_all(check, eye, draw_pictures(MIRRORED_FILM, greys, most, [3, 999]))
    return {
        "films": len(good),
        "refused": share(good),
        "refused_as_it_comes": share(coming),
        "auroc": auroc(good, _together(drawn[0] | drawn[1])),
        "auroc_seen": auroc(good, _together(drawn[0])),
        "auroc_unseen": auroc(good, _together(drawn[1])),
        "pictures": {
            name: {"seen": name in SEEN, **of_sort(good, scores, pictures[name].kind)}
            for name, scores in (drawn[0] | drawn[1]).items()
        },
        "mirrored": {"refused": share(mirrored), "called_mirrored": called(mirrored, MIRRORED)},
        "called_mirrored": called(good, MIRRORED),
    }


def of_sort(good: list[FilmScore], scores: list[FilmScore], kind: str) -> dict[str, Any]:
    """Return how one sort of pictures is told from good films, and how often it is called by its name."""
    wrong = {FRONTAL, MIRRORED, OTHER, kind}
    return {
        "count": len(scores),
        "auroc": auroc(good, scores),
        "refused": share(scores),
        "named": called(scores, kind),
        "misnamed": number(np.mean([score.kind not in wrong for score in scores])),
    }


def auroc(good: list[FilmScore], others: list[FilmScore]) -> float | None:
    """Return the area under the ROC curve of the margin."""
    margins = np.array([score.margin for score in good + others])
    truth = np.arange(len(margins)) < len(good)
    return number(weighted_auc(truth, margins, np.ones((1, len(margins))))[0])


def share(scores: list[FilmScore]) -> float | None:
    """Return the share that is refused."""
    return number(np.mean([score.refused for score in scores])) if scores else None


def called(scores: list[FilmScore], kind: str) -> float | None:
    """Return the share that is called a kind."""
    return number(np.mean([score.kind == kind for score in scores])) if scores else None


def _numbered(sorts: dict[str, Picture], first: int) -> list[tuple[str, Picture, int]]:
    return [(name, picture, first + place) for place, (name, picture) in enumerate(sorts.items())]


def _together(sorts: dict[str, list[FilmScore]]) -> list[FilmScore]:
    return [score for scores in sorts.values() for score in scores]
