"""What happened, step by step: a line each while it runs, and a JSON file in the end."""

import contextlib
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path


class Skipped(Exception):
    """A step cannot be tried here; the message says why."""


@dataclass
class Step:
    """One step and what became of it.

    Attributes
    ----------
    outcome : str
        "ok", "failed" or "skipped".
    seconds : float
    reason : str
        Why it failed or was skipped.
    facts : dict
        What was counted or measured.
    """

    name: str
    outcome: str = "ok"
    seconds: float = 0.0
    reason: str = ""
    facts: dict = field(default_factory=dict)


class Report:
    """All steps of a run.

    Parameters
    ----------
    path : Path
        The JSON file; it is written after every step, so that a run that is ended leaves what it has.
    """

    def __init__(self, path: Path):
        self.path = path
        self.steps: list[Step] = []
        self._started = time.monotonic()

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[dict]:
        """Run the body as a step of this name; what it puts into the given dict is reported with it."""
        step = Step(name)
        started = time.monotonic()
        try:
            yield step.facts
        except Skipped as reason:
            step.outcome, step.reason = "skipped", str(reason)
        except Exception as err:
            step.outcome, step.reason = "failed", f"{type(err).__name__}: {err}"
            traceback.print_exc()
        step.seconds = round(time.monotonic() - started, 1)
        self.steps.append(step)
        print(self._line(step), flush=True)
        self.write()

    def _line(self, step: Step) -> str:
        reason = f" ({step.reason.splitlines()[0]})" if step.reason else ""
        facts = "".join(f"; {name}: {value}" for name, value in step.facts.items())
        passed = time.monotonic() - self._started
        return f"[{passed:6.0f} s] {step.outcome:7} {step.seconds:6.1f} s  {step.name}{reason}{facts}"

    @property
    def all_well(self) -> bool:
        """Whether no step failed or was skipped."""
        return all(step.outcome == "ok" for step in self.steps)

    @property
    def failed(self) -> bool:
        """Whether any step failed."""
        return any(step.outcome == "failed" for step in self.steps)

    def write(self) -> None:
        """Write all steps so far, with what a time cannot be understood without."""
        told = {
            "host": platform.machine(),
            "cores": len(os.sched_getaffinity(0)),
            "load": os.getloadavg()[0],
            "python": sys.version.split()[0],
            "seconds": round(time.monotonic() - self._started),
            "steps": [asdict(step) for step in self.steps],
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(told, indent=2) + "\n")
