"""Checkpoints: safetensors and JSON, never pickle, and never there in part."""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from cxrtrain.errors import RunError
from cxrtrain.learn.learner import Learner

FOLDER, STATE, BEST = "checkpoint", "state.json", "best.safetensors"


@dataclass
class Progress:
    """How far a training came.

    Attributes
    ----------
    phase : int
        Place of the phase in the recipe.
    epoch : int
        Epochs of that phase that are done.
    best : float
        Best validation AUC of the phase.
    waited : int
        Epochs since then.
    history : list of dict
        The rows of metrics.csv.
    scaler : dict
        State of the gradient scaler.
    """

    phase: int = 0
    epoch: int = 0
    best: float = -1.0
    waited: int = 0
    history: list[dict] = field(default_factory=list)
    scaler: dict = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Time trained so far."""
        return self.history[-1]["seconds"] if self.history else 0.0

    @property
    def steps(self) -> int:
        """Steps done so far."""
        return self.history[-1]["step"] if self.history else 0

    def enter(self, phase: int) -> None:
        """Begin a phase, or go on with the one that was cut off."""
        if phase != self.phase:
            self.phase, self.epoch, self.best, self.waited = phase, 0, -1.0, 0

    def add_epoch(self, name: str, facts: dict, group: dict, seconds: float) -> None:
        """Write down an epoch: what it gave, and the last rate and momentum of the optimiser's first group."""
        self.epoch += 1
        better = facts["validation_auc"] > self.best
        self.best, self.waited = (facts["validation_auc"], 0) if better else (self.best, self.waited + 1)
        self.history.append(
            {
                "phase": name,
                "epoch": len(self.history) + 1,
                "step": self.steps + facts["steps"],
                "rate": group["lr"],
                "momentum": group["betas"][0],
                "loss": facts["loss"],
                "validation_loss": facts["validation_loss"],
                "validation_auc": facts["validation_auc"],
                "films_per_second": round(facts["films_per_second"], 2),
                "seconds": round(self.seconds + seconds, 1),
            }
        )


def save_checkpoint(folder: Path, learner: Learner, progress: Progress, recipe: dict) -> None:
    """Write a checkpoint beside the last one, make it the one to go on from, and remove the last one."""
    folder = folder / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    progress.scaler = learner.scaler.state_dict()
    tensors = folder / f"state-{progress.phase}-{progress.epoch}.safetensors"
    _save(_weights(learner) | _moments(learner), tensors)
    state = {"tensors": tensors.name, "progress": asdict(progress), "recipe": recipe}
    new = folder / f"{STATE}.new"
    new.write_text(json.dumps(state, indent=1))
    new.replace(folder / STATE)
    for old in folder.glob("state-*.safetensors"):
        if old != tensors:
            old.unlink()


def save_best(folder: Path, learner: Learner) -> None:
    """Write the weights that validated best in this phase."""
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    _save(_weights(learner), folder / FOLDER / BEST)


def load_best(folder: Path, learner: Learner) -> None:
    """Go back to the weights that validated best in this phase."""
    load_weights(load_file(folder / FOLDER / BEST, device=str(learner.device)), learner)


def _save(tensors: dict[str, torch.Tensor], path: Path) -> None:
    """Write tensors as a whole or not at all; safetensors wants each one's own memory, in order."""
    new = path.with_suffix(".new")
    save_file({name: value.contiguous().clone() for name, value in tensors.items()}, new)
    new.replace(path)


def _weights(learner: Learner) -> dict[str, torch.Tensor]:
    named = {f"network.{name}": value for name, value in learner.network.state_dict().items()}
    if learner.averaged:
        named |= {f"averaged.{name}": value for name, value in learner.averaged.state_dict().items()}
    return named


def _moments(learner: Learner) -> dict[str, torch.Tensor]:
    return {
        f"optimiser.{index}.{name}": value
        for index, moments in learner.optimiser.state_dict()["state"].items()
        for name, value in moments.items()
    }


def read_progress(folder: Path, recipe: dict) -> tuple[Progress, dict[str, torch.Tensor]]:
    """Return where a training stopped and its tensors.

    Raises
    ------
    RunError
        If there is no checkpoint, or it is of another recipe.
    """
    path = folder / FOLDER / STATE
    try:
        state = json.loads(path.read_text())
        tensors = load_file(path.parent / state["tensors"])
    except (OSError, ValueError, SafetensorError) as err:
        raise RunError(f"{folder} has no checkpoint to go on from ({err}); start without --resume") from err
    if state["recipe"] != recipe:
        differ = [key for key in recipe if state["recipe"].get(key) != recipe[key]]
        raise RunError(f"{folder} was trained with other settings of {', '.join(differ)}; resume with its recipe.toml")
    return Progress(**state["progress"]), tensors


def load_weights(tensors: dict[str, torch.Tensor], learner: Learner) -> None:
    """Put the network and its moving average where the checkpoint had them."""
    learner.network.load_state_dict(_below(tensors, "network."))
    if learner.averaged:
        learner.averaged.load_state_dict(_below(tensors, "averaged."))


def load_moments(tensors: dict[str, torch.Tensor], progress: Progress, learner: Learner) -> None:
    """Put the optimiser and the scaler where the checkpoint had them, in the midst of a phase."""
    state = learner.optimiser.state_dict()
    state["state"] = {}
    for name, value in _below(tensors, "optimiser.").items():
        index, moment = name.split(".")
        state["state"].setdefault(int(index), {})[moment] = value
    learner.optimiser.load_state_dict(state)
    learner.scaler.load_state_dict(progress.scaler)


def _below(tensors: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
