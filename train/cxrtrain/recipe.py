"""A recipe: every setting of a training, in one typed place.

It is read from a TOML file (train/configs/), any value may be replaced on the command line, and the
resolved recipe is stored with the run.
"""

import tomllib
from pathlib import Path
from typing import Any, Literal

import tomli_w
from cxrbundle.labels import FINDINGS
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cxrtrain.errors import RecipeError


class Section(BaseModel):
    """A table of the recipe; a key that it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSettings(Section):
    """Which films stand in which part."""

    split: Literal["reference", "official", "patient", "paper"] = Field(
        "official", description="split; 'reference' tests on patients the reference DenseNet-121 never saw"
    )
    split_seed: int = Field(1, ge=0, description="seed of the draw of patients")
    folds: int = Field(8, ge=2, description="one of so many parts of the patients who are not tested on validates")
    fold: int = Field(0, ge=0, description="which of them")


class TaskSettings(Section):
    """What is to be told apart."""

    kind: Literal["multi-label", "one-vs-all"] = Field("multi-label", description="all 14 findings, or one of them")
    finding: Literal[FINDINGS] = Field("Pneumothorax", description="finding of one-vs-all")
    normal_films: bool = Field(True, description="train on films without a finding too (the paper left them out)")


class TransformSettings(Section):
    """How films are changed in training."""

    preset: Literal["none", "edge", "paper", "film"] = Field("edge", description="set of random changes")
    mixup: float = Field(0.4, ge=0, description="Beta parameter of blending two films (Zhang et al., 2018); 0: none")


class NetworkSettings(Section):
    """The network."""

    name: Literal["densenet121", "mobilenet_v2", "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"] = (
        Field("efficientnet_lite0", description="body")
    )
    head: Literal["class-map", "concat-pool"] = Field("class-map", description="head; concat-pool is the paper's")
    weights: Literal["package", "hub", "file", "none"] = Field(
        "package", description="where the body's first weights come from; none: random"
    )
    weights_file: str = Field("", description="safetensors file of a body or a whole network, for weights = 'file'")
    dropout: float = Field(0.2, ge=0, lt=1, description="share of channels dropped before a class-map head")
    drop_path: float = Field(0.2, ge=0, lt=1, description="share of residual blocks left out in a step")
    bound: bool = Field(False, description="end every ReLU at 6, as int8 wants; only densenet121 does not by itself")
    edge: bool = Field(True, description="refuse a network that an Edge TPU cannot run")


class LossSettings(Section):
    """What a wrong answer costs."""

    kind: Literal["bce", "cross-entropy", "focal", "asymmetric"] = Field(
        "bce", description="cross-entropy (eq. 1.2) is for one-vs-all only"
    )
    positive_weights: Literal["none", "balanced", "paper"] = Field(
        "none", description="weights of the classes: none, n / (K n_c) (eq. 1.1), or the paper's co-occurrence"
    )
    focus: float = Field(2.0, ge=0, description="exponent for easy films (focal), easy negatives (asymmetric)")
    source_free: bool = Field(False, description="weigh films so that no finding depends on their source")


class OptimiserSettings(Section):
    """How the weights are moved."""

    kind: Literal["adam", "adamw"] = Field("adamw", description="adam adds the decay to the gradient")
    rate: float = Field(1.5e-3, gt=0, description="top learning rate of the head")
    body_rate: float = Field(0.35, gt=0, le=1, description="the body's share of it")
    weight_decay: float = Field(0.05, ge=0, description="decoupled from the rate with adamw")
    beta1: float = Field(0.9, ge=0, lt=1, description="momentum where the schedule has none of its own")
    beta2: float = Field(0.999, ge=0, lt=1, description="decay of the mean square of the gradient")
    clip: float = Field(2.0, gt=0, description="largest norm of the gradient")
    average: float = Field(0.99, ge=0, lt=1, description="decay of the moving average of the weights; 0: none")


class ScheduleSettings(Section):
    """How learning rate and momentum go over a phase."""

    kind: Literal["warm-cosine", "one-cycle"] = Field("warm-cosine", description="one-cycle is the paper's (Fig. 5)")
    warm: float = Field(0.15, gt=0, lt=1, description="share of the steps up to the top rate")


class PhaseSettings(Section):
    """A phase of training."""

    epochs: int = Field(ge=0, description="epochs; 0 leaves the phase out")
    size: int = Field(224, ge=32, le=1024, description="side of the input, in pixels")
    thumbnails: bool = Field(False, description="train on thumbnails too")
    head_only: bool = Field(False, description="freeze the body")
    rate_share: float = Field(1.0, gt=0, le=1, description="share of the optimiser's rate")


class RunSettings(Section):
    """How the computer is used."""

    seed: int = Field(1, ge=0, description="of the first weights, the films' order and their changes")
    batch: int = Field(32, ge=2, description="films a step, over all processes together")
    precision: Literal["fp32", "bf16", "fp16"] = Field("bf16", description="of the products in a step")
    patience: int = Field(0, ge=0, description="end a phase after so many epochs without a better validation; 0: never")
    compile: bool = Field(False, description="torch.compile the network")


class Recipe(Section):
    """All settings of a training."""

    data: DataSettings = DataSettings()
    task: TaskSettings = TaskSettings()
    transforms: TransformSettings = TransformSettings()
    network: NetworkSettings = NetworkSettings()
    loss: LossSettings = LossSettings()
    optimiser: OptimiserSettings = OptimiserSettings()
    schedule: ScheduleSettings = ScheduleSettings()
    first: PhaseSettings = PhaseSettings(epochs=12, size=160, thumbnails=True)
    second: PhaseSettings = PhaseSettings(epochs=8)
    run: RunSettings = RunSettings()

    @property
    def phases(self) -> list[tuple[str, PhaseSettings]]:
        """The phases that have epochs, in their order, with their names."""
        both = [("first", self.first), ("second", self.second)]
        return [(name, phase) for name, phase in both if phase.epochs]

    @property
    def input_size(self) -> int:
        """Side of the trained network's input, in pixels: that of the last phase."""
        return self.phases[-1][1].size if self.phases else self.second.size

    @model_validator(mode="after")
    def _settings_fit_each_other(self) -> "Recipe":
        if self.data.fold >= self.data.folds:
            raise ValueError(f"data.fold {self.data.fold} must be below data.folds {self.data.folds}")
        if self.loss.kind == "cross-entropy" and self.task.kind != "one-vs-all":
            raise ValueError("loss.kind cross-entropy has one answer a film, so task.kind must be one-vs-all")
        if (self.network.weights == "file") != bool(self.network.weights_file):
            raise ValueError("network.weights_file names a file exactly if network.weights is 'file'")
        if not self.phases and self.network.weights != "file":
            raise ValueError("first.epochs and second.epochs are both 0: there is nothing to train")
        return self


