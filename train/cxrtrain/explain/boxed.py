"""How well the maps of a run localise, on the boxed films that it was not trained on."""

import logging
from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch

from cxrtrain.data.films import TRAIN, Film
from cxrtrain.data.folders import read_films
from cxrtrain.explain.choose import load_films, make_inputs
from cxrtrain.explain.localise import (
    LEVELS,
    OVERLAPS,
    QUESTIONS,
    RANDOM_SEEDS,
    Case,
    judge,
    judge_chance,
    localisation_table,
    read_boxes,
)
from cxrtrain.explain.maps import film_heats
from cxrtrain.explain.settings import GUIDED_GRAD_CAM, ExplainSettings
from cxrtrain.networks.network import Network
from cxrtrain.report.run_folder import FinishedRun

log = logging.getLogger(__name__)
USED, TRAINED_ON, THUMBNAIL, ABSENT = "used", "trained_on", "thumbnails", "absent"


def measure_localisation(
    settings: ExplainSettings, run: FinishedRun, network: Network, methods: tuple[str, ...]
) -> dict:
    """Return the localisation tables of each method, of random maps and of the centre, and the films they are of.

    Guided Grad-CAM is left out: its regions are single pixels, to which no box can be drawn.
    """
    findings, size = run.predictions.findings, run.recipe.input_size
    known = [case for case in read_boxes(settings.boxes) if case.finding in findings]
    boxed = choose_boxed(run, more_films(settings), {case.image for case in known})
    cases = [case for case in known if case.image in boxed.films]
    log.info("localisation: %d cases; boxed films: %s", len(cases), boxed.counts)
    facts = {
        "list": settings.boxes.name,
        "films": boxed.counts,
        "cases": len(cases),
        "levels": list(LEVELS),
        "overlaps": list(OVERLAPS),
        "random_seeds": RANDOM_SEEDS,
    }
    if not cases:
        return facts | {"tables": {}}
    right = _judge_methods(settings, run, network, [m for m in methods if m != GUIDED_GRAD_CAM], cases, boxed.films)
    right |= judge_chance(cases, _cells(network, size), size)
    return facts | {"tables": {reader: localisation_table(cases, own) for reader, own in right.items()}}


@dataclass(frozen=True)
class Boxed:
    """Boxed films.

    Attributes
    ----------
    films : dict of str to Film
        Those to measure on, by name.
    counts : dict of str to int
        How many were used, and why the others were not. "trained_on" counts other films of the same patients too.
    """

    films: dict[str, Film]
    counts: dict[str, int]


def more_films(settings: ExplainSettings) -> list[Film]:
    """Return the films of the second folder, if one is named."""
    if settings.boxed_films is None:
        return []
    return read_films(settings.boxed_films, settings.films, allow_missing=True)


def choose_boxed(run: FinishedRun, more: list[Film], images: set[str]) -> Boxed:
    """Return which of these images may be measured on: sharp films of patients who were not trained on."""
    trained = {film.patient for film, part in zip(run.films, run.parts, strict=True) if part == TRAIN}
    fates = dict.fromkeys(sorted(images), ABSENT)
    used: dict[str, Film] = {}
    for film in [*run.films, *more]:
        if film.image not in fates or film.image in used:
            continue
        fates[film.image] = TRAINED_ON if film.patient in trained else THUMBNAIL if film.thumbnail else USED
        if fates[film.image] == USED:
            used[film.image] = film
    counts = Counter(fates.values())
    return Boxed(used, {"in_list": len(fates)} | {fate: counts[fate] for fate in (USED, TRAINED_ON, THUMBNAIL, ABSENT)})


def _judge_methods(
    settings: ExplainSettings,
    run: FinishedRun,
    network: Network,
    methods: list[str],
    cases: list[Case],
    films: dict[str, Film],
) -> dict[str, np.ndarray]:
    """Return by method whether each case is right: bool, shape (cases, questions)."""
    right = {method: np.zeros((len(cases), len(QUESTIONS)), bool) for method in methods}
    for column, finding in enumerate(run.predictions.findings):
        rows = [row for row, case in enumerate(cases) if case.finding == finding]
        if not rows:
            continue
        own = [films[cases[row].image] for row in rows]
        inputs = make_inputs(own, load_films(settings.films, own), run.recipe.input_size)
        for method, heats in film_heats(network, inputs, column, methods).items():
            right[method][rows] = [judge(heat, cases[row].boxes) for row, heat in zip(rows, heats, strict=True)]
    return right


@torch.inference_mode()
def _cells(network: Network, size: int) -> int:
    """Return the side of the network's last feature map, in cells."""
    device = next(network.parameters()).device
    return network.body(torch.zeros(1, 3, size, size, device=device)).shape[-1]
