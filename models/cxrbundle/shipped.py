"""Where the bundles are that ship with the software. Imports nothing heavy: every part of the box asks it."""

from pathlib import Path

DEFAULT_BUNDLE = "cxr-demo-lite0"


def shipped_bundle(name: str = DEFAULT_BUNDLE) -> Path:
    """Return the folder of a shipped bundle, in a checkout or in an installed wheel."""
    package = Path(__file__).parent
    installed = package / "bundles" / name
    return installed if installed.is_dir() else package.parent / "bundles" / name


def is_shipped(bundle: Path) -> bool:
    """Return whether a bundle lies where the shipped ones do: whoever can write there can write the code as well."""
    return bundle.resolve().parent == shipped_bundle().resolve().parent
