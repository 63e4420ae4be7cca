"""One film, one reading: decode, preprocess, body, head, scores. The daemon and `cxrbox read` share it."""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from cxrbundle.bundle import Bundle, build_bundle
from cxrbundle.film_check import FilmScore
from cxrbundle.head import HeadOutput
from cxrbundle.operating_point import state
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import to_input
from cxrbundle.scores import likelihoods

from cxrbox.bodies.choice import open_body
from cxrbox.bodies.cpu import usable_threads
from cxrbox.bodies.seam import Body
from cxrbox.bodies.tpu import INVOKE_SECONDS
from cxrbox.capture.photograph import Captured, is_photograph, read_photograph
from cxrbox.chest import ChestFilm, look_at_film
from cxrbox.clock import clock_trusted
from cxrbox.decoding.film import DecodedFilm, decode_film
from cxrbox.errors import BackendError
from cxrbox.looks import mean_features
from cxrbox.maps import correlate_maps
from cxrbox.operating_points import CAMERA, OperatingPoints, load_operating_points, source_of
from cxrbox.provenance import code_sha256, code_version
from cxrbox.refusals import refuse
from cxrbox.remarks import describe_age
from cxrbox.settings import Settings
from cxrbox.stability import find_unstable, shifted
from cxrbox.trust import open_package

# int8 kernels differ between runtimes and processors: a third of a logit was measured on golden films between
# XNNPACK and the reference kernels. One that is three times further away was read by a body that is broken.
GOLDEN_TOLERANCE = 1.0
# Class maps correlate by .999 and more between those kernels, by .96 at most with the same film's maps mirrored.
LEAST_GOLDEN_CORRELATION = 0.98


# Years. The films that the shipped networks were measured on are of adults.
ADULT = 18


@dataclass(frozen=True)
class Again:
    """A film that was read, small enough to wait for another reading.

    Attributes
    ----------
    grey : ndarray of uint8, shape (side, side)
        Any channel of the body's input: all three show the same.
    source : str
        Whose thresholds it is held against.
    """

    grey: np.ndarray
    source: str


@dataclass(frozen=True)
class Reading:
    """What the box says of one film.

    Attributes
    ----------
    findings : dict
        {finding: {"likelihood", "state", "threshold"}}
    maps : ndarray of float32, shape (findings, height, width)
    logits : ndarray of float32, shape (findings,)
    source : str
        Whose thresholds it was held against: one of `cxrbox.operating_points.SOURCES`.
    film : ChestFilm
        The film as it was read.
    age : float or None
        The patient's in years, where that is no adult's and a person wanted the film read all the same.
    captured : Captured or None
        What was done to a photograph to get the film out of it.
    """

    findings: dict[str, dict]
    maps: np.ndarray
    logits: np.ndarray
    source: str
    film: ChestFilm
    captured: Captured | None = None
    age: float | None = None

    @property
    def again(self) -> Again:
        """What is needed to read it once more."""
        return Again(self.film.pixels[0, ..., 0].copy(), self.source)


@dataclass(frozen=True)
class GoldenAnswer:
    """How one golden film is read now, against the day the bundle was made.

    Attributes
    ----------
    seed : int
        Draws the film.
    difference : float
        Largest difference of a logit.
    map_correlation : float or None
        Of the class maps; None where the bundle has none to compare with.
    milliseconds : float
        Preprocessing, body and head.
    """

    seed: int
    difference: float
    map_correlation: float | None
    milliseconds: float

    @property
    def passed(self) -> bool:
        """Whether both lie within their tolerances; NaN does not."""
        alike = self.map_correlation is None or self.map_correlation >= LEAST_GOLDEN_CORRELATION
        return self.difference <= GOLDEN_TOLERANCE and alike

    def __str__(self) -> str:
        if self.map_correlation is None:
            return f"{self.difference:.2f} logits off (at most {GOLDEN_TOLERANCE})"
        return (
            f"{self.difference:.2f} logits off (at most {GOLDEN_TOLERANCE}) with maps correlated by"
            f" {self.map_correlation:.3f} (at least {LEAST_GOLDEN_CORRELATION})"
        )


