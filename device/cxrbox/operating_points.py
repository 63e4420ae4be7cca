"""The thresholds that apply on this box: the bundle's, and the site's own for each source where it has some.

A site's thresholds are made on one bundle's likelihoods. Another bundle has others, so the file names the bundle
by its hash and is refused with any other: an update cannot silently change who is referred.
"""

import difflib
import json
import tomllib
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from cxrbundle.bundle import Bundle
from cxrbundle.manifest import Manifest
from cxrbundle.operating_point import Thresholds

from cxrbox.errors import ConfigError
from cxrbox.ledger import canonical, sha256_text

# By how a film became a picture: photographed by the box, digitised by a scanner, or digital from the start.
CAMERA = "camera"
SOURCES = (CAMERA, "scanner", "dicom")
SiteThresholds = dict[str, dict[str, Thresholds]]


@dataclass(frozen=True)
class OperatingPoints:
    """Which thresholds a film of a source is held against.

    Attributes
    ----------
    manifest : Manifest
        Of the bundle, whose thresholds apply where the site has none.
    site : dict
        {source: {finding: Thresholds}}; may be empty.
    """

    manifest: Manifest
    site: SiteThresholds = field(default_factory=dict)

    def at(self, source: str) -> dict[str, Thresholds]:
        """Return the thresholds of all findings for films of a source."""
        return self.manifest.thresholds | self.site.get(source, {})

    def sha256(self, source: str) -> str:
        """Return the SHA-256 over calibration and thresholds as they apply to a source."""
        return self._hashes[source]

    @cached_property
    def _hashes(self) -> dict[str, str]:
        return {source: self._sha256(source) for source in SOURCES}

    def _sha256(self, source: str) -> str:
        calibration = {label: asdict(of) for label, of in self.manifest.calibration.items()}
        thresholds = {label: asdict(of) for label, of in self.at(source).items()}
        return sha256_text(canonical({"calibration": calibration, "thresholds": thresholds}))


def source_of(decoded_source: str, photographed: bool) -> str:
    """Return by which thresholds a film is judged: one of `SOURCES`.

    Parameters
    ----------
    decoded_source : str
        "dicom" or "picture", from `cxrbox.decoding.film`.
    photographed : bool
        Whether the film was taken out of a photograph, wherever that came from.
    """
    if photographed:
        return CAMERA
    return "dicom" if decoded_source == "dicom" else "scanner"


def load_operating_points(path: Path | None, bundle: Bundle) -> OperatingPoints:
    """Return the operating points of a bundle with the site's thresholds file, TOML or JSON, where there is one.

    Raises
    ------
    ConfigError
        If the file cannot be read, contradicts itself, or was made for another bundle.
    """
    if path is None:
        return OperatingPoints(bundle.manifest)
    raw = _read(path)
    if unknown := set(raw) - {"bundle_sha256", "sources"}:
        raise ConfigError(f"{path}: {sorted(unknown)[0]} is unknown; a thresholds file has bundle_sha256 and sources")
    if raw.get("bundle_sha256") != bundle.digest:
        raise ConfigError(
            f"the thresholds in {path} were made for another bundle ({str(raw.get('bundle_sha256'))[:12]}) than"
            f" {bundle.title} ({bundle.digest[:12]}); make them anew for it, or leave the setting thresholds out"
        )
    sources = _table(raw.get("sources"), f"{path}: sources")
    site = {
        _known(source, SOURCES, path, "source"): {
            _known(finding, bundle.manifest.labels, path, "finding"): _thresholds(of, f"{path}: {source}.{finding}")
            for finding, of in _table(findings, f"{path}: {source}").items()
        }
        for source, findings in sources.items()
    }
    return OperatingPoints(bundle.manifest, site)


def made_for(path: Path) -> str | None:
    """Return the SHA-256 of the bundle that a thresholds file says it was made for."""
    return _read(path).get("bundle_sha256")


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text("utf-8")
        return _table(json.loads(text) if path.suffix == ".json" else tomllib.loads(text), str(path))
    except OSError as err:
        raise ConfigError(f"the thresholds {path} cannot be read ({err.strerror}); name another file") from err
    except ValueError as err:
        raise ConfigError(f"the thresholds {path} are neither TOML nor JSON ({err}); write the file again") from err


def _table(raw: Any, where: str) -> dict[str, Any]:
    if not isinstance(raw, dict):
        raise ConfigError(f"{where} must be a table")
    return raw


def _known(name: str, names: tuple[str, ...], path: Path, what: str) -> str:
    if name not in names:
        near = difflib.get_close_matches(name, names, 1, 0) or names[:1]
        raise ConfigError(f"{path}: there is no {what} {name!r}; the nearest is {near[0]}")
    return name


def _thresholds(raw: Any, where: str) -> Thresholds:
    values = _table(raw, where)
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values.values())
    if set(values) != {"uncertain", "above"} or not numbers or not 0 <= values["uncertain"] <= values["above"] <= 1:
        raise ConfigError(f"{where} must have uncertain and above with 0 <= uncertain <= above <= 1")
    return Thresholds(float(values["uncertain"]), float(values["above"]))
