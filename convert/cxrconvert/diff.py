"""What changes for the user between two bundles: figures, thresholds, and what they say of the same films."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from cxrbundle.bundle import Bundle
from cxrbundle.labels import FINDINGS
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import to_input
from cxrbundle.scores import likelihoods

from cxrconvert.bodies import TfliteBody
from cxrconvert.errors import BodyError, FilmsError
from cxrconvert.films import TEST, Film, films_of, load_inputs, read_films
from cxrconvert.run import FILMS

PICTURES = {".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp"}
VERDICTS = np.array(["nothing", "uncertain", "above"])


@dataclass(frozen=True)
class Answers:
    """What one bundle says of some films.

    Attributes
    ----------
    chances : ndarray of float64, shape (films, findings)
        Calibrated likelihoods.
    states : ndarray of int, shape (films, findings)
        0 below, 1 uncertain, 2 above: the box's three states.
    """

    chances: np.ndarray
    states: np.ndarray

    @property
    def verdicts(self) -> np.ndarray:
        """The worst state of each film: int, shape (films,)."""
        return self.states.max(axis=1)


def find_films(folder: Path, run: Path | None) -> list[str]:
    """Return paths below a folder: of every picture in it, or of a run's sharp test films.

    Raises
    ------
    FilmsError
        If there are none.
    RunError
        If the run has no table of films.
    """
    if run:
        found = [film.path for film in films_of(read_films(run / FILMS, folder), TEST)]
    else:
        pictures = (path for path in sorted(folder.rglob("*")) if path.suffix.lower() in PICTURES)
        found = [str(path.relative_to(folder)) for path in pictures]
    if not found:
        raise FilmsError(f"{run / FILMS if run else folder} has no film to compare on; name others with --films")
    return found


def compare_bundles(before: Bundle, after: Bundle, folder: Path | None, run: Path | None) -> dict[str, Any]:
    """Return what changes from one bundle to another, for JSON; every pair is [before, after].

    Parameters
    ----------
    before, after : Bundle
    folder : Path or None
        Films to read with both; None for the golden phantoms of both.
    run : Path or None
        Training run whose test films in that folder are read.

    Raises
    ------
    ConvertError
        If a body cannot be run, or a film not be read.
    """
    bundles = (before, after)
    seeds = sorted({int(seed) for bundle in bundles for seed in bundle.golden.seeds})
    names = find_films(folder, run) if folder else [f"phantom {seed}" for seed in seeds]
    answers = [_answer(bundle, _inputs(bundle, folder, names, seeds)) for bundle in bundles]
    return {
        "bundles": [{"title": bundle.title, "sha256": bundle.digest, **_measured_on(bundle)} for bundle in bundles],
        "findings": {finding: _finding(bundles, answers, finding) for finding in FINDINGS},
        "mean_auc": [_figures(bundle, "mean") for bundle in bundles],
        "films": {"folder": str(folder) if folder else None, "count": len(names), **_films(answers, names)},
    }


def _inputs(bundle: Bundle, folder: Path | None, names: list[str], seeds: list[int]):
    """Yield each film as a bundle's input, uint8 of shape (1, side, side, 3)."""
    side = bundle.manifest.input.height
    if folder is None:
        return (to_input(draw_phantom(seed), side) for seed in seeds)
    return load_inputs(folder, [Film(name, name, patient="", part=TEST, labels=()) for name in names], side)


def _answer(bundle: Bundle, inputs) -> Answers:
    """Read films with a bundle, the way the box does: body, head, calibration, thresholds."""
    manifest, body = bundle.manifest, open_body(bundle)
    logits = np.array([bundle.head(body(film)).logits for film in inputs])
    chances = likelihoods(logits, manifest.calibrations)
    thresholds = [manifest.thresholds[finding] for finding in FINDINGS]
    states = sum((chances >= [getattr(at, name) for at in thresholds]).astype(int) for name in ("uncertain", "above"))
    return Answers(chances, states)


def open_body(bundle: Bundle) -> TfliteBody:
    """Return the body of a bundle; raise BodyError if it does not load or is not the one its manifest describes."""
    manifest = bundle.manifest
    try:
        body = TfliteBody(bundle.body, manifest.input.scale, manifest.input.zero_point)
    except (RuntimeError, ValueError) as err:
        raise BodyError(f"the body of {bundle.title} does not load ({err}); convert the model again") from err
    if body.ends() != (manifest.input, manifest.features):
        raise BodyError(f"the body of {bundle.title} has other ends than its manifest says; convert the model again")
    return body


def _measured_on(bundle: Bundle) -> dict[str, int | None]:
    """Return how many test films and patients a manifest's figures rest on."""
    metrics = bundle.manifest.conversion.get("metrics", {})
    return {key: metrics.get(key) for key in ("films", "patients")}


def _figures(bundle: Bundle, finding: str) -> dict[str, Any]:
    """Return {"auc", "auc_95"} of the int8 body on the test films, with None where the manifest has none."""
    figures = bundle.manifest.conversion.get("metrics", {}).get("int8", {}).get(finding, {})
    return {key: figures.get(key) for key in ("auc", "auc_95")}


def _finding(bundles: tuple[Bundle, Bundle], answers: list[Answers], finding: str) -> dict[str, Any]:
    """Return what changes for one finding."""
    at = FINDINGS.index(finding)
    thresholds = [bundle.manifest.thresholds[finding] for bundle in bundles]
    states = [answer.states[:, at] for answer in answers]
    change = answers[1].chances[:, at] - answers[0].chances[:, at]
    return {
        "figures": [_figures(bundle, finding) for bundle in bundles],
        "above_from": [threshold.above for threshold in thresholds],
        "uncertain_from": [threshold.uncertain for threshold in thresholds],
        "share_above": [_share(state == 2) for state in states],
        "share_uncertain": [_share(state == 1) for state in states],
        "mean_likelihood_change": round(float(change.mean()), 4),
    }


def _films(answers: list[Answers], names: list[str]) -> dict[str, Any]:
    """Return what changes for whole films: how many are referred, and which get another verdict."""
    before, after = (answer.verdicts for answer in answers)
    changed = [
        {"film": names[i], "verdict": [str(VERDICTS[before[i]]), str(VERDICTS[after[i]])]}
        for i in np.flatnonzero(before != after)
    ]
    return {
        "referral_rate": [_share(verdict == 2) for verdict in (before, after)],
        "uncertain_rate": [_share(verdict == 1) for verdict in (before, after)],
        "changed": changed,
    }


def _share(of: np.ndarray) -> float:
    return round(float(of.mean()), 4)
