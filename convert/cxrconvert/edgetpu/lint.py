"""Would the Edge TPU compiler take a model? Predicted from the flatbuffer alone, operator by operator."""

import enum
from collections import Counter
from dataclasses import dataclass

from cxrconvert.edgetpu.compiled import CUSTOM_OPERATOR, CompiledModel, is_compiled, read_compiled
from cxrconvert.edgetpu.conditions import EIGHT_BIT, is_float
from cxrconvert.edgetpu.cost import ON_CHIP, macs, parameter_bytes
from cxrconvert.edgetpu.graph import Graph, Operator, read_graph
from cxrconvert.edgetpu.latency import Prediction, predict
from cxrconvert.edgetpu.rules import Effect, Fault, find_faults
from cxrconvert.errors import NotForEdgeTpuError


class Verdict(enum.IntEnum):
    """How much of a model runs on the TPU; the value is the exit status of `cxrconvert lint`."""

    WHOLE = 0
    PARTLY = 1
    NOTHING = 2


@dataclass(frozen=True)
class Finding:
    """What the lint says of an operator.

    Attributes
    ----------
    operator : Operator
    macs : int
        Multiply-accumulates of one run.
    faults : tuple of Fault
    on_tpu : bool
        Whether it would run there: it may have no fault and still follow one that has.
    """

    operator: Operator
    macs: int
    faults: tuple[Fault, ...]
    on_tpu: bool


@dataclass(frozen=True)
class Report:
    """What the lint says of a model.

    Attributes
    ----------
    findings : tuple of Finding
        In the order in which operators run.
    quantised : bool
        Whether any activation has 8 bits.
    compiled : CompiledModel or None
        Where the compiler made the file: what it holds is then a fact, and not predicted.
    """

    findings: tuple[Finding, ...]
    quantised: bool
    compiled: CompiledModel | None

    @property
    def on_tpu(self) -> list[Finding]:
        """The operators that run on the TPU."""
        return [finding for finding in self.findings if finding.on_tpu]

    @property
    def verdict(self) -> Verdict:
        """How much runs on the TPU; a part without any of the work counts as nothing."""
        idle = not self.compiled and self.macs and not self.tpu_macs
        if not self.on_tpu or idle:
            return Verdict.NOTHING
        return Verdict.WHOLE if len(self.on_tpu) == len(self.findings) else Verdict.PARTLY

    @property
    def subgraphs(self) -> int:
        """Parts that run on the TPU: the compiler makes one at most, unless the file is compiled."""
        return self.compiled.subgraphs if self.compiled else min(len(self.on_tpu), 1)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the whole model."""
        return sum(finding.macs for finding in self.findings)

    @property
    def tpu_macs(self) -> int:
        """Multiply-accumulates on the TPU."""
        return sum(finding.macs for finding in self.on_tpu)

    @property
    def parameter_bytes(self) -> int:
        """Bytes of parameters on the TPU; those of a compiled model with its program."""
        if self.compiled:
            return self.compiled.program_bytes
        return parameter_bytes(finding.operator for finding in self.on_tpu)

    @property
    def off_chip_bytes(self) -> int:
        """Bytes of parameters that do not fit on the chip and stream in for every film, about."""
        return max(self.parameter_bytes - ON_CHIP, 0)

    @property
    def latency(self) -> Prediction | None:
        """The predicted latency of the TPU's part; None where there is no part to predict."""
        if self.compiled or self.verdict is Verdict.NOTHING:
            return None
        return predict(self.tpu_macs, self.parameter_bytes)


def lint(content: bytes) -> Report:
    """Return what the Edge TPU would run of a TFLite file.

    Raises
    ------
    NotTfliteError
        If the bytes are no TFLite file.
    """
    return lint_graph(read_graph(content))


def lint_graph(graph: Graph) -> Report:
    """Return what the Edge TPU would run of a graph."""
    if is_compiled(graph):
        parts = tuple(Finding(part, macs(part), (), part.name == CUSTOM_OPERATOR) for part in graph.operators)
        return Report(parts, quantised=True, compiled=read_compiled(graph))
    faults = [find_faults(operator) for operator in graph.operators]
    mapped = _partition(graph.operators, faults)
    findings = (Finding(o, macs(o), f, o.place in mapped) for o, f in zip(graph.operators, faults, strict=True))
    return Report(tuple(findings), any(_is_quantised(operator) for operator in graph.operators), compiled=None)


def _partition(operators: tuple[Operator, ...], faults: list[tuple[Fault, ...]]) -> range:
    """Return the places that run on the TPU: one run of operators, up to the first that it refuses.

    A QUANTIZE from float at the front does not count as that first one: the compiler leaves it on the CPU
    (coral.ai/docs/edgetpu/models-intro, "float input and output tensors").
    """
    effects = [{fault.rule.effect for fault in found} for found in faults]
    if any(Effect.MODEL in found for found in effects):
        return range(0)
    start = 0
    while start < len(operators) and operators[start].name == "QUANTIZE" and is_float(operators[start].input(0)):
        start += 1
    return range(start, next((i for i in range(start, len(operators)) if Effect.CPU in effects[i]), len(operators)))


def _is_quantised(operator: Operator) -> bool:
    return any(tensor.type in EIGHT_BIT and tensor.scales for tensor in operator.activations)


def check_for_edge_tpu(content: bytes) -> dict[str, int]:
    """Return how often each operator occurs in a body of which the Edge TPU would run the whole.

    Raises
    ------
    NotTfliteError
        If the bytes are no TFLite file.
    NotForEdgeTpuError
        With the first operator that it would not run, or the first end that is not uint8.
    """
    graph = read_graph(content)
    report = lint_graph(graph)
    if report.verdict is not Verdict.WHOLE:
        raise NotForEdgeTpuError(f"the body is not for an Edge TPU: {_why(report)}")
    for end in (*graph.inputs, *graph.outputs):
        if end.type != "uint8":
            raise NotForEdgeTpuError(f"{end.name!r}, an end of the body, is {end.type}; it must be uint8")
    return dict(sorted(Counter(operator.name for operator in graph.operators).items()))


def _why(report: Report) -> str:
    """Return the first fault for which an operator does not run on the TPU."""
    for finding in report.findings:
        for fault in finding.faults:
            if fault.rule.effect is not Effect.PERHAPS:
                return f"operator {finding.operator.place}, {finding.operator.name}: {fault.sentence}"
    return "it has no work for it"
