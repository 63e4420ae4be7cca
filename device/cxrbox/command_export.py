"""`cxrbox export`: one row a film, as CSV or JSON, for the command line and for the page alike."""

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from cxrbundle.labels import FINDINGS

from cxrbox.errors import ConfigError
from cxrbox.remarks import find_remarks
from cxrbox.settings import Settings
from cxrbox.store import Store, open_store

FACTS = (
    "id",
    "sha256",
    "source",
    "identity",
    "identity_kind",
    "received_at",
    "finished_at",
    "state",
    "refusal_code",
    "overridden",
    "remarks",
    "unstable",
    "original_kept",
    "bundle",
    "bundle_sha256",
    "backend",
    "code",
    "clock_trusted",
)
COLUMNS = (*FACTS, *(f"{finding}_{what}" for finding in FINDINGS for what in ("state", "likelihood")))
# What a spreadsheet would take for a formula (OWASP, CSV injection).
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
# A spreadsheet takes a file of CSV for UTF-8 only where it begins so (U+FEFF).
BYTE_ORDER_MARK = "\ufeff"


def run_export(settings: Settings, as_json: bool, since: str | None) -> int:
    """Print one row a film; return 0.

    Raises
    ------
    ConfigError
        If `since` is no date, or there is no state folder.
    """
    rows = export_rows(open_store(settings.state), parse_since(since))
    for text in json_lines(rows) if as_json else csv_lines(rows):
        sys.stdout.write(text)
    return 0


def parse_since(text: str | None) -> str:
    """Return a date or time, local where it names no zone, as the database keeps times; "" for None."""
    if text is None:
        return ""
    try:
        return datetime.fromisoformat(text).astimezone(UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError) as err:
        raise ConfigError(f"{text!r} is no date; write it as 2026-11-23 or 2026-11-23T14:30") from err


def export_rows(store: Store, since: str = "", below: str = "") -> Iterator[dict[str, Any]]:
    """Yield one row a film, with the keys of `COLUMNS`; which films, see `PageSide.all_films`.

    No name of a file is among them: people name files after patients.
    """
    for film in store.all_films(since, below):
        reading = film["reading"] or {}
        unstable = None if film["unstable"] is None else " ".join(film["unstable"])
        facts = {"original_kept": film["original_at"] is not None, "overridden": bool(film["overridden"])}
        known = film | facts | {"unstable": unstable, "remarks": " ".join(find_remarks(reading)) or None} | reading
        row = {key: known.get(key) for key in FACTS}
        for finding in FINDINGS:
            of = reading.get("findings", {}).get(finding, {})
            row |= {f"{finding}_state": of.get("state"), f"{finding}_likelihood": of.get("likelihood")}
        yield row


def csv_lines(rows: Iterable[dict[str, Any]], columns: Sequence[str] = COLUMNS) -> Iterator[str]:
    """Yield the lines of a CSV file (RFC 4180), the header first; nothing in it is a formula."""
    yield _csv_line(columns)
    for row in rows:
        yield _csv_line([_harmless(row[key]) for key in columns])


def json_lines(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield one JSON object a line."""
    for row in rows:
        yield json.dumps(row) + "\n"


def _csv_line(values: Iterable[Any]) -> str:
    line = io.StringIO()
    csv.writer(line).writerow(values)
    return line.getvalue()


def _harmless(value: Any) -> Any:
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA_STARTS) else value
