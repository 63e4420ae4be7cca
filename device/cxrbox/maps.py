"""Class activation maps as they are kept: half the precision is more than a picture shows."""

import io

import numpy as np


def pack_maps(maps: np.ndarray) -> bytes:
    """Return maps of shape (findings, height, width) as the bytes of an .npy file in float16."""
    packed = io.BytesIO()
    np.save(packed, maps.astype(np.float16), allow_pickle=False)
    return packed.getvalue()


def unpack_maps(packed: bytes) -> np.ndarray:
    """Return the maps that `pack_maps` packed: float16, shape (findings, height, width)."""
    return np.load(io.BytesIO(packed), allow_pickle=False)


def correlate_maps(one: np.ndarray, other: np.ndarray) -> float:
    """Return how alike the class maps of two readings are, -1 to 1, NaN where a reading has no map that varies.

    Each map is taken about its own mean, so that only the places count; the logits say the rest.

    Parameters
    ----------
    one, other : ndarray of float, shape (findings, height, width)
    """
    varying = [
        maps - maps.mean(axis=(1, 2), keepdims=True) for maps in (np.asarray(one, float), np.asarray(other, float))
    ]
    norm = np.linalg.norm(varying[0]) * np.linalg.norm(varying[1])
    return float(np.vdot(*varying) / norm) if norm else float("nan")
