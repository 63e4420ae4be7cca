"""Is the file whole? Pillow fills in what is missing at the end of some JPEGs, and drops libjpeg's warnings."""

import struct
from collections.abc import Iterator

import simplejpeg

from cxrbox.decoding.limits import DAMAGED, distrust
from cxrbox.refusals import refuse

SEGMENTS = {*range(0xC0, 0xFF)} - {*range(0xD0, 0xDA)}  # markers that head a segment (T.81 table B.1)
HUFFMAN, JPEG_LS, SCAN, END = 0xC4, 0xF7, 0xDA, b"\xff\xd9"
RLE_HEADER = 64  # bytes
SOC_SIZ = b"\xff\x4f\xff\x51"  # how every codestream of JPEG 2000 starts
# Start of frame in JPEG and JPEG-LS: every C0 to CF but the tables C4, C8 and CC (T.81 table B.1), and F7 (T.87).
FRAMES = {*range(0xC0, 0xD0), JPEG_LS} - {HUFFMAN, 0xC8, 0xCC}
# Baseline, extended and progressive, coded by Huffman: what libjpeg reads in 8 bits.
USUAL_FRAMES = {0xC0, 0xC1, 0xC2}
# What is no damage: warnings about headers that some cameras write, and what TurboJPEG reads less of than Pillow.
HARMLESS = (
    "Invalid SOS parameters",
    "Unknown Adobe color transform",
    "unknown JFIF revision",
    "Could not determine subsampling level",
)


def check_jpeg(content: bytes) -> None:
    """Refuse a JPEG that is not whole, which would still decode, half grey or shifted; its size was checked before.

    The scan has to end: a copy that was cut off may have been padded. A usual JPEG must also decode without a warning.
    """
    scan = next((at for marker, at in _jpeg_segments(content) if marker == SCAN), None)
    if scan is None or content.find(END, scan) < 0:
        raise refuse("damaged", DAMAGED)
    if is_usual_jpeg(content):
        _check_scan(content)


def is_usual_jpeg(content: bytes) -> bool:
    """Tell whether the first frame of a JPEG is one of 8 bits that libjpeg reads."""
    at = next((at for marker, at in _jpeg_segments(content) if marker in FRAMES), None)
    return at is not None and content[at - 1] in USUAL_FRAMES and content[at + 2 : at + 3] == b"\x08"


def _check_scan(content: bytes) -> None:
    """Refuse a usual JPEG in whose data libjpeg finds a fault; an eighth of the size takes all of the data."""
    with distrust():
        *_, components = jpeg_frames(content)[0]
        try:
            # Asked for a pixel, it takes the smallest size there is.
            simplejpeg.decode_jpeg(content, "CMYK" if components == 4 else "GRAY", min_height=1, min_width=1)
        except ValueError as warning:
            if not any(harmless in str(warning) for harmless in HARMLESS):
                raise


def check_coding(content: bytes) -> None:
    """Refuse a JPEG file that is coded in a way that is not read, though it may be whole (T.81 table B.1)."""
    if jpeg_frames(content) and not is_usual_jpeg(content):
        raise refuse("unsupported_compression", "the JPEG is not one of the usual ones of 8 bits")


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


def rle_sizes(frame: bytes) -> list[int]:
    """Return how many bytes each segment of an RLE frame decodes to (PS3.5 G.3 to G.5)."""
    segments, *starts = struct.unpack("<16L", frame[:RLE_HEADER])
    ends = [*starts[1:segments], len(frame)]
    return [_unpacked_size(frame[start:end]) for start, end in zip(starts, ends, strict=False)]


def _unpacked_size(segment: bytes) -> int:
    """Return how many bytes a segment of PackBits decodes to (PS3.5 G.3.2)."""
    size = at = 0
    while at + 1 < len(segment):
        head = segment[at]
        if head < 128:
            size += min(head + 1, len(segment) - at - 1)
            at += head + 2
        elif head > 128:
            size += 257 - head
            at += 2
        else:
            at += 1
    return size


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
