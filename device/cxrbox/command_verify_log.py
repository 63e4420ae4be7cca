"""`cxrbox verify-log`: prove that no result was altered, added or left out since it was entered."""

import json
from typing import Any

from cxrbox.ledger import NO_HASH
from cxrbox.settings import Settings
from cxrbox.store import Store, open_store


def run_verify_log(settings: Settings, as_json: bool) -> int:
    """Go through the ledger and say how it is; return 0 only if all of it is sound, else 1."""
    report = make_report(open_store(settings.state))
    print(json.dumps(report) if as_json else describe(report))
    return 0 if report["intact"] else 1


def make_report(store: Store) -> dict[str, Any]:
    """Return what `verify-log` says, for JSON."""
    number, last = 0, NO_HASH
    for entry in store.ledger():
        number, last = entry.number, entry.hash
    fault = store.find_fault()
    wrong = {"entry": fault.number, "reason": fault.reason} if fault else None
    return {"entries": number, "last_hash": last, "intact": fault is None, "fault": wrong}


def describe(report: dict[str, Any]) -> str:
    """Return a report for people."""
    if fault := report["fault"]:
        return f"entry {fault['entry']} is the first that is wrong: {fault['reason']}; keep a copy of the state folder"
    return (
        f"{report['entries']} entries, all sound; the last has the hash {report['last_hash']}\n"
        "Write it down elsewhere: it proves later that nothing up to here was made anew."
    )
