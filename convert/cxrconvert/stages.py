"""Run a conversion stage by stage: each writes its artefacts and a report, and one that is up to date is not run again.

A stage's folder appears complete or not at all. Its report names what it was made from (a digest over the settings
that it reads, the code, and everything made before it) and the SHA-256 of every artefact; a stage is up to date as
long as both still hold.
"""

import hashlib
import json
import logging
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cxrbundle.provenance import code_version

from cxrconvert.errors import ConvertError, OutputError

log = logging.getLogger(__name__)
REPORT = "report.json"


@dataclass(frozen=True)
class Stage:
    """One step of a conversion.

    Attributes
    ----------
    name : str
        Also of its folder.
    run : callable
        Takes the job and an empty folder, writes its artefacts there and returns its facts for the report.
    reads : callable
        Takes the job and returns what else the stage depends on, as a JSON value.
    gate : callable
        Takes the job and the facts; raises a ConvertError where they must stop the conversion.
    always : bool
        Run even if it is up to date: what it makes lies elsewhere too.
    """

    name: str
    run: Callable[[Any, Path], dict[str, Any]]
    reads: Callable[[Any], Any] = lambda job: None
    gate: Callable[[Any, dict[str, Any]], None] = lambda job, facts: None
    always: bool = False


@dataclass(frozen=True)
class Work:
    """Where the stages of one conversion keep what they made.

    Attributes
    ----------
    folder : Path
        A folder for each stage, named after it.
    """

    folder: Path

    def path(self, stage: str, name: str) -> Path:
        """Return the path of an artefact."""
        return self.folder / stage / name

    def facts(self, stage: str) -> dict[str, Any]:
        """Return what a stage that has run reported."""
        return self.report(stage)["facts"]

    def report(self, stage: str) -> dict[str, Any]:
        """Return the report of a stage; empty where it has not run, or its report is damaged."""
        try:
            found = json.loads(self.path(stage, REPORT).read_text("utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def reports(self) -> dict[str, dict[str, Any]]:
        """Return the reports of all stages that have run, by name, in their order."""
        found = [self.report(path.parent.name) for path in self.folder.glob(f"[!.]*/{REPORT}")]
        return {report["stage"]: report for report in sorted(found, key=lambda report: report["finished"])}


def run_stages(
    stages: Iterable[Stage], job: Any, work: Work, until: str | None = None, again: str | None = None
) -> None:
    """Run the stages that are not up to date, in their order.

    Parameters
    ----------
    stages : iterable of Stage
    job : Any
        Handed to every stage.
    work : Work
    until : str or None
        The last stage to run.
    again : str or None
        A stage to run even if it is up to date, and all that follow with it.

    Raises
    ------
    ConvertError
        From a stage or its gate; stages that ran before keep what they made.
    OutputError
        If the folder of the work cannot be written.
    """
    for leftover in work.folder.glob(".*"):  # of a conversion that was killed
        shutil.rmtree(leftover, ignore_errors=True)
    before, again_from_here = "", False
    for stage in stages:
        again_from_here = again_from_here or stage.name == again
        inputs = _digest([before, code_version(), stage.reads(job)])
        report = work.report(stage.name)
        if again_from_here or stage.always or not _is_up_to_date(work.folder / stage.name, report, inputs):
            log.info("stage %s", stage.name)
            report = _run(stage, job, work, inputs)
        else:
            log.info("stage %s is up to date", stage.name)
        stage.gate(job, report["facts"])
        if stage.name == until:
            return
        before = _digest([inputs, report["files"]])


def _is_up_to_date(folder: Path, report: dict[str, Any], inputs: str) -> bool:
    if report.get("inputs") != inputs:
        return False
    return all(_file_digest(folder / name) == digest for name, digest in report["files"].items())


def _run(stage: Stage, job: Any, work: Work, inputs: str) -> dict[str, Any]:
    """Run one stage and return its report."""
    started = time.monotonic()
    try:
        work.folder.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{stage.name}.", dir=work.folder))
    except OSError as err:
        raise OutputError(f"{work.folder} cannot be written ({err.strerror}); name another folder with --work") from err
    try:
        facts = stage.run(job, new)
        report = {
            "stage": stage.name,
            "inputs": inputs,
            "code": code_version(),
            "seconds": round(time.monotonic() - started, 1),
            "finished": time.time(),
            # Of the whole process until now: the stages before it count too.
            "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
            "facts": facts,
            "files": {path.name: _file_digest(path) for path in sorted(new.iterdir())},
        }
        (new / REPORT).write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", "utf-8")
        _replace(work.folder / stage.name, new)
    except ConvertError:  # some of them are OSErrors too
        raise
    except OSError as err:
        raise OutputError(f"{work.folder} cannot be written ({err.strerror}); name another folder with --work") from err
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return report


def _replace(folder: Path, new: Path) -> None:
    """Put a new folder in the place of one that may be there."""
    shutil.rmtree(folder, ignore_errors=True)
    new.rename(folder)


def _file_digest(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return None


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
