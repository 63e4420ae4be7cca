"""`cxrbox replay`: read a film again and compare with what the ledger says was read."""

import json
from pathlib import Path
from typing import Any

import numpy as np

from cxrbox.errors import FilmError, RefusedError
from cxrbox.ledger import Entry
from cxrbox.originals import whole_original
from cxrbox.reading import GOLDEN_TOLERANCE, Reader, open_reader
from cxrbox.settings import Settings
from cxrbox.store import Store, open_store

# The same body on the same backend gives the same logits; they are kept with five digits. Other kernels may differ
# as much as a golden film may.
SAME_BACKEND_TOLERANCE = 0.001


def run_replay(settings: Settings, film: int, as_json: bool) -> int:
    """Read a film again and print how it compares; return 0 only if its result was reproduced, else 1.

    Raises
    ------
    FilmError
        If there is no such film, it has no result, or its original is not kept.
    """
    report = replay(open_store(settings.state), open_reader(settings), film)
    print(json.dumps(report) if as_json else describe(report))
    return 0 if report["reproduced"] else 1


def replay(store: Store, reader: Reader, film: int) -> dict[str, Any]:
    """Return what `replay` says, for JSON; `reproduced` is None where another bundle leaves nothing to compare."""
    entry = store.last_result(film)
    if entry is None or entry.facts["logits"] is None:
        raise FilmError(f"film {film} has no result with logits to compare with; read it again instead")
    then = entry.facts
    original = _find_original(store, film)
    try:
        reading = reader.read(original, then["source"], then["overridden"])
    except RefusedError as refusal:
        return _refused_now(entry, reader, refusal)
    now = reader.describe(reading)
    same = now["bundle_sha256"] == then["bundle_sha256"]
    difference = float(np.abs(reading.logits - np.array(then["logits"])).max()) if same else None
    tolerance = SAME_BACKEND_TOLERANCE if now["backend"] == then["backend"] else GOLDEN_TOLERANCE
    changed = [key for key in ("bundle_sha256", "thresholds_sha256", "code_sha256", "backend") if now[key] != then[key]]
    return {
        "film": film,
        "entry": entry.number,
        "bundle": {"then": then["bundle"], "now": now["bundle"]},
        "changed": changed,
        "difference": None if difference is None else round(difference, 5),
        "tolerance": tolerance,
        "reproduced": None if difference is None else difference <= tolerance,
        "findings": {"then": _states(store.film(film)["reading"]["findings"]), "now": _states(reading.findings)},
    }


def _refused_now(entry: Entry, reader: Reader, refusal: RefusedError) -> dict[str, Any]:
    """Return what `replay` says of a film that is refused now."""
    return {
        "film": entry.film,
        "entry": entry.number,
        "bundle": {"then": entry.facts["bundle"], "now": reader.bundle.title},
        "refused": {"code": refusal.code, "reason": refusal.reason},
        "reproduced": False,
    }


def _find_original(store: Store, film: int) -> Path:
    """Return where a film's original lies, once that is known to be the one of then."""
    row = store.film(film)
    if row["original_at"] is None:
        raise FilmError(f"the original of film {film} was removed, only its result is kept; send the film again")
    path = whole_original(store, row)
    if path is None:
        raise FilmError(f"the original of film {film} is not the file that was read; look after the disk")
    return path


def _states(findings: dict[str, dict]) -> dict[str, str]:
    return {name: of["state"] for name, of in findings.items()}


def describe(report: dict[str, Any]) -> str:
    """Return a report for people."""
    if refusal := report.get("refused"):
        return (
            f"film {report['film']} NOT reproduced: it is refused now by {report['bundle']['now']}, {refusal['reason']}"
        )
    film, then, now = report["film"], report["findings"]["then"], report["findings"]["now"]
    moved = [f"{name} {then[name]} -> {now[name]}" for name in then if then[name] != now[name]]
    states = f"states: {', '.join(moved) or 'all as then'}"
    if report["reproduced"] is None:
        bundle = report["bundle"]
        return f"film {film} was read with another bundle ({bundle['then']}, now {bundle['now']}); {states}"
    verdict = "reproduced" if report["reproduced"] else "NOT reproduced"
    other = f"; another {', '.join(report['changed'])}" if report["changed"] else ""
    return (
        f"film {film} {verdict}: logits differ by {report['difference']:.5f}"
        f" (allowed {report['tolerance']}){other}; {states}"
    )
