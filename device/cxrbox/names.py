"""Names of files as text that can be kept and shown."""

import os
from pathlib import Path


def printable_name(path: str | Path) -> str:
    """Return a path as text; bytes that are no UTF-8, as old archives have them, are written as escapes."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def plain(text: str) -> str:
    """Return a text without what cannot be shown."""
    return "".join(character for character in text if character.isprintable()).strip()
