"""What the page says of the bundle."""

from dataclasses import dataclass

from cxrbox.settings import Settings
from cxrbox.trust import open_package

CARD = "card.md"


@dataclass(frozen=True)
class ShownBundle:
    """The bundle as the page shows it.

    Attributes
    ----------
    title : str
        Name and version.
    digest : str
        SHA-256 of its manifest.
    trust : str
        Why this box reads with it, from `cxrbox.trust`.
    card : str or None
        The model's card, Markdown.
    """

    title: str
    digest: str
    trust: str
    card: str | None


def read_shown_bundle(settings: Settings) -> ShownBundle:
    """Return what the page says of the bundle; raise BundleError if it is damaged or not trusted."""
    package, trust = open_package(settings)
    card = package.files.get(CARD)
    text = None if card is None else card.decode("utf-8", "replace")
    return ShownBundle(package.manifest.title, package.digest, trust, text)
