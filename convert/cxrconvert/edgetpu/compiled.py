"""What stands in a file that the Edge TPU compiler made."""

from collections import Counter
from dataclasses import dataclass

from cxrconvert.edgetpu.cost import HEAVY
from cxrconvert.edgetpu.graph import Graph, Operator
from cxrconvert.errors import NotCompiledError

# The operator that holds what runs on the TPU (google-coral/libedgetpu, edgetpu.h, kCustomOp).
CUSTOM_OPERATOR = "edgetpu-custom-op"
# The identifier of Darwinn's flatbuffer, and the byte of customOptions at which it stands (coral-runtime.md).
MARK, MARK_AT = b"DWN1", 12


@dataclass(frozen=True)
class CompiledModel:
    """A compiled model.

    Attributes
    ----------
    subgraphs : int
        Parts that run on the Edge TPU.
    marked : bool
        Whether each carries the mark of the compiler's format.
    program_bytes : int
        Of all parts, parameters included.
    cpu_operators : dict of str to int
        The operators that stay on the CPU, with counts.
    """

    subgraphs: int
    marked: bool
    program_bytes: int
    cpu_operators: dict[str, int]

    def faults(self) -> tuple[str, ...]:
        """Return why the box should not run it on a TPU: parts, mark, work left to the CPU."""
        heavy = [f"{count} {name}" for name, count in self.cpu_operators.items() if name in HEAVY]
        found = {
            f"it has {self.subgraphs} Edge TPU subgraphs instead of 1": self.subgraphs != 1,
            f"an {CUSTOM_OPERATOR} lacks the mark {MARK.decode()} at byte {MARK_AT}": not self.marked,
            f"{', '.join(heavy)} stayed on the CPU": bool(heavy),
        }
        return tuple(sentence for sentence, wrong in found.items() if wrong)


def is_compiled(graph: Graph) -> bool:
    """Whether the Edge TPU compiler made a file."""
    return any(operator.name == CUSTOM_OPERATOR for operator in graph.operators)


def read_compiled(graph: Graph) -> CompiledModel:
    """Return what stands in a compiled model.

    Raises
    ------
    NotCompiledError
        If it has no operator for the Edge TPU.
    """
    if not is_compiled(graph):
        raise NotCompiledError(f"the file has no {CUSTOM_OPERATOR}, so nothing of it runs on an Edge TPU; compile it")
    parts = [operator for operator in graph.operators if operator.name == CUSTOM_OPERATOR]
    others = Counter(operator.name for operator in graph.operators if operator.name != CUSTOM_OPERATOR)
    marked = all(_is_marked(part) for part in parts)
    return CompiledModel(len(parts), marked, sum(len(part.custom) for part in parts), dict(sorted(others.items())))


def _is_marked(part: Operator) -> bool:
    return part.custom[MARK_AT : MARK_AT + len(MARK)] == MARK
