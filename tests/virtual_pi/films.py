"""Films to read: phantoms, which are no patient, and the real one that a registry package carries."""

import hashlib
import itertools
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import cv2
from cxrbox.demo import copy_demo_films
from cxrbundle.phantom import draw_phantom


def phantoms(first: int = 100) -> Iterator[bytes]:
    """Yield drawn films without end, each a PNG of 512 pixels, from a seed on."""
    for seed in itertools.count(first):
        yield cv2.imencode(".png", draw_phantom(seed))[1].tobytes()


def some(count: int, first: int = 100) -> dict[str, bytes]:
    """Return so many phantoms as files: {name: content}."""
    return {f"film{first + number:05d}.png": film for number, film in zip(range(count), phantoms(first), strict=False)}


@cache
def real() -> dict[str, bytes]:
    """Return real DICOM films of the chest, each in another encoding: {name: content}."""
    with tempfile.TemporaryDirectory() as folder:
        return {path.name: path.read_bytes() for path in copy_demo_films(Path(folder))}


def sha256(content: bytes) -> str:
    """Return what the box knows a film by."""
    return hashlib.sha256(content).hexdigest()


def hashes(films: dict[str, bytes]) -> set[str]:
    """Return what the box knows these films by."""
    return {sha256(content) for content in films.values()}
