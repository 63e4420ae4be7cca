"""Run in the guest, as root: say as JSON what became of all films, past the box's own code."""

import hashlib
import json
import sqlite3
import sys
from pathlib import Path

state = Path(sys.argv[1])
db = sqlite3.connect(f"file:{state / 'box.sqlite'}?mode=ro", uri=True)


def whole(sha256):
    """Whether an original is there, byte for byte."""
    path = state / "originals" / sha256[:2] / sha256
    return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == sha256


films = db.execute("SELECT sha256, state, refusal_code, original_at FROM films WHERE sha256 IS NOT NULL").fetchall()
twice = db.execute(
    "SELECT count(*) FROM (SELECT film_id FROM ledger WHERE kind = 'result' GROUP BY film_id HAVING count(*) > 1)"
)
report = {
    "films": {sha256: [state, refusal] for sha256, state, refusal, _ in films},
    "read_twice": twice.fetchone()[0],
    "results": db.execute("SELECT count(*) FROM results").fetchone()[0],
    "originals_damaged": [sha256 for sha256, *_, original in films if original and not whole(sha256)],
    "integrity": db.execute("PRAGMA integrity_check").fetchone()[0],
    "half_copied": len(list((state / "incoming").iterdir())),
}
print(json.dumps(report))
