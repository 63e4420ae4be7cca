"""Films with results as the page finds them in the store, laid without a reader."""

import io
from itertools import count

import cv2
import numpy as np
from cxrbox.errors import RefusedError
from cxrbox.maps import pack_maps
from cxrbox.store import Store
from cxrbox.taking import take_film
from cxrbundle.labels import FINDINGS
from cxrbundle.phantom import draw_phantom

PROVENANCE = {
    "bundle": "cxr-test 1",
    "bundle_sha256": "b" * 64,
    "backend": "cpu ai-edge-litert 2.3.0",
    "code": "0.1.0",
    "code_sha256": "c" * 64,
    "thresholds_for": "scanner",
    "thresholds_sha256": "d" * 64,
    "clock_trusted": True,
}


SEEDS = count()


def take(store: Store, source: str = "upload", name: str | None = None) -> int:
    """Take in a drawn film that no test took before, and begin to read it."""
    seed = next(SEEDS)
    take_film(store, io.BytesIO(cv2.imencode(".png", draw_phantom(seed))[1]), name or f"phantom-{seed}.png", source)
    return store.claim().id


def lay_result(store: Store, film: int, state: str = "above", **told) -> int:
    """Keep a result of a film in hand; all of its findings are in one state."""
    findings = {finding: {"likelihood": 0.4, "threshold": 0.2, "state": state} for finding in FINDINGS}
    maps = np.ones((len(FINDINGS), 7, 7), np.float32)
    assert store.add_result(film, PROVENANCE | told | {"findings": findings}, pack_maps(maps), 200.0 + film)
    picture = store.picture_path(store.film(film)["sha256"])
    cv2.imwrite(str(picture), draw_phantom(film))
    return film


def lay_refusal(store: Store, film: int, code: str, reason: str) -> int:
    """Refuse a film in hand."""
    store.add_refusal(film, RefusedError(code, reason))
    return film


def lay_photograph(store: Store, film: int, width: int, height: int) -> None:
    """Draw a photograph of a film, twice as small as it was."""
    path = store.photograph_path(store.film(film)["sha256"])
    cv2.imwrite(str(path), np.full((height // 2, width // 2, 3), 90, np.uint8))
