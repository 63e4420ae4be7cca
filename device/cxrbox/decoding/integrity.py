"""Is the file whole? Pillow fills in what is missing at the end of some JPEGs."""

import struct
from collections.abc import Iterator

from cxrbox.decoding.limits import DAMAGED
from cxrbox.refusals import refuse

SEGMENTS = {*range(0xC0, 0xFF)} - {*range(0xD0, 0xDA)}  # markers that head a segment (T.81 table B.1)
HUFFMAN, JPEG_LS, SCAN, END = 0xC4, 0xF7, 0xDA, b"\xff\xd9"
SOC_SIZ = b"\xff\x4f\xff\x51"  # how every codestream of JPEG 2000 starts
# Start of frame in JPEG and JPEG-LS: every C0 to CF but the tables C4, C8 and CC (T.81 table B.1), and F7 (T.87).
FRAMES = {*range(0xC0, 0xD0), JPEG_LS} - {HUFFMAN, 0xC8, 0xCC}
# Those that Pillow reads: baseline, extended and progressive DCT, Huffman or arithmetic, of 8 bits.
DCT, PICTURE_BITS = {0xC0, 0xC1, 0xC2, 0xC9, 0xCA}, b"\x08"


def check_jpeg(content: bytes) -> None:
    """Refuse a JPEG whose scan is never ended: a copy that was cut off and padded still decodes, half grey."""
    scan = next((at for marker, at in _jpeg_segments(content) if marker == SCAN), None)
    if scan is None or content.find(END, scan) < 0:
        raise refuse("damaged", DAMAGED)


def check_coding(content: bytes) -> None:
    """Refuse a JPEG file that is coded in a way that Pillow does not read, though it may be whole (T.81 table B.1)."""
    coded = [(marker, content[at + 2 : at + 3]) for marker, at in _jpeg_segments(content) if marker in FRAMES]
    if any(marker not in DCT or bits != PICTURE_BITS for marker, bits in coded):
        raise refuse("unsupported_compression", "the JPEG is lossless, or has more than 8 bits")


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