def read_recipe(path: Path, replaced: dict[str, str] | None = None) -> Recipe:
    """Read a recipe; REPLACED maps "section.key" to the text of a value.

    Raises
    ------
    RecipeError
        If the file is no TOML, or a key or value is not one of a recipe.
    """
    try:
        tables = tomllib.loads(path.read_text("utf-8"))
    except OSError as err:
        raise RecipeError(f"{path} cannot be read ({err.strerror}); name a file of train/configs") from err
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise RecipeError(f"{path} is not TOML ({err})") from err
    return make_recipe(tables, str(path), replaced)


def make_recipe(tables: dict[str, Any], origin: str, replaced: dict[str, str] | None = None) -> Recipe:
    """Return the recipe of nested tables; what they do not say is as in edge-default.

    Raises
    ------
    RecipeError
        With one sentence on the first fault.
    """
    whole = Recipe().model_dump()
    for name, table in tables.items():
        whole[name] = whole.get(name, {}) | table if isinstance(table, dict) else table
    for name, value in (replaced or {}).items():
        section, key = name.split(".")
        whole[section][key] = value
    try:
        return Recipe.model_validate(whole)
    except ValidationError as err:
        first = err.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"]))
        message = "is no setting of a recipe" if first["type"] == "extra_forbidden" else first["msg"]
        raise RecipeError(f"{origin}: {place} {message}".replace("  ", " ")) from err


def write_recipe(recipe: Recipe, path: Path) -> None:
    """Write all settings as TOML."""
    path.write_text(tomli_w.dumps(recipe.model_dump(mode="json")), "utf-8")


def all_settings() -> dict[str, Any]:
    """Return the field of every setting by its name "section.key"."""
    return {
        f"{section}.{key}": field
        for section, table in Recipe.model_fields.items()
        for key, field in table.annotation.model_fields.items()
    }
