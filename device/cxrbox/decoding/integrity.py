"""Is the file whole? Pillow fills in what is missing at the end of some JPEGs and skips the checksums of PNG."""

import struct
import zlib
from collections.abc import Iterator
from itertools import pairwise

from cxrbox.decoding.limits import DAMAGED
from cxrbox.refusals import refuse

PNG_SIGNATURE = 8  # bytes
SEGMENTS = {*range(0xC0, 0xFF)} - {*range(0xD0, 0xDA)}  # markers that head a segment (T.81 table B.1)
HUFFMAN, JPEG_LS, SCAN, END = 0xC4, 0xF7, 0xDA, b"\xff\xd9"
SOC_SIZ = b"\xff\x4f\xff\x51"  # how every codestream of JPEG 2000 starts
# Start of frame in JPEG and JPEG-LS: every C0 to CF but the tables C4, C8 and CC (T.81 table B.1), and F7 (T.87).
FRAMES = {*range(0xC0, 0xD0), JPEG_LS} - {HUFFMAN, 0xC8, 0xCC}


def whole_png(content: bytes) -> bytes:
    """Return a PNG with its picture in one chunk; refuse it unless all are there and have the right CRC (PNG 5.3).

    Most programs write the picture in chunks of 8 KB (PNG 11.2.4 allows any). Pillow takes one at a time, and films
    that are read side by side would wait for each other fifty times.
    """
    view, pictures, end = memoryview(content), [], PNG_SIGNATURE
    for kind, start, end in _png_chunks(view):
        if kind == b"IDAT":
            pictures.append((start, end))
        if kind == b"IEND":
            break
    else:
        raise refuse("damaged", DAMAGED)
    if len(pictures) < 2 or any(one[1] != next_[0] for one, next_ in pairwise(pictures)):
        return content
    picture = b"".join(view[start + 8 : stop - 4] for start, stop in pictures)
    crc = zlib.crc32(picture, zlib.crc32(b"IDAT"))
    head = len(picture).to_bytes(4) + b"IDAT"
    return b"".join([view[: pictures[0][0]], head, picture, crc.to_bytes(4), view[pictures[-1][1] : end]])


def _png_chunks(view: memoryview) -> Iterator[tuple[bytes, int, int]]:
    """Yield (type, start, end) of every chunk, and stop before one that is cut off or has another CRC than it says."""
    at = PNG_SIGNATURE
    while at + 12 <= len(view):
        end = at + 12 + int.from_bytes(view[at : at + 4])
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end]):
            return
        yield bytes(view[at + 4 : at + 8]), at, end
        at = end


def check_jpeg(content: bytes) -> None:
    """Refuse a JPEG whose scan is never ended: a copy that was cut off and padded still decodes, half grey."""
    scan = next((at for marker, at in _jpeg_segments(content) if marker == SCAN), None)
    if scan is None or content.find(END, scan) < 0:
        raise refuse("damaged", DAMAGED)


def lacks_tables(content: bytes) -> bool:
    """Tell whether a JPEG has no Huffman table before its scan; JPEG-LS needs none."""
    return not {HUFFMAN, JPEG_LS} & {marker for marker, _ in _jpeg_segments(content)}


def jpeg_frames(content: bytes) -> list[tuple[int, int, int, int]]:
    """Return (bits, height, width, components) of every frame header of a JPEG or JPEG-LS (T.81 B.2.2)."""
    starts = [at + 2 for marker, at in _jpeg_segments(content) if marker in FRAMES]
    return [struct.unpack(">BHHB", content[at : at + 6]) for at in starts if at + 6 <= len(content)]


def jpeg2000_size(content: bytes) -> tuple[int, int] | None:
    """Return (width, height) in pixels that a JPEG 2000 codestream's SIZ names (T.800 A.5.1), None if it has none."""
    at = content.find(SOC_SIZ)
    if at < 0:
        return None
    right, bottom, left, top = (int.from_bytes(content[at + n : at + n + 4]) for n in (8, 12, 16, 20))
    return right - left, bottom - top


def _jpeg_segments(content: bytes) -> Iterator[tuple[int, int]]:
    """Yield (marker, position of its length) up to the first scan, stepping over thumbnails, or what is no segment."""
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        marker = content[at + 1]
        if marker == 0xFF:  # padding before a marker
            at += 1
            continue
        if marker not in SEGMENTS:
            return
        yield marker, at + 2
        if marker == SCAN:
            return
        at += 2 + int.from_bytes(content[at + 2 : at + 4])
