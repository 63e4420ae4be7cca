"""What a network says of films that it was not trained on."""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from cxrbundle.labels import FINDINGS

from cxrtrain.data.films import OTHER_SOURCES, VALIDATION, Film, label_array, source_names
from cxrtrain.data.prepared import Prepared
from cxrtrain.data.reference import read_reference
from cxrtrain.data.tasks import Task
from cxrtrain.evaluate.metrics import mean_auc, report
from cxrtrain.learn.world import World
from cxrtrain.networks.network import Network, predict
from cxrtrain.transforms.presets import build_transform

PREDICTIONS = "predictions.csv"
PHOTOGRAPHED = "photographed"
# So many films at a time, always with the same chance.
PHOTOGRAPHS, PHOTOGRAPH_SEED = 32, 0
REFERENCE = Path("meta/reference_densenet121_predictions.csv")


class HeldOut:
    """The films of one part at one size, as the box would see them.

    Parameters
    ----------
    rows : ndarray of int
        Rows of the prepared films.
    """

    def __init__(self, prepared: Prepared, rows: np.ndarray, task: Task, size: int, world: World):
        self.films = [prepared.films[row] for row in rows]
        self.inputs = prepared.inputs(world.share(rows), size)
        self.targets = task.targets(label_array(self.films))
        self.task, self.world = task, world

    def logits(self, network: Network) -> np.ndarray:
        """Return the network's outputs, float32 of shape (films, outputs), computed by all processes together."""
        return self.world.gather(predict(network, self.inputs))

    def photographed_logits(self, network: Network) -> np.ndarray:
        """Return the outputs for the same films, each photographed once on a light box (preset `film`)."""
        torch.manual_seed(PHOTOGRAPH_SEED + self.world.rank)
        change = build_transform("film", self.inputs.shape[-1])
        batches = torch.from_numpy(self.inputs).split(PHOTOGRAPHS)
        photographed = [change(batch).round().clamp(0, 255).byte().numpy() for batch in batches]
        return self.world.gather(predict(network, np.concatenate(photographed)))

    def loss_and_auc(self, network: Network, loss_of: Callable) -> tuple[float, float]:
        """Return the loss, and the mean AUC of the findings that some films have and some have not."""
        logits = self.logits(network)
        loss = loss_of(torch.from_numpy(logits), torch.from_numpy(self.targets), None)
        return float(loss), mean_auc(self.targets, self.task.scores(logits))


def sharp_rows(films: list[Film], parts: list[str], part: str) -> np.ndarray:
    """Return the rows of one part that came at full sharpness: nothing is measured on thumbnails."""
    rows = [i for i, (film, own) in enumerate(zip(films, parts, strict=True)) if own == part and not film.thumbnail]
    return np.array(rows, np.int64)


@dataclass(frozen=True)
class Answers:
    """What a network says of the films that it was not trained on.

    Attributes
    ----------
    task : Task
    films : dict of str to list of Film
        Of "validation" and, where the split has one, "test".
    scores : dict of str to ndarray of float32, shape (films, findings)
        Logits for each of these parts, and for "photographed", photographs of its last one.
    """

    task: Task
    films: dict[str, list[Film]]
    scores: dict[str, np.ndarray]


def ask(network: Network, held_out: dict[str, HeldOut], task: Task) -> Answers:
    """Return what a network says of the parts that are held out."""
    scores = {part: task.scores(own.logits(network)) for part, own in held_out.items()}
    scores[PHOTOGRAPHED] = task.scores(list(held_out.values())[-1].photographed_logits(network))
    return Answers(task, {part: own.films for part, own in held_out.items()}, scores)


def write_predictions(path: Path, answers: Answers) -> None:
    """Write the logit of each finding for the films of each part."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["name", "part", *answers.task.findings])
        for part, films in answers.films.items():
            for film, row in zip(films, answers.scores[part], strict=True):
                writer.writerow([film.image, part, *(f"{value:.7g}" for value in row)])


def measure(root: Path, answers: Answers) -> dict:
    """Return the network's and the reference's figures on the test films, or where there are none on the others.

    Recipes are compared by "validation"; the test films are looked at once, for the card.

    Parameters
    ----------
    root : Path
        Folder of the films, where the reference's predictions may be.
    answers : Answers
    """
    part, films = list(answers.films.items())[-1]
    readers = {"float": answers.scores[part]}
    reference = read_reference(root / REFERENCE)
    if all(film.image in reference for film in films):
        known = np.array([reference[film.image] for film in films])
        readers["reference"] = known[:, [FINDINGS.index(finding) for finding in answers.task.findings]]
    result = {"part": part} | _report(films, answers.task, readers)
    photographed = {"float": answers.scores[PHOTOGRAPHED]}
    result[PHOTOGRAPHED] = _report(films, answers.task, photographed, resamples=200)
    result["within_source"] = _within_source(films, answers.task, readers)
    validation = {"float": answers.scores[VALIDATION]}
    result[VALIDATION] = _report(answers.films[VALIDATION], answers.task, validation, resamples=200)
    return result


def _report(films: list[Film], task: Task, readers: dict[str, np.ndarray], resamples: int = 1000) -> dict:
    labels = task.targets(label_array(films))
    return report(labels, readers, [film.patient for film in films], resamples, findings=task.findings)


def _within_source(tested: list[Film], task: Task, readers: dict[str, np.ndarray]) -> dict:
    """Return the figures on the test films of each large source alone, where no source can be recognised."""
    sources = np.array(source_names(tested))
    tables = {}
    for name in sorted(set(sources) - {OTHER_SOURCES}):
        rows = np.flatnonzero(sources == name)
        own = {reader: score[rows] for reader, score in readers.items()}
        tables[str(name)] = _report([tested[row] for row in rows], task, own, resamples=200)
    return tables
