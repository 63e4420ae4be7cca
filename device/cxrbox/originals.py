"""The originals that are kept, for commands that read them again."""

from pathlib import Path
from typing import Any

from cxrbundle.bundle import sha256_file

from cxrbox.store import Store


def whole_original(store: Store, film: dict[str, Any]) -> Path | None:
    """Return where the original of a film of the store lies; None where it is gone, or not the file that came."""
    path = store.original_path(film["sha256"])
    return path if path.is_file() and sha256_file(path) == film["sha256"] else None
