"""The ledger's arithmetic: an append-only chain in which every entry vouches for all that stand before it.

An entry is a JSON object in one canonical form, and its hash is the SHA-256 of the previous entry's hash, in 64
hexadecimal digits, followed by that form. To alter, add or leave out an entry one must make the whole rest again.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

# What stands before the first entry.
NO_HASH = "0" * 64


@dataclass(frozen=True)
class Entry:
    """One entry as it is kept.

    Attributes
    ----------
    number : int
        1 for the first.
    kind : str
        result, refusal, stability, override, withdrawal, identity, removal or bundle.
    film : int or None
        The film it is about.
    text : str
        The canonical JSON of all its facts, the three above among them.
    hash : str
        Of the entry before this one and `text`.
    """

    number: int
    kind: str
    film: int | None
    text: str
    hash: str

    @property
    def facts(self) -> dict[str, Any]:
        """What the entry says."""
        return json.loads(self.text)


@dataclass(frozen=True)
class Fault:
    """The first entry that is not what was entered."""

    number: int
    reason: str


def canonical(value: Any) -> str:
    """Return the one JSON text of a value: keys in order, no blanks, ASCII, no NaN (RFC 8785 in spirit)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)


def sha256_text(text: str) -> str:
    """Return the SHA-256 of a text's UTF-8 in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def make_entry(last: Entry | None, kind: str, film: int | None, facts: dict[str, Any]) -> Entry:
    """Return the entry that follows `last`."""
    number = last.number + 1 if last else 1
    text = canonical(facts | {"number": number, "kind": kind, "film": film})
    return Entry(number, kind, film, text, sha256_text((last.hash if last else NO_HASH) + text))


def find_fault(entries: Iterable[Entry]) -> Fault | None:
    """Return the first entry that breaks the chain, None where all follow from one another."""
    previous = NO_HASH
    for number, entry in enumerate(entries, 1):
        if entry.number != number:
            return Fault(number, f"it is missing; entry {entry.number} stands in its place")
        if sha256_text(previous + entry.text) != entry.hash:
            return Fault(number, "its hash is not that of the entry before it and its own content")
        try:
            facts = entry.facts
            about = facts["number"], facts["kind"], facts["film"]
        except (ValueError, TypeError, KeyError):
            return Fault(number, "it is none that a box enters")
        if about != (entry.number, entry.kind, entry.film):
            return Fault(number, "it is filed under another number, kind or film than it was entered for")
        previous = entry.hash
    return None
