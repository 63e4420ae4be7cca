"""A bundle: what convert/ hands to the box, loaded only if every file is the one its manifest names."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cxrbundle.arrays import read_arrays
from cxrbundle.errors import ManifestError
from cxrbundle.film_check import FilmCheck, build_film_check
from cxrbundle.head import Head, build_head
from cxrbundle.manifest import Manifest
from cxrbundle.package import Package, read_package

# Each is read at every start of the box.
MOST_GOLDEN_FILMS = 64


@dataclass(frozen=True)
class Golden:
    """Golden films and what the body and head said of them when the bundle was made.

    Attributes
    ----------
    seeds : ndarray of int64, shape (films,)
        Each draws one film with `cxrbundle.phantom.draw_phantom`.
    logits : ndarray of float32, shape (films, findings)
    maps : ndarray of float16, shape (films, findings, height, width), or None
        Class activation maps; a bundle of an earlier release has none.
    """

    seeds: np.ndarray
    logits: np.ndarray
    maps: np.ndarray | None = None


@dataclass(frozen=True)
class Bundle:
    """A verified bundle in memory.

    Attributes
    ----------
    manifest : Manifest
    digest : str
        SHA-256 of manifest.json, which pins every other file: the identity of this bundle in every result.
    body : bytes
        The TFLite flatbuffer.
    head : Head
    golden : Golden
    edgetpu_body : bytes or None
        The same body, compiled for the Edge TPU; None where it was not.
    film_check : FilmCheck or None
        Tells frontal chest films from all else; a bundle of an earlier release has none.
    """

    manifest: Manifest
    digest: str
    body: bytes
    head: Head
    golden: Golden
    edgetpu_body: bytes | None = None
    film_check: FilmCheck | None = None

    @property
    def title(self) -> str:
        """Name and version as shown to people."""
        return self.manifest.title


def load_bundle(path: Path) -> Bundle:
    """Load a bundle's folder or single file and verify every file in it; who signed it is not asked here.

    Raises
    ------
    BundleError
        If it cannot be used; see `read_package` and `build_bundle`.
    """
    return build_bundle(read_package(path))


def build_bundle(package: Package) -> Bundle:
    """Return the bundle that verified files hold.

    Raises
    ------
    ManifestError
        If the head or the golden films are not what the manifest speaks of.
    """
    manifest, files = package.manifest, package.files
    return Bundle(
        manifest=manifest,
        digest=package.digest,
        body=files[manifest.body],
        head=_read_head(manifest, files[manifest.head], package.path),
        golden=_read_golden(manifest, files[manifest.golden], package.path),
        edgetpu_body=files[manifest.edgetpu_body] if manifest.edgetpu_body else None,
        film_check=_read_film_check(manifest, files, package.path) if manifest.film_check else None,
    )


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_head(manifest: Manifest, content: bytes, path: Path) -> Head:
    """Return the head, tried on an empty feature map."""
    weights = read_arrays(content, str(path / manifest.head))
    head = build_head(manifest.head_kind, weights)
    try:
        with np.errstate(all="ignore"):
            output = head(np.zeros((1, 1, manifest.features.channels), np.float32))
    except (ValueError, IndexError) as err:
        raise ManifestError(
            f"{path / manifest.head} does not fit the features ({err}); convert the model again"
        ) from err
    count = len(manifest.labels)
    if output.logits.shape != (count,) or output.maps.shape != (count, 1, 1) or not np.isfinite(output.logits).all():
        raise ManifestError(f"{path / manifest.head} gives no logit for each finding; convert the model again")
    return head


def _read_film_check(manifest: Manifest, files: dict[str, bytes], path: Path) -> FilmCheck:
    where = path / manifest.film_check
    try:
        return build_film_check(read_arrays(files[manifest.film_check], str(where)), manifest.features.channels)
    except ManifestError as err:
        raise ManifestError(f"{where}: {err}") from err


def _read_golden(manifest: Manifest, content: bytes, path: Path) -> Golden:
    golden = read_arrays(content, str(path / manifest.golden))
    seeds = golden.get("seeds", np.zeros(0, np.int64))
    films, features = seeds.size, manifest.features
    maps = (films, len(manifest.labels), features.height, features.width)
    shapes = {"seeds": (films,), "logits": maps[:2], "maps": maps}
    sound = {"seeds", "logits"} <= set(golden) <= set(shapes) and 1 <= films <= MOST_GOLDEN_FILMS
    sound = sound and seeds.dtype.kind in "iu" and seeds.min() >= 0
    if not sound or any(array.shape != shapes[key] for key, array in golden.items()):
        raise ManifestError(
            f"{path / manifest.golden} must hold seeds, their logits and perhaps their maps; convert the model again"
        )
    return Golden(**golden)
