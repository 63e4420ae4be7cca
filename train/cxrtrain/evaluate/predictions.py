"""What a run says of the films that it was not trained on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cxrbundle.labels import FINDINGS

from cxrtrain.data.films import TEST, VALIDATION, Film, label_array
from cxrtrain.data.tables import make_films, name_culprits, read_rows
from cxrtrain.errors import FilmsError, RunError

FILMS, PREDICTIONS = "films.csv", "predictions.csv"
FILM_COLUMNS = ("name", "patient", "source", "part", "age", "sex", "view", *FINDINGS)


@dataclass(frozen=True)
class Predictions:
    """The films of a part, and a logit of each finding.

    Attributes
    ----------
    findings : tuple of str
        Those of the run's task: 14, or one.
    films : list of Film
    labels : ndarray of 0 and 1, shape (films, findings)
    logits : ndarray of float, shape (films, findings)
    """

    findings: tuple[str, ...]
    films: list[Film]
    labels: np.ndarray
    logits: np.ndarray

    @property
    def patients(self) -> list[str]:
        """Patient of each film."""
        return [film.patient for film in self.films]

    def take(self, rows: np.ndarray) -> "Predictions":
        """Return some of the films."""
        return Predictions(self.findings, [self.films[row] for row in rows], self.labels[rows], self.logits[rows])


def read_predictions(run: Path) -> dict[str, Predictions]:
    """Read predictions.csv of a run with what films.csv knows of its films: {"validation" or "test": predictions}.

    Raises
    ------
    RunError
        If one of the files is missing, or not of the form that `cxrtrain fit` writes.
    """
    if not (run / PREDICTIONS).is_file():
        raise RunError(f"{run} has no {PREDICTIONS}; name the folder of a run that `cxrtrain fit` has finished")
    try:
        film_rows = read_rows(run / FILMS, FILM_COLUMNS)
        films = make_films(run / FILMS, [row | {"image": row["name"]} for row in film_rows])
        rows = read_rows(run / PREDICTIONS, ("name", "part"))
    except FilmsError as err:
        raise RunError(f"{run} is not of the form that `cxrtrain fit` writes: {err}") from err
    known = {(film.image, row["part"]): film for film, row in zip(films, film_rows, strict=True)}
    _check(run / PREDICTIONS, rows, known)
    return {part: _of_part(run / PREDICTIONS, rows, part, known) for part in (VALIDATION, TEST)}


def _check(path: Path, rows: list[dict[str, str]], known: dict[tuple[str, str], Film]) -> None:
    names = [(row["name"], row["part"]) for row in rows]
    if strangers := [name for name, part in names if (name, part) not in known]:
        raise RunError(
            f"{path}: {len(strangers)} films are not in that part of {FILMS}: {name_culprits(strangers)}; "
            "take both files from one run"
        )
    if len(set(names)) < len(names):
        raise RunError(f"{path} has {len(names) - len(set(names))} films twice; train again")
    findings = [column for column in rows[0] if column not in ("name", "part")]
    if not findings or any(finding not in FINDINGS for finding in findings):
        raise RunError(f"{path} has the columns {', '.join(rows[0])}; after name and part only findings may stand")


def _of_part(path: Path, rows: list[dict[str, str]], part: str, known: dict[tuple[str, str], Film]) -> Predictions:
    findings = tuple(finding for finding in FINDINGS if finding in rows[0])
    own = [row for row in rows if row["part"] == part]
    films = [known[row["name"], part] for row in own]
    try:
        logits = np.array([[float(row[finding]) for finding in findings] for row in own]).reshape(-1, len(findings))
    except ValueError as err:
        raise RunError(f"{path} has a logit that is no number ({err}); train again") from err
    if not np.isfinite(logits).all():
        raise RunError(f"{path} has logits that are not finite; the network is broken, train again")
    labels = label_array(films)[:, [FINDINGS.index(finding) for finding in findings]]
    return Predictions(findings, films, labels.astype(int), logits)
