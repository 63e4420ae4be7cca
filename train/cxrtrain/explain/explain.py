"""Explain a run: its figures, where the heat of its maps lies, and how well they localise.

explanation.json says what was found:

- part, methods, input_size: what was looked at, and how;
- border: the width of the frame, and the share of its area, which an even map would have of its heat there;
- findings, by name: films and films_with (in the part), average_precision (of them), border_share (of each
  method, the mean over the best-scored films with the finding that have heat), border_films (how many of these
  have heat by some method), films_with_heat (by each method);
  shown: of each film that was drawn its name, has_finding, score, border_share, and the file names of its
  triplet and of its sheet of all methods, each a PNG with an SVG beside it;
- localisation: null without --boxes; else the list, films (in_list, used, and why the others were not), cases,
  levels, overlaps, random_seeds, and tables: of each method, of "random" and of "centre" a row "overall" and one
  for each finding with cases, pointing, iou and iobb by overlap, each with right, share and interval_95.

What is not known is null: a share of no heat, the precision of no film, the count and interval of random maps.
"""

import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from cxrbundle.labels import readable
from cxrbundle.scores import sigmoid
from sklearn.metrics import average_precision_score
from torch import nn
from tqdm import tqdm

from cxrtrain.data.tasks import Task
from cxrtrain.errors import RecipeError, RunError
from cxrtrain.explain.boxed import measure_localisation
from cxrtrain.explain.choose import best_scored, check_images, held_out, load_films, make_inputs
from cxrtrain.explain.figures import BORDER, Example, draw_methods, draw_triplet
from cxrtrain.explain.maps import film_heats, methods_of
from cxrtrain.explain.settings import FOLDER, ExplainSettings
from cxrtrain.networks.network import Network, load_network
from cxrtrain.report.run_folder import FinishedRun, Predictions, read_run

log = logging.getLogger(__name__)
SCHEMA, EXPLANATION = 1, "explanation.json"


def explain_run(settings: ExplainSettings) -> dict:
    """Write the figures and explanation.json, and return what stands in it; the module says what that is.

    Films appear in the figures, so their folder is as confidential as the films are.

    Raises
    ------
    RunError
        If the run cannot be read, or the folder not be written.
    FilmsError
        If a film was trained on, is not of the part, or cannot be read; or the boxes cannot.
    RecipeError
        If the task or the head has not what is asked for.
    """
    run = read_run(settings.run)
    films = held_out(run, settings.part)
    check_images(run, settings.part, settings.images)
    network = load_explained(run)
    findings, methods = _choose(settings, run, network)
    localisation = measure_localisation(settings, run, network, methods) if settings.boxes else None
    output = _make_folder(settings.output or settings.run / FOLDER)
    explainer = Explainer(settings, network, films, methods, run.recipe.input_size, output)
    result = {
        "schema": SCHEMA,
        "part": settings.part,
        "methods": list(methods),
        "input_size": run.recipe.input_size,
        "border": {"width": BORDER, "area_share": round(1 - (1 - 2 * BORDER) ** 2, 4)},
        "findings": {finding: explainer.explain(finding) for finding in tqdm(findings, unit="finding")},
        "localisation": localisation,
    }
    new = output / f"{EXPLANATION}.new"
    new.write_text(json.dumps(result, indent=2, allow_nan=False) + "\n", "utf-8")
    new.replace(output / EXPLANATION)
    log.info("%s: films appear in its figures; keep it where the films may be kept", output)
    return result


def load_explained(run: FinishedRun) -> Network:
    """Return the network of a run with one logit for each finding.

    Cross-entropy has two, "without" and "with"; their difference is the logit, and both heads end linearly.
    """
    network = load_network(run.folder)
    task = Task.of(run.recipe.task, run.recipe.loss)
    if task.outputs != len(task.findings):
        answer = network.head.answer
        for name in ("weight", "bias"):
            without, with_finding = getattr(answer, name).detach()
            setattr(answer, name, nn.Parameter((with_finding - without)[None]))
    return network


