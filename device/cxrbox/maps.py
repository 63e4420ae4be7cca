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
