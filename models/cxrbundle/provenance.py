"""Which code made something: part of the provenance of every run and every bundle."""

import subprocess
from importlib.metadata import version
from pathlib import Path


def code_version() -> str:
    """Return the release and, in a checkout, the commit, with a "+" where tracked files differ from it."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty=+", "--abbrev=12"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return " ".join(["cxrbox", version("cxrbox"), described.stdout.strip()]).strip()