class Reader:
    """Reads films with one bundle on one backend.

    Parameters
    ----------
    bundle : Bundle
    body : Body
    trust : str
        Why the bundle is trusted, from `cxrbox.trust`.
    points : OperatingPoints
        The thresholds films are held against.
    """

    def __init__(self, bundle: Bundle, body: Body, trust: str, points: OperatingPoints):
        self.bundle = bundle
        self.body = body
        self.trust = trust
        self.points = points

    def provenance(self) -> dict[str, str]:
        """Return what every result names: bundle, its hash, backend and code."""
        return {
            "bundle": self.bundle.title,
            "bundle_sha256": self.bundle.digest,
            "backend": self.body.backend,
            "code": code_version(),
        }

    def describe(self, reading: Reading) -> dict:
        """Return what is kept of a reading: its findings, and what is needed to arrive at them once more."""
        return self.provenance() | {
            "code_sha256": code_sha256(),
            "thresholds_for": reading.source,
            "thresholds_sha256": self.points.sha256(reading.source),
            "clock_trusted": clock_trusted(),
            "capture": reading.captured and capture_facts(reading.captured),
            "corrections": list(reading.film.corrections),
            "film_check": reading.film.score and score_facts(reading.film.score),
            "age": reading.age,
            "findings": reading.findings,
        }

    def read(self, path: Path, film_source: str = "folder", override: bool = False) -> Reading:
        """Read a film from its file.

        Parameters
        ----------
        path : Path
        film_source : str
            Where the box got it: "folder", "stick", "upload" or "camera".
        override : bool
            A person wants it read whatever the capture gate says.

        Raises
        ------
        RefusedError
            If the file holds no film that can be read.
        """
        film = decode_film(path)
        return self.read_decoded(film, photograph_of(film, film_source), override)

    def read_decoded(self, film: DecodedFilm, photo: np.ndarray | None, override: bool = False) -> Reading:
        """Read a film that was decoded, out of its photograph where it has to be (`photograph_of`); see `read`."""
        too_young = film.age is not None and film.age < ADULT
        if too_young and not override:
            raise refuse("child", f"the patient is {describe_age(film.age)} old, and the box was made for adults")
        captured = None if photo is None else read_photograph(photo, override)
        source = source_of(film.source, photographed=captured is not None)
        chest, output = self._look(captured.film if captured else film.grey, source, override)
        findings = self._findings(output.logits, source)
        age = film.age if too_young else None
        return Reading(findings, output.maps, output.logits, source, chest, captured, age)

    def _look(self, grey: np.ndarray, source: str, override: bool) -> tuple[ChestFilm, HeadOutput]:
        """Look at a film, all of it on one backend: where a device is lost meanwhile, once more from the start."""
        answered = set()

        def body(pixels: np.ndarray) -> np.ndarray:
            features = self.body(pixels)
            answered.add(self.body.backend)
            return features

        chest = look_at_film(grey, body, self.bundle.manifest.input.height, self.bundle.film_check, override)
        features = mean_features(body, chest.pixels, chest.features) if source == CAMERA else chest.features
        if len(answered) > 1:
            return self._look(grey, source, override)
        return chest, self.bundle.head(features)

    def find_unstable(self, again: Again) -> list[str]:
        """Read a film as it lies and moved a little each way; return the findings whose state does not hold."""
        film = cv2.cvtColor(again.grey, cv2.COLOR_GRAY2RGB)[np.newaxis]
        states, *others = (
            self._states(self.bundle.head(self._see(pixels, again.source)).logits, again.source)
            for pixels in (film, *shifted(film))
        )
        return find_unstable(states, others)

    def _states(self, logits: np.ndarray, source: str) -> dict[str, str]:
        return {finding: of["state"] for finding, of in self._findings(logits, source).items()}

    def infer(self, grey: np.ndarray, source: str = "scanner") -> HeadOutput:
        """Return the head's output for a film, uint8 (height, width), bone bright."""
        return self.bundle.head(self._see(to_input(grey, self.bundle.manifest.input.height), source))

    def _see(self, pixels: np.ndarray, source: str) -> np.ndarray:
        """Return the features that a film is read from; one out of a photograph is looked at in several ways."""
        features = self.body(pixels)
        return mean_features(self.body, pixels, features) if source == CAMERA else features

    def _findings(self, logits: np.ndarray, source: str) -> dict[str, dict]:
        manifest, thresholds = self.bundle.manifest, self.points.at(source)
        values = likelihoods(logits, manifest.calibrations)
        return {
            label: {
                "likelihood": round(float(value), 4),
                "state": state(float(value), thresholds[label]),
                "threshold": round(thresholds[label].above, 4),
            }
            for label, value in zip(manifest.labels, values, strict=True)
        }

    def prove(self, body: Body) -> None:
        """Read the golden films with a body; raise BackendError where it must not read films."""
        Reader(self.bundle, body, self.trust, self.points).check_golden_films()

    def read_golden_films(self) -> list[GoldenAnswer]:
        """Read every golden film once."""
        return [self._read_golden_film(place) for place in range(len(self.bundle.golden.seeds))]

    def _read_golden_film(self, place: int) -> GoldenAnswer:
        golden = self.bundle.golden
        seed = int(golden.seeds[place])
        film = draw_phantom(seed)
        started = time.perf_counter()
        output = self.infer(film)
        milliseconds = (time.perf_counter() - started) * 1000
        return GoldenAnswer(
            seed,
            difference=float(np.abs(output.logits - golden.logits[place]).max()),
            map_correlation=None if golden.maps is None else correlate_maps(output.maps, golden.maps[place]),
            milliseconds=milliseconds,
        )

    def check_golden_films(self) -> float:
        """Read the golden films; return the largest difference of a logit from when the bundle was made.

        Raises
        ------
        BackendError
            If one is not answered within the tolerances: this body must not read films.
        """
        answers = self.read_golden_films()
        for answer in answers:
            if not answer.passed:
                raise BackendError(
                    f"{self.bundle.title} on {self.body.backend} answers golden film {answer.seed} {answer};"
                    " it reads no film: reinstall the bundle or the runtime"
                )
        return max(answer.difference for answer in answers)


