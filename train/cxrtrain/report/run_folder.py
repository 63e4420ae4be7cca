"""A finished run, read back from its folder."""

import json
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from cxrbundle.labels import FINDINGS

from cxrtrain.data.films import TEST, TRAIN, VALIDATION, Film
from cxrtrain.data.tables import make_films, read_rows
from cxrtrain.errors import FilmsError, RunError
from cxrtrain.evaluate.predictions import read_predictions
from cxrtrain.recipe import Recipe, read_recipe

FILM_COLUMNS = ("name", "patient", "part", "age", "sex", "view", *FINDINGS)


@dataclass(frozen=True)
class Epoch:
    """One row of metrics.csv.

    Attributes
    ----------
    phase : str
        "first" or "second".
    epoch : int
        Counted from 1 over both phases.
    step : int
        Steps done at its end, over both phases.
    rate, momentum : float
        Those of its last step; the rate is the head's.
    """

    phase: str
    epoch: int
    step: int
    rate: float
    momentum: float
    loss: float
    validation_loss: float
    validation_auc: float
    films_per_second: float
    seconds: float


@dataclass(frozen=True)
class Predictions:
    """What the network of a run says of films that it was not trained on.

    Attributes
    ----------
    films : list of Film
    parts : ndarray of str, shape (films,)
    findings : tuple of str
        Those of the task.
    labels : ndarray of int, shape (films, findings)
    logits : ndarray of float, shape (films, findings)
    """

    films: list[Film]
    parts: np.ndarray
    findings: tuple[str, ...]
    labels: np.ndarray
    logits: np.ndarray

    @property
    def patients(self) -> list[str]:
        """Patient of each film."""
        return [film.patient for film in self.films]

    @property
    def quoted_part(self) -> str:
        """The part that figures are quoted on: test, or validation where a split has no other (the paper's)."""
        return TEST if (self.parts == TEST).any() else VALIDATION

    @property
    def quoted(self) -> "Predictions":
        """Those of that part."""
        pairs = zip(self.films, self.parts, strict=True)
        return self.of([film.image for film, part in pairs if part == self.quoted_part], self.findings)

    def of(self, images: list[str], findings: tuple[str, ...]) -> "Predictions":
        """Return those of some images and findings, in that order."""
        places = {film.image: row for row, film in enumerate(self.films)}
        rows = np.array([places[image] for image in images], int)
        columns = [self.findings.index(finding) for finding in findings]
        cells = np.ix_(rows, columns)
        return Predictions(
            [self.films[row] for row in rows], self.parts[rows], findings, self.labels[cells], self.logits[cells]
        )


@dataclass(frozen=True)
class FinishedRun:
    """A run.

    Attributes
    ----------
    facts : dict
        Its run.json.
    films, parts : list
        Of all films of the run; a part is blank where the split leaves a film out.
    epochs : list of Epoch
        Empty where the run has no metrics.csv.
    predictions : Predictions
        Of the validation and of the test films.
    """

    folder: Path
    recipe: Recipe
    facts: dict
    films: list[Film]
    parts: list[str]
    epochs: list[Epoch]
    predictions: Predictions

    def read(self, name: str) -> dict | None:
        """Return a JSON file below the folder, None where it is not there."""
        path = self.folder / name
        return _read_json(path) if path.is_file() else None


def phase_epochs(epochs: list[Epoch]) -> dict[str, list[Epoch]]:
    """Return the epochs of each phase, in their order."""
    phases: dict[str, list[Epoch]] = {}
    for epoch in epochs:
        phases.setdefault(epoch.phase, []).append(epoch)
    return phases


def read_run(folder: Path) -> FinishedRun:
    """Read the folder of a finished run.

    Raises
    ------
    RunError
        If it is none, or one of its files cannot be read.
    """
    if not (folder / "run.json").is_file():
        raise RunError(
            f"{folder} holds no finished run (no run.json); name the folder that `cxrtrain fit` wrote with -o"
        )
    facts = _read_json(folder / "run.json")
    try:
        films, parts = _read_films(folder / "films.csv")
        epochs = _read_epochs(folder / "metrics.csv")
        recipe = read_recipe(folder / "recipe.toml")
    except FilmsError as err:
        raise RunError(f"{folder} is no run of this version: {err}") from err
    return FinishedRun(folder, recipe, facts, films, parts, epochs, _read_predictions(folder))


def _read_json(path: Path) -> dict:
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as err:
        raise RunError(f"{path} cannot be read ({err}); run the command that wrote it again") from err


def _read_films(path: Path) -> tuple[list[Film], list[str]]:
    rows = read_rows(path, FILM_COLUMNS)
    if wrong := {row["part"] for row in rows} - {TRAIN, VALIDATION, TEST, ""}:
        raise FilmsError(f"{path} has the unknown part {sorted(wrong)[0]!r}")
    return make_films(path, [row | {"image": row["name"]} for row in rows]), [row["part"] for row in rows]


def _read_predictions(folder: Path) -> Predictions:
    """Return the predictions of all parts as one table."""
    own = read_predictions(folder)
    return Predictions(
        films=[film for part in own.values() for film in part.films],
        parts=np.repeat(list(own), [len(part.films) for part in own.values()]),
        findings=own[TEST].findings,
        labels=np.concatenate([part.labels for part in own.values()]),
        logits=np.concatenate([part.logits for part in own.values()]),
    )


def _read_epochs(path: Path) -> list[Epoch]:
    if not path.is_file():
        return []
    columns = [field.name for field in fields(Epoch)]
    rows = read_rows(path, columns)
    kinds = {field.name: field.type for field in fields(Epoch)}
    try:
        return [Epoch(**{name: kinds[name](row[name] or "nan") for name in columns}) for row in rows]
    except ValueError as err:
        raise FilmsError(f"{path}: {err} is not as expected") from err
