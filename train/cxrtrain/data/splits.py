"""Which film is trained on, validated on and tested on."""

from collections import Counter

import numpy as np

from cxrtrain.data.films import TEST, TRAIN, TRAIN_VAL, VALIDATION, Film
from cxrtrain.data.tables import name_culprits
from cxrtrain.errors import FilmsError
from cxrtrain.recipe import DataSettings

# One of so many patients is tested on: of all, or of those that the reference network never saw, of whom the
# others are worth more in training.
PATIENTS_PER_TEST, UNSEEN_PER_TEST = 5, 2
# Elkins et al. 2020: the seed and the share of their data block.
PAPER_SEED = 42
PAPER_SHARE = 0.2

# Of each patient: how many films have the rarest of their findings, and its place among the findings.
Strata = dict[str, tuple[int, int]]


def split(films: list[Film], settings: DataSettings) -> list[str]:
    """Return the part of each film: "train", "validation" or "test", or blank for one that is left out.

    Except with "paper", no patient stands in two parts. What is not tested on is divided into `folds`, of which
    one is validated on.

    - "official": NIH's test list is tested on.
    - "reference": half of the patients that the reference network never saw are tested on, so that both networks
      can be measured on the same films.
    - "patient": a fifth of the patients is tested on.
    - "paper": the split of Elkins et al. 2020, by film and with a seed of its own: the first fifth of all films with
      a finding, once permuted, are validated on. Patients stand in both of its parts, so it is here to reproduce
      their figures only.

    Raises
    ------
    FilmsError
        If the films do not say their part in the official or the reference split, or are of too few patients.
    """
    if settings.split == "paper":
        return _paper_split(films)
    strata = _rarest_findings(films)
    tested = {"official": _official_test, "reference": _reference_test, "patient": _patient_test}[settings.split]
    test = tested(films, strata, settings.split_seed)
    rest = {patient: stratum for patient, stratum in strata.items() if patient not in test}
    validation = _draw(rest, settings.folds, settings.split_seed, settings.fold)
    if not validation:
        raise FilmsError(f"{len(rest)} patients to train on cannot be divided into {settings.folds} folds")
    part = dict.fromkeys(strata, TRAIN) | dict.fromkeys(validation, VALIDATION) | dict.fromkeys(test, TEST)
    return [part[film.patient] for film in films]


def _official_test(films: list[Film], strata: Strata, seed: int) -> set[str]:
    if unlisted := [film.image for film in films if not film.official]:
        raise FilmsError(
            f"{len(unlisted)} of {len(films)} films have no part in NIH's official split: {name_culprits(unlisted)}; "
            "run `cxrtrain labels` with NIH's two lists, or take another split"
        )
    test, rest = ({film.patient for film in films if film.official == part} for part in (TEST, TRAIN_VAL))
    if both := sorted(test & rest):
        raise FilmsError(f"{len(both)} patients stand in both parts of NIH's official split: {name_culprits(both)}")
    return test


def _reference_test(films: list[Film], strata: Strata, seed: int) -> set[str]:
    unseen = {film.patient for film in films if film.reference == TEST}
    if not unseen:
        raise FilmsError(
            "no film has a part in the split of the reference network (split_chexnet of a manifest); "
            "take another split, such as patient"
        )
    return _draw({patient: strata[patient] for patient in unseen}, UNSEEN_PER_TEST, seed)


def _patient_test(films: list[Film], strata: Strata, seed: int) -> set[str]:
    return _draw(strata, PATIENTS_PER_TEST, seed)


def _rarest_findings(films: list[Film]) -> Strata:
    counts = Counter(finding for film in films for finding, on in enumerate(film.labels) if on)
    rarest: Strata = {}
    for film in films:
        own = min(((counts[i], i) for i, on in enumerate(film.labels) if on), default=(len(films), -1))
        rarest[film.patient] = min(own, rarest.get(film.patient, own))
    return rarest


def _draw(strata: Strata, n: int, seed: int, fold: int = 0) -> set[str]:
    """Return every n-th patient, shuffled within each stratum; the n folds share none and leave none out."""
    order = sorted(strata)
    np.random.default_rng(seed).shuffle(order)
    order.sort(key=strata.__getitem__)
    return set(order[n - 1 - fold :: n])


def _paper_split(films: list[Film]) -> list[str]:
    found = [row for row, film in enumerate(films) if any(film.labels)]
    # The stream of `np.random.seed(42); np.random.permutation(n)`, without touching the global one.
    order = np.random.RandomState(PAPER_SEED).permutation(len(found))
    parts = [""] * len(films)
    for place, drawn in enumerate(order):
        parts[found[drawn]] = VALIDATION if place < int(PAPER_SHARE * len(found)) else TRAIN
    return parts
