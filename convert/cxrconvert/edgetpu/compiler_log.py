"""Read the log of edgetpu_compiler 16.0 (its lines and statuses: coral-runtime.md)."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from cxrconvert.edgetpu.cost import HEAVY

MAPPED = "Mapped to Edge TPU"
STATUSES = (
    MAPPED,
    "More than one subgraph is not supported",
    "Operation is otherwise supported, but not mapped due to some unspecified limitation",
    "Operation is working on an unsupported data type",
    "Operation version not supported",
    "Operation not supported",
    "Tensor has unsupported rank (up to 3 innermost dimensions mapped)",
    "Filter, bias, or other param is not constant at compile-time",
)
FATAL = ("Model not quantized", "Model could not be parsed", "Internal compiler error. Aborting!", "ERROR: ")
UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}
SIZES = {
    "Input size": "input_bytes",
    "Output size": "output_bytes",
    "On-chip memory used for caching model parameters": "on_chip_bytes",
    "On-chip memory remaining for caching model parameters": "on_chip_remaining_bytes",
    "Off-chip memory used for streaming uncached model parameters": "off_chip_bytes",
}
COUNTS = {
    "Number of Edge TPU subgraphs": "subgraphs",
    "Total number of operations": "operations",
    "Number of operations that will run on Edge TPU": "on_tpu",
    "Number of operations that will run on CPU": "on_cpu",
}
NAMES = {"Input model": "input_model", "Output model": "output_model"}


@dataclass(frozen=True)
class Row:
    """A row of the table of operations; one operator can have several rows."""

    operator: str
    count: int
    status: str


@dataclass
class Segment:
    """What the log says of one output; None where it does not say."""

    input_model: str | None = None
    output_model: str | None = None
    input_bytes: int | None = None
    output_bytes: int | None = None
    on_chip_bytes: int | None = None
    on_chip_remaining_bytes: int | None = None
    off_chip_bytes: int | None = None
    subgraphs: int | None = None
    operations: int | None = None
    on_tpu: int | None = None
    on_cpu: int | None = None
    rows: list[Row] = field(default_factory=list)

    @property
    def mapped(self) -> int:
        """Operations on the TPU: as the table says."""
        return sum(row.count for row in self.rows if row.status == MAPPED)


@dataclass
class CompilerReport:
    """What a log of the compiler says.

    Attributes
    ----------
    version : str or None
        Of the compiler.
    milliseconds : int or None
        That compiling took; None unless it says that it succeeded.
    segments : list of Segment
        One, unless the model was cut into several (`-n`).
    errors : list of str
        Lines of fatal errors.
    """

    version: str | None = None
    milliseconds: int | None = None
    segments: list[Segment] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def succeeded(self) -> bool:
        """Whether the compiler says so: it also does where nothing runs on the TPU."""
        return self.milliseconds is not None and not self.errors

    def faults(self) -> list[str]:
        """Return why the result must not be used; empty where one subgraph has every heavy operation."""
        if not self.succeeded:
            return self.errors or ["the log of the compiler does not say that it succeeded"]
        if len(self.segments) != 1:
            return [f"the log speaks of {len(self.segments)} outputs instead of 1"]
        return list(_faults(self.segments[0]))


def parse_log(text: str) -> CompilerReport:
    """Return what a log says; lines that are not known are passed over.

    Parameters
    ----------
    text : str
        What edgetpu_compiler printed with -s, or its log file.
    """
    report = CompilerReport()
    in_table = False
    for line in map(str.strip, text.splitlines()):
        row = re.fullmatch(r"(\S+)\s+(\d+)\s+(\S.*)", line) if in_table else None
        if row:
            _segment(report).rows.append(Row(row[1], int(row[2]), row[3]))
        elif line:  # a blank line may stand between the head of the table and its rows
            in_table = re.fullmatch(r"Operator\s+Count\s+Status", line) is not None
            _read_line(report, line)
    return report


def _read_line(report: CompilerReport, line: str) -> None:
    if line.startswith(FATAL):
        report.errors.append(line)
    elif found := re.match(r"Edge TPU Compiler version (\S+)", line):
        report.version = found[1]
    elif found := re.match(r"Model compiled successfully in (\d+) ms", line):
        report.milliseconds = (report.milliseconds or 0) + int(found[1])
    elif found := re.fullmatch(r"([^:]+): (.+)", line):
        _read_pair(report, found[1], found[2])


def _read_pair(report: CompilerReport, label: str, value: str) -> None:
    """Read a line of a label and a value; an input model opens the next segment."""
    if label == "Input model":
        report.segments.append(Segment())
    if label in NAMES:
        setattr(_segment(report), NAMES[label], value)
    elif label in COUNTS and value.isdecimal():
        setattr(_segment(report), COUNTS[label], int(value))
    elif label in SIZES and (size := re.fullmatch(r"(\d+(?:\.\d+)?)\s*(B|KiB|MiB|GiB)", value)):
        setattr(_segment(report), SIZES[label], round(float(size[1]) * UNITS[size[2]]))


def _segment(report: CompilerReport) -> Segment:
    """Return the segment that lines now speak of; the log file has its table before any input model."""
    if not report.segments:
        report.segments.append(Segment())
    return report.segments[-1]


def _faults(segment: Segment) -> Iterator[str]:
    if not segment.rows:
        yield "the log has no table of operations, so it cannot be checked; let the compiler run with -s"
        return
    listed = sum(row.count for row in segment.rows)
    if segment.operations is not None and segment.operations != listed:
        yield f"the log counts {segment.operations} operations and its table {listed}"
    if not segment.mapped:
        yield "it compiled successfully, and no operation runs on the Edge TPU"
        return
    if segment.subgraphs != 1:
        yield f"it has {segment.subgraphs} Edge TPU subgraphs instead of 1"
    for row in segment.rows:
        if row.operator in HEAVY and row.status != MAPPED:
            yield f"{row.count} {row.operator} stayed on the CPU: {row.status}"
