"""Telling what a file is by its first bytes; its suffix is never asked."""

import struct

from cxrbox.refusals import refuse

MAGIC = {
    b"\x89PNG\r\n\x1a\n": "png",
    b"\xff\xd8\xff": "jpeg",
    b"II*\0": "tiff",
    b"MM\0*": "tiff",
    b"II+\0": "tiff",  # BigTIFF
    b"MM\0+": "tiff",
}
# Named in the refusal because people do send them: what a phone, an office or a CD writes.
OTHERS = {
    b"%PDF": "a PDF document",
    b"PK\x03\x04": "a ZIP archive or an office document",
    b"GIF8": "a GIF picture",
    b"RIFF": "a WebP picture or a sound or film recording",
}
BMP_HEADERS = {12, 40, 52, 56, 64, 108, 124}  # bytes in the known headers of BMP
DICOM_START = 128
FIRST_GROUPS = {0x0002, 0x0008}
EXPLICIT_VRS = {b"AE", b"CS", b"DA", b"LO", b"OB", b"SH", b"SQ", b"TM", b"UI", b"UL", b"US"}


def tell_kind(content: bytes) -> str:
    """Return "png", "jpeg", "tiff", "bmp" or "dicom".

    Raises
    ------
    RefusedError
        With the code unknown_format.
    """
    if content[DICOM_START : DICOM_START + 4] == b"DICM":
        return "dicom"
    for magic, kind in MAGIC.items():
        if content.startswith(magic):
            return kind
    if content.startswith(b"BM") and int.from_bytes(content[14:18], "little") in BMP_HEADERS:
        return "bmp"
    if _is_bare_dicom(content):
        return "dicom"
    raise refuse("unknown_format", f"the file is {_name_other(content)}")


def _is_bare_dicom(content: bytes) -> bool:
    """Tell whether the content starts with a first data element, as old DICOM without a preamble does."""
    if len(content) < 16:
        return False
    vr, length = content[4:6], int.from_bytes(content[4:8], "little")
    for order in "<>":
        group, element = struct.unpack(f"{order}HH", content[:4])
        if group not in FIRST_GROUPS or element > 0x0100:
            continue
        # Big endian is always explicit (PS3.5 section 7.3); implicit has a length in place of the VR.
        if vr in EXPLICIT_VRS or (order == "<" and length < min(len(content), 1024)):
            return True
    return False


def _name_other(content: bytes) -> str:
    if content[4:8] == b"ftyp" and content[8:12] in (b"heic", b"heix", b"mif1", b"avif"):
        return "a HEIC or AVIF photo"
    return next((name for magic, name in OTHERS.items() if content.startswith(magic)), "no film that is known here")
