"""A PNG before Pillow gets it: whole, in one piece, and inflated.

Pillow skips the checksums of PNG and takes a chunk at a time, and its wheels inflate with the system's zlib, which is
half of what a film takes to decode. ISA-L needs a third of that. Undoing the filters and all else stays with Pillow.
"""

import struct
from collections.abc import Iterator
from itertools import pairwise

from isal import isal_zlib

from cxrbox.decoding.limits import DAMAGED, check_size
from cxrbox.refusals import refuse

# Bytes: a PNG begins with its signature and the chunk IHDR (PNG 5.6).
SIGNATURE, HEADER = 8, slice(16, 29)
# Samples of a pixel by colour type (PNG 11.2.2).
SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
# Bytes; what is larger is inflated by Pillow, piece by piece, and takes no more memory than its pixels.
LARGEST = 16 << 20
# How a zlib stream begins and how much a block that is stored as it is may hold (RFC 1950 2.2, RFC 1951 3.2.4).
ZLIB_HEADER, MOST_STORED = b"\x78\x01", 0xFFFF


def prepare_png(content: bytes) -> bytes:
    """Return the same PNG, for Pillow to decode in one go.

    Most programs write the picture in chunks of 8 KB (PNG 11.2.4 allows any): between two of them films that are read
    side by side would wait for each other.

    Raises
    ------
    RefusedError
        If a chunk is missing or has another CRC than it says (PNG 5.3), if the picture ends too early, or if it is too
        large or too small to be read.
    """
    view, pictures, end = memoryview(content), [], SIGNATURE
    for kind, start, end in _chunks(view):
        if kind == b"IDAT":
            pictures.append((start, end))
        if kind == b"IEND":
            break
    else:
        raise refuse("damaged", DAMAGED)
    torn = any(one[1] != next_[0] for one, next_ in pairwise(pictures))
    # Pillow refuses it.
    if not pictures or torn or content[12:16] != b"IHDR":
        return content
    packed = b"".join(view[start + 8 : stop - 4] for start, stop in pictures)
    size = _inflated_size(content)
    picture = _repack(packed, size) if 0 < size <= LARGEST else packed
    crc = isal_zlib.crc32(picture, isal_zlib.crc32(b"IDAT"))
    head = len(picture).to_bytes(4) + b"IDAT"
    return b"".join([view[: pictures[0][0]], head, picture, crc.to_bytes(4), view[pictures[-1][1] : end]])


def _chunks(view: memoryview) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, start, end) of every chunk, and stop before one that is cut off or has another CRC than it says."""
    at = SIGNATURE
    while at + 12 <= len(view):
        end = at + 12 + int.from_bytes(view[at : at + 4])
        if isal_zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end]):
            return
        yield bytes(view[at + 4 : at + 8]), at, end
        at = end


def _inflated_size(content: bytes) -> int:
    """Return how many bytes the rows of a PNG have, each with its filter type; 0 where Pillow must tell."""
    width, height, depth, colour, _, _, interlaced = struct.unpack(">IIBBBBB", content[HEADER])
    check_size(width, height)
    if interlaced or colour not in SAMPLES:
        return 0
    return height * (1 + (width * depth * SAMPLES[colour] + 7) // 8)


def _repack(packed: bytes, size: int) -> bytes:
    """Return a zlib stream with the same content, stored as it is; what Pillow might refuse stays as it was."""
    inflater = isal_zlib.decompressobj()
    try:
        rows = inflater.decompress(packed, size)
    except isal_zlib.error:
        return packed
    if not inflater.eof:
        return packed
    # Pillow would make up the rest.
    if len(rows) < size:
        raise refuse("damaged", DAMAGED)
    return _store(rows)


def _store(rows: bytes) -> bytes:
    """Return a zlib stream of blocks that are not compressed."""
    view, parts = memoryview(rows), [ZLIB_HEADER]
    for start in range(0, len(rows), MOST_STORED):
        block = view[start : start + MOST_STORED]
        last = start + MOST_STORED >= len(rows)
        parts += [struct.pack("<BHH", last, len(block), len(block) ^ MOST_STORED), block]
    return b"".join([*parts, isal_zlib.adler32(rows).to_bytes(4)])
