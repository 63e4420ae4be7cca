"""manifest.json: everything the box must know of a model, in one typed, versioned place."""

import json
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from cxrbundle.errors import ManifestError
from cxrbundle.labels import FINDINGS
from cxrbundle.operating_point import Calibration, Thresholds

SCHEMA = 1
# The path from a film to the body's input that this release takes (`cxrbundle.preprocess`), and the heads that it has
# (`cxrbundle.head`). A bundle made for others is refused.
PREPROCESSING = "grey-area-levels-1"
HEAD_KINDS = "pool-linear", "concat-pool"
# Files that a bundle may do without, and older ones do not name.
OPTIONAL = {"edgetpu_body": "", "film_check": ""}
MANIFEST, SIGNATURE = "manifest.json", "signature.json"
# Thirty times what a manifest has: JSON grows tenfold in memory.
MOST_BYTES = 1 << 20
SHA256 = re.compile(r"[0-9a-f]{64}")
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True)
class Tensor:
    """One end of the body: a picture going in or the feature map coming out; value = scale * (q - zero)."""

    height: int
    width: int
    channels: int
    scale: float
    zero_point: int
    layout: str = "NHWC"
    dtype: str = "uint8"


@dataclass(frozen=True)
class Manifest:
    """What manifest.json says; see models/README.md for the meaning of each key."""

    name: str
    version: str
    network: str
    labels: tuple[str, ...]
    preprocessing: str
    input: Tensor
    features: Tensor
    body: str
    head: str
    head_kind: str
    golden: str
    calibration: dict[str, Calibration]
    thresholds: dict[str, Thresholds]
    training: dict[str, Any]
    conversion: dict[str, Any]
    files: dict[str, str]
    edgetpu_body: str = ""
    film_check: str = ""

    @property
    def title(self) -> str:
        """Name and version as shown to people."""
        return f"{self.name} {self.version}"

    @property
    def calibrations(self) -> list[Calibration]:
        """Calibrations in the order of the labels."""
        return [self.calibration[label] for label in self.labels]

    def to_json(self) -> str:
        """Return the text of manifest.json."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2, allow_nan=False) + "\n"


def read_manifest(content: bytes, path: Path) -> Manifest:
    """Read and check a manifest.json.

    Parameters
    ----------
    content : bytes
        The file.
    path : Path
        Where it comes from, for the error.

    Raises
    ------
    ManifestError
        If it is not JSON, has an unknown schema version, or contradicts itself.
    """
    if len(content) > MOST_BYTES:
        raise ManifestError(f"{path} is larger than {MOST_BYTES} bytes; copy the bundle again")
    try:
        raw = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as err:
        raise ManifestError(f"{path} is not JSON ({err}); copy the bundle again") from err
    if not isinstance(raw, dict):
        raise ManifestError(f"{path} holds no JSON object; copy the bundle again")
    try:
        return parse_manifest(raw)
    except ManifestError as err:
        raise ManifestError(f"{path}: {err}") from err


def parse_manifest(raw: dict[str, Any]) -> Manifest:
    """Return a checked manifest from its JSON object; raise ManifestError naming the key that is wrong."""
    version = raw.get("schema")
    if version != SCHEMA:
        raise ManifestError(f"schema {version!r} is unknown, this release reads {SCHEMA}; update the software")
    raw = OPTIONAL | raw
    values = _exactly(Manifest, {key: value for key, value in raw.items() if key != "schema"}, "manifest")
    for key in ("calibration", "thresholds", "training", "conversion", "files"):
        if not isinstance(values[key], dict):
            raise ManifestError(f"{key} must be an object")
    values["labels"] = tuple(values["labels"]) if isinstance(values["labels"], list) else ()
    for key in ("input", "features"):
        values[key] = _tensor(values[key], key)
    for key, kind in (("calibration", Calibration), ("thresholds", Thresholds)):
        values[key] = {label: _numbers(kind, of, f"{key}.{label}") for label, of in values[key].items()}
    manifest = Manifest(**values)
    _check(manifest)
    return manifest


def _exactly(kind: type, raw: Any, where: str) -> dict[str, Any]:
    """Return a copy of a JSON object that has exactly the keys of a dataclass."""
    expected = {field.name for field in fields(kind)}
    if not isinstance(raw, dict):
        raise ManifestError(f"{where} must be an object with the keys {sorted(expected)}")
    if set(raw) != expected:
        missing, unknown = sorted(expected - set(raw)), sorted(set(raw) - expected)
        raise ManifestError(f"{where}: missing keys {missing}, unknown keys {unknown}")
    return dict(raw)


def _numbers(kind: type, raw: Any, where: str) -> Any:
    """Return a dataclass of finite numbers from its JSON object."""
    values = _exactly(kind, raw, where)
    for key, value in values.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value != value or abs(value) > 1e9:
            raise ManifestError(f"{where}.{key} is {value!r}, not a finite number")
    return kind(**values)


def _tensor(raw: Any, where: str) -> Tensor:
    """Return a tensor's description; only uint8 in NHWC is read."""
    tensor = Tensor(**_exactly(Tensor, raw, where))
    for key in ("height", "width", "channels", "zero_point"):
        value, least = getattr(tensor, key), 0 if key == "zero_point" else 1
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= 65535:
            raise ManifestError(f"{where}.{key} is {value!r}, not a whole number from {least} to 65535")
    if not isinstance(tensor.scale, float) or not 0 < tensor.scale < 1e9:
        raise ManifestError(f"{where}.scale is {tensor.scale!r}, not a positive number")
    if (tensor.layout, tensor.dtype) != ("NHWC", "uint8"):
        raise ManifestError(f"{where} is {tensor.dtype} in {tensor.layout}, the box reads uint8 in NHWC")
    return tensor


