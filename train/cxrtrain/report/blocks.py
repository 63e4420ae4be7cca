"""What a report is built of: sections of text, tables, pictures and commands."""

import base64
from dataclasses import dataclass
from pathlib import Path

# Stands where a figure cannot be computed, such as the AUC of a finding that no test film has.
NOTHING = "-"


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    words: str
    kind: str = "text"


@dataclass(frozen=True)
class Missing:
    """A part that is left out, and the command that makes it."""

    words: str
    command: str
    kind: str = "missing"


@dataclass(frozen=True)
class Table:
    """A table whose first column names the rows; the last row is set apart if it is a mean or a total."""

    caption: str
    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    total: bool = False
    # Columns of words, not of numbers, are set to the left.
    words: bool = False
    kind: str = "table"


@dataclass(frozen=True)
class Picture:
    """A figure, at most so many millimetres wide in print."""

    caption: str
    path: Path
    width: int = 170
    kind: str = "picture"

    @property
    def data(self) -> str:
        """The PNG as a data URI, so that the report needs no other file."""
        return "data:image/png;base64," + base64.b64encode(self.path.read_bytes()).decode("ascii")


@dataclass(frozen=True)
class Commands:
    """Command lines."""

    lines: list[str]
    kind: str = "commands"


Block = Text | Missing | Table | Picture | Commands


@dataclass(frozen=True)
class Section:
    """A part of the report.

    Attributes
    ----------
    name : str
        Its anchor.
    """

    name: str
    title: str
    blocks: list[Block]


def number(value: float | None, digits: int = 3) -> str:
    """Return a number as text; None and NaN as `NOTHING`."""
    return NOTHING if value is None or value != value else f"{value:.{digits}f}"


def bounds(interval: list[float] | None) -> str:
    """Return a 95 % interval as text."""
    return NOTHING if interval is None else f"{interval[0]:.3f} to {interval[1]:.3f}"


def percent(share: float) -> str:
    """Return a share as per cent."""
    return f"{100 * share:.1f} %"