def capture_facts(captured: Captured) -> dict[str, Any]:
    """Return what is kept of how a film was taken out of a photograph; corners in pixels of the photograph."""
    return {
        "size": list(captured.size),
        "corners": captured.corners.round(1).tolist(),
        "rotation": captured.rotation,
        "mirrored": captured.mirrored,
        "negative": captured.negative,
        "steps": list(captured.steps),
        "overridden": captured.overridden and captured.overridden.code,
    }


def score_facts(score: FilmScore) -> dict[str, Any]:
    """Return what is kept of the film check's answer."""
    return {"kind": score.kind, "margin": round(score.margin, 3), "distance": round(score.distance, 3)}


def photograph_of(film: DecodedFilm, film_source: str) -> np.ndarray | None:
    """Return the photograph that a film has to be taken out of, None for one that was decoded as it is.

    What has colours, was taken by the box's own camera or looks like a photograph shows a film among other things.
    """
    if film.colour is None and (film_source == "camera" or (film.source == "picture" and is_photograph(film.grey))):
        return film.grey
    return film.colour


def make_reader(settings: Settings) -> Reader:
    """Load a bundle that is trusted and open its body; its golden films are not read yet."""
    package, trust = open_package(settings)
    bundle = build_bundle(package)
    points = load_operating_points(settings.thresholds, bundle)

    def prove(body: Body) -> None:
        Reader(bundle, body, trust, points).check_golden_films()

    # A film that waits for a device in vain must still be read before its own time is over.
    patience = min(INVOKE_SECONDS, settings.film_seconds / 2)
    body = open_body(bundle, settings.tpu, usable_threads(settings.threads), prove, invoke_seconds=patience)
    return Reader(bundle, body, trust, points)


def open_reader(settings: Settings) -> Reader:
    """Return a reader on the processor, for one film at a time, that has answered its golden films.

    The device is left to the daemon.
    """
    reader = make_reader(replace(settings, tpu="cpu", threads=1))
    reader.check_golden_films()
    return reader