def _check(manifest: Manifest) -> None:
    """Raise ManifestError where two keys contradict each other or a value is outside the contract."""
    for key in ("name", "version", "network", "preprocessing", "body", "head", "head_kind", "golden", *OPTIONAL):
        if not isinstance(getattr(manifest, key), str):
            raise ManifestError(f"{key} is {getattr(manifest, key)!r}, not a text")
    if manifest.labels != FINDINGS:
        raise ManifestError(f"labels must be the 14 of ChestX-ray14 in its order: {', '.join(FINDINGS)}")
    if manifest.preprocessing != PREPROCESSING:
        raise ManifestError(f"preprocessing is {manifest.preprocessing!r}, this release does {PREPROCESSING!r}")
    if manifest.head_kind not in HEAD_KINDS:
        raise ManifestError(f"head_kind is {manifest.head_kind!r}, this release reads {', '.join(HEAD_KINDS)}")
    if manifest.input.height != manifest.input.width or manifest.input.channels != 3:
        raise ManifestError("input must be a square picture of 3 channels")
    for key in ("name", "version"):
        value = getattr(manifest, key)
        if not PLAIN_NAME.fullmatch(value):
            raise ManifestError(f"{key} is {value!r}; use letters, digits, dot, dash and underscore")
    for key in ("calibration", "thresholds"):
        if tuple(getattr(manifest, key)) != manifest.labels:
            raise ManifestError(f"{key} must have one entry for each label, in the order of labels")
    for label, at in manifest.thresholds.items():
        if not 0 <= at.uncertain <= at.above <= 1:
            raise ManifestError(f"thresholds.{label}: 0 <= uncertain <= above <= 1 does not hold for {at}")
    for label, platt in manifest.calibration.items():
        if platt.slope <= 0:
            raise ManifestError(f"calibration.{label}.slope is {platt.slope}; a slope <= 0 turns the ranking over")
    for name, digest in manifest.files.items():
        if not PLAIN_NAME.fullmatch(name) or not isinstance(digest, str) or not SHA256.fullmatch(digest):
            raise ManifestError(f"files: {name!r} is no plain file name with a SHA-256 in hexadecimal")
        if name in (MANIFEST, SIGNATURE):
            raise ManifestError(f"files: {name} vouches for the others and cannot be one of them")
    for key in ("body", "head", "golden", *OPTIONAL):
        if getattr(manifest, key) not in manifest.files and (key not in OPTIONAL or getattr(manifest, key)):
            raise ManifestError(f"{key} names {getattr(manifest, key)!r}, which files does not list")
