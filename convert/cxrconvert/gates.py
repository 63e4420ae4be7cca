"""The gates between what was trained and what the box gets: how much a conversion may change, and whether it did."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cxrbundle.labels import readable

from cxrconvert.errors import GateError

LEAST_FILMS = 300
# Logits of the float stages: the same arithmetic in another order.
FLOAT_DIFFERENCE = 1e-4
# int8: published losses lie between 0 and .9 % (learning.md); with few positives chance alone moves a finding by more.
MEAN_AUC_LOSS, FINDING_AUC_LOSS = 0.002, 0.01
LOGIT_CORRELATION, MAP_CORRELATION = 0.995, 0.99
TORCH, REBUILT, INT8 = "export", "rebuild", "quantise"
WORDS = {"torch": "PyTorch", "onnx": "ONNX Runtime", "float": "TFLite float"}


@dataclass(frozen=True)
class Gate:
    """One gate and what was measured at it.

    Attributes
    ----------
    name : str
        What is measured.
    stage : str
        The stage that is held to it.
    value : float or None
        None where it could not be measured.
    bound : float
    least : bool
        Whether the bound is the least value that passes; else it is the largest.
    passed : bool
    """

    name: str
    stage: str
    value: float | None
    bound: float
    least: bool
    passed: bool

    def __str__(self) -> str:
        value = "could not be measured" if self.value is None else f"is {self.value:.4g}"
        return f"{self.name} {value}, it must be {'at least' if self.least else 'at most'} {self.bound:g}"


def find_gates(parity: dict[str, Any]) -> list[Gate]:
    """Return all gates with what the parity stage measured at them."""
    return list(_gates(parity))


def stop_at_failed(gates: list[Gate], layers: dict[str, str]) -> None:
    """Raise GateError with the first gate that was not passed.

    Parameters
    ----------
    gates : list of Gate
    layers : dict of str to str
        The layer at which the error of a stage enters, where that was looked for.
    """
    failed = [gate for gate in gates if not gate.passed]
    if not failed:
        return
    gate, more = failed[0], f" (and {len(failed) - 1} more gates failed)" if len(failed) > 1 else ""
    where = f"; the error enters at {layers[gate.stage]}" if gate.stage in layers else ""
    raise GateError(
        f"after stage {gate.stage} the {gate}{more}{where}; change the network or its training, or look at "
        "parity/report.json in the folder of the stages"
    )


def _gates(parity: dict[str, Any]) -> Iterator[Gate]:
    differences, films = parity["differences"], parity["films"]
    yield _at_least("number of films measured on", INT8, films, LEAST_FILMS)
    for name, stage in (("torch_onnx", TORCH), ("onnx_float", REBUILT)):
        pair = " and ".join(WORDS[part] for part in name.split("_"))
        yield _at_most(f"largest logit difference of {pair}", stage, differences[name]["max"], FLOAT_DIFFERENCE)
    yield _at_most("loss of mean AUC", INT8, _loss(parity["mean_auc_change"]), MEAN_AUC_LOSS)
    yield _worst_finding(parity)
    least = min(parity["logit_correlation"].items(), key=lambda item: -1 if item[1] is None else item[1])
    yield _at_least(f"logit correlation of {readable(least[0]).lower()}", INT8, least[1], LOGIT_CORRELATION)
    yield _at_least("median correlation of the class maps", INT8, parity["map_correlation_median"], MAP_CORRELATION)


def _loss(change: float | None) -> float | None:
    return None if change is None else -change


def _worst_finding(parity: dict[str, Any]) -> Gate:
    """Return the gate on the finding that loses most.

    With few positives chance alone moves a finding by more than the bound, so one fails only where its paired interval
    says that it lost more: where the bound lies outside.
    """
    known = {finding: of for finding, of in parity["auc_change"].items() if of["auc_change_95"] is not None}
    worst = max(known, key=lambda finding: -known[finding]["auc_change_95"][1], default=None)
    if worst is None:
        return _at_most("certain loss of a finding's AUC", INT8, None, FINDING_AUC_LOSS)
    name = f"certain loss of the AUC of {readable(worst).lower()} (the near end of its 95 % interval)"
    return _at_most(name, INT8, max(0.0, -known[worst]["auc_change_95"][1]), FINDING_AUC_LOSS)


def _at_most(name: str, stage: str, value: float | None, bound: float) -> Gate:
    return Gate(name, stage, value, bound, least=False, passed=value is not None and value <= bound)


def _at_least(name: str, stage: str, value: float | None, bound: float) -> Gate:
    return Gate(name, stage, value, bound, least=True, passed=value is not None and value >= bound)
