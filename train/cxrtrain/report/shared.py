"""The films that several runs hold out, so that their figures are of the same rows."""

import numpy as np

from cxrtrain.errors import RunError
from cxrtrain.report.run_folder import FinishedRun, Predictions


def shared_predictions(runs: list[FinishedRun]) -> list[Predictions]:
    """Return the predictions of each run for the films that all quote figures on, and the findings that all know.

    Raises
    ------
    RunError
        If they share no film or no finding, or know a film by other labels or patients.
    """
    quoted = [run.predictions.quoted for run in runs]
    others = [{film.image for film in own.films} for own in quoted[1:]]
    images = [film.image for film in quoted[0].films if all(film.image in other for other in others)]
    findings = tuple(name for name in quoted[0].findings if all(name in own.findings for own in quoted))
    names = ", ".join(str(run.folder) for run in runs)
    if not images:
        raise RunError(f"{names} test no film in common; compare runs of one split")
    if not findings:
        raise RunError(f"{names} score no finding in common; compare runs of one task")
    shared = [own.of(images, findings) for own in quoted]
    for run, own in zip(runs, shared, strict=True):
        if not np.array_equal(own.labels, shared[0].labels) or own.patients != shared[0].patients:
            raise RunError(f"{run.folder} and {runs[0].folder} have other labels or patients for the same films")
    return shared