def _choose(settings: ExplainSettings, run: FinishedRun, network: Network) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the findings and the methods to explain with."""
    scored, allowed = run.predictions.findings, methods_of(network)
    if unknown := [finding for finding in settings.findings if finding not in scored]:
        raise RecipeError(f"--finding {unknown[0]} is not scored by {run.folder}, only {', '.join(scored)}")
    if unknown := [method for method in settings.methods if method not in allowed]:
        raise RecipeError(f"--method {unknown[0]} is not to be had of this head, only {', '.join(allowed)}")
    if settings.limit < 1:
        raise RecipeError(f"--limit {settings.limit} leaves no film; name 1 or more")
    return settings.findings or scored, settings.methods or allowed


def _make_folder(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as err:
        raise RunError(f"{folder} cannot be written ({err.strerror}); name another with -o") from err
    return folder


@dataclass(frozen=True)
class Explainer:
    """What every finding of a run is explained with.

    Attributes
    ----------
    films : Predictions
        Of the part.
    size : int
        Side of the network's input, in pixels.
    output : Path
        Folder of the figures.
    """

    settings: ExplainSettings
    network: Network
    films: Predictions
    methods: tuple[str, ...]
    size: int
    output: Path

    def explain(self, finding: str) -> dict:
        """Return the facts of one finding, and draw its figures."""
        with_finding = best_scored(self.films, finding)
        measured = with_finding[: self.settings.limit]
        shown = self.settings.images or measured[:1]
        everyone = self.films.of([film.image for film in self.films.films], (finding,))
        truth, logits = everyone.labels[:, 0], everyone.logits[:, 0]
        if not with_finding:
            log.warning("no %s film has %s: there is no curve and no best film", self.settings.part, readable(finding))
        examples = self._look_at(finding, list(dict.fromkeys([*shown, *measured])))
        shares = [examples[image].border_shares for image in measured]
        return {
            "films": len(truth),
            "films_with": len(with_finding),
            "average_precision": round(float(average_precision_score(truth, logits)), 4) if with_finding else None,
            "border_films": sum(any(share is not None for share in own.values()) for own in shares),
            "films_with_heat": {method: sum(own[method] is not None for own in shares) for method in self.methods},
            "border_share": {method: _mean([own[method] for own in shares]) for method in self.methods},
            "shown": [self._draw(examples[image], truth, logits) for image in shown],
        }

    def _look_at(self, finding: str, images: list[str]) -> dict[str, Example]:
        """Return the heat of films by every method, by the film's name."""
        if not images:
            return {}
        own = self.films.of(images, (finding,))
        greys = load_films(self.settings.films, own.films)
        inputs = make_inputs(own.films, greys, self.size)
        column = self.films.findings.index(finding)
        heats = film_heats(self.network, inputs, column, self.methods)
        return {
            image: Example(
                image=image,
                finding=finding,
                has_finding=bool(own.labels[row, 0]),
                logit=float(own.logits[row, 0]),
                grey=greys[row],
                heats={method: heat[row] for method, heat in heats.items()},
            )
            for row, image in enumerate(images)
        }

    def _draw(self, example: Example, truth: np.ndarray, logits: np.ndarray) -> dict:
        """Draw the figures of one film and return its facts."""
        name = f"{example.finding}-{Path(example.image).stem}"
        draw_triplet(example, truth, logits, self.output / f"triplet-{name}")
        draw_methods(example, self.output / f"methods-{name}")
        return {
            "film": example.image,
            "has_finding": example.has_finding,
            "score": round(float(sigmoid(example.logit)), 4),
            "border_share": example.border_shares,
            "triplet": f"triplet-{name}.png",
            "sheet": f"methods-{name}.png",
        }


def _mean(shares: list[float | None]) -> float | None:
    """Return the mean of what is known, None where nothing is."""
    known = [share for share in shares if share is not None]
    return round(float(np.mean(known)), 4) if known else None
