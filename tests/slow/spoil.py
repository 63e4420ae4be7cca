"""Whole films of every kind, and ways to spoil them; the same number spoils the same way everywhere."""

import io
import random
import re
import struct
import tempfile
import zlib
from pathlib import Path

import cv2
import gdcm
import numpy as np
import pydicom
import pydicom.data
from cxrbundle.phantom import draw_phantom
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

SHARED_FILMS = Path(__file__).resolve().parents[3] / "shared" / "cxr" / "dicom"
TEST_FILES = Path(pydicom.data.__file__).parent / "test_files"
# Larger ones would make the proof slow and are decoded by the same code.
MOST_BYTES = 8 << 20
EXTREMES = (0, 1, 2, 7, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
# Where the fields lie that say how large everything is; DICOM keeps 128 bytes and the group of the file before them.
HEADER = {"png": 64, "jpeg": 700, "tiff": 400, "bmp": 64, "dicom": 1600}
COMPRESSED = ("RLELossless", "JPEG2000Lossless", "JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEGBaselineProcess1")
# PS3.6, of the image pixel module (PS3.3 C.7.6.3) and the VOI LUT module: what a decoder allocates and scales by.
ELEMENTS = (
    (0x0028, 0x0002),  # Samples per Pixel
    (0x0028, 0x0006),  # Planar Configuration
    (0x0028, 0x0008),  # Number of Frames
    (0x0028, 0x0010),  # Rows
    (0x0028, 0x0011),  # Columns
    (0x0028, 0x0100),  # Bits Allocated
    (0x0028, 0x0101),  # Bits Stored
    (0x0028, 0x0102),  # High Bit
    (0x0028, 0x0103),  # Pixel Representation
    (0x0028, 0x1050),  # Window Center
    (0x0028, 0x1051),  # Window Width
    (0x0028, 0x1053),  # Rescale Slope
    (0x7FE0, 0x0010),  # Pixel Data
)
# The value of Modality (0008,0060), explicit or implicit little endian.
MODALITY = re.compile(rb"(\x08\x00\x60\x00(?:CS\x02\x00|\x02\x00\x00\x00))[A-Z]{2}")


def whole_files() -> list[tuple[str, bytes]]:
    """Return (kind, content) of whole films, in an order that the same sources give everywhere."""
    return [*drawn_pictures(), *drawn_dicoms(), *found_dicoms(TEST_FILES), *found_dicoms(SHARED_FILMS)]


def drawn_pictures() -> list[tuple[str, bytes]]:
    """Return drawn films as PNG, JPEG, TIFF and BMP, in the depths and compressions that people have."""
    film = cv2.resize(draw_phantom(1), (320, 256), interpolation=cv2.INTER_AREA)
    deep = film.astype(np.uint16) * 200 + 3000
    tinted = np.dstack([film, film, (film * 0.8).astype(np.uint8)])
    wanted = [
        ("png", film, {}),
        ("png", deep, {}),
        ("png", tinted, {}),
        ("jpeg", film, {}),
        ("jpeg", film, {"progressive": True}),
        ("jpeg", tinted, {"restart_marker_rows": 1}),
        ("tiff", film, {}),
        ("tiff", deep, {}),
        ("tiff", film, {"compression": "tiff_lzw"}),
        ("tiff", film, {"compression": "tiff_adobe_deflate"}),
        ("tiff", film, {"compression": "jpeg"}),
        ("tiff", film, {"compression": "packbits"}),
        ("bmp", film, {}),
        ("bmp", tinted, {}),
    ]
    return [(kind, encode(pixels, kind, options)) for kind, pixels, options in wanted]


def encode(pixels: np.ndarray, kind: str, options: dict) -> bytes:
    """Return a picture as a file of a kind."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind.upper(), **options)
    return file.getvalue()


def drawn_dicoms() -> list[tuple[str, bytes]]:
    """Return drawn films as DICOM, in every transfer syntax that is read."""
    film = cv2.resize(draw_phantom(2), (320, 256), interpolation=cv2.INTER_AREA)
    deep = film.astype(np.uint16) * 16
    plain = [make_dicom(deep, syntax) for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)]
    packed = [recompress(make_dicom(film, ExplicitVRLittleEndian), name) for name in COMPRESSED]
    return [("dicom", content) for content in [*plain, make_dicom(deep, ExplicitVRBigEndian), *packed]]


def make_dicom(pixels: np.ndarray, syntax) -> bytes:
    """Return a DX chest film (PS3.3 A.26) of 8 or 12 bits."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = "1.2.840.10008.5.1.4.1.1.1.1", generate_uid()
    meta.TransferSyntaxUID = syntax
    dataset = FileDataset(io.BytesIO(), {}, b"\0" * 128, meta, syntax.is_implicit_VR, syntax.is_little_endian)
    depth, stored = (8, 8) if pixels.dtype == np.uint8 else (16, 12)
    dataset.update({"Modality": "DX", "BodyPartExamined": "CHEST", "ViewPosition": "PA", "PatientID": "PHANTOM"})
    dataset.update({"SamplesPerPixel": 1, "PhotometricInterpretation": "MONOCHROME2", "PixelRepresentation": 0})
    dataset.Rows, dataset.Columns = pixels.shape
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = depth, stored, stored - 1
    dataset.WindowCenter, dataset.WindowWidth = "2000", "3000"
    order = "<" if syntax.is_little_endian else ">"
    dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    dataset["PixelData"].VR = "OB" if depth == 8 else "OW"
    file = io.BytesIO()
    dataset.save_as(file, enforce_file_format=True)
    return file.getvalue()


def recompress(content: bytes, syntax: str) -> bytes:
    """Return a DICOM film in another transfer syntax, named as GDCM does."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "film")
        path.write_bytes(content)
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(path))
        if not reader.Read():
            raise ValueError(f"gdcm does not read the drawn film for {syntax}")
        change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, syntax)))
        change.SetInput(reader.GetImage())
        if not change.Change():
            raise ValueError(f"gdcm does not compress to {syntax}")
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(str(path))
        writer.Write()
        return path.read_bytes()


def found_dicoms(folder: Path) -> list[tuple[str, bytes]]:
    """Return the DICOM files of a folder, none where it is not there; all say that they are X-rays, to be decoded."""
    paths = [path for path in sorted(folder.rglob("*.dcm")) if path.stat().st_size <= MOST_BYTES]
    return [("dicom", MODALITY.sub(rb"\1DX", path.read_bytes())) for path in paths]


def spoil(seeds: list[tuple[str, bytes]], number: int) -> tuple[str, bytes]:
    """Return kind and content of the spoiled film of a number."""
    chance = random.Random(number)
    # DICOM, with more decoders behind it than all others, as often as two of them.
    kind = chance.choice((*HEADER, "dicom"))
    alike = [content for other, content in seeds if other == kind]
    content = bytearray(chance.choice(alike))
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        if content:
            chance.choice((flip_bits, flip_header, cut, splice, set_field, set_field))(content, chance, kind, seeds)
    if kind == "png" and chance.random() < 0.7:
        mend_checksums(content)
    return kind, bytes(content)


def flip_bits(content: bytearray, chance: random.Random, kind: str, seeds: list) -> None:
    """Flip some bits anywhere."""
    for _ in range(chance.choice((1, 2, 8, 64, 512))):
        content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)


def flip_header(content: bytearray, chance: random.Random, kind: str, seeds: list) -> None:
    """Flip some bits where the header lies."""
    for _ in range(chance.choice((1, 2, 4, 16))):
        content[chance.randrange(min(len(content), HEADER[kind]))] ^= 1 << chance.randrange(8)


def cut(content: bytearray, chance: random.Random, kind: str, seeds: list) -> None:
    """Cut the end off, and sometimes fill it up again."""
    whole = len(content)
    del content[chance.randrange(whole) :]
    if chance.random() < 0.3:
        content += chance.choice((b"\0", b"\xff", b"Z")) * (whole - len(content))


def splice(content: bytearray, chance: random.Random, kind: str, seeds: list) -> None:
    """Put a block of this film or of another in place of, or between, its bytes; or take one out."""
    other = chance.choice((bytes(content), chance.choice(seeds)[1]))
    size = chance.choice((1, 2, 4, 16, 256, 4096, 65536))
    start, at = chance.randrange(len(other)), chance.randrange(len(content))
    replaced = chance.choice((0, size))
    content[at : at + replaced] = other[start : start + size] if chance.random() < 0.8 else b""


def set_field(content: bytearray, chance: random.Random, kind: str, seeds: list) -> None:
    """Set a field of the header, or what lies somewhere in it, to an extreme."""
    known = fields(content, kind)
    anywhere = chance.randrange(min(len(content), HEADER[kind])), chance.choice((1, 2, 4))
    at, width = chance.choice(known) if known and chance.random() < 0.7 else anywhere
    value = chance.choice(EXTREMES) & ((1 << 8 * width) - 1)
    content[at : at + width] = value.to_bytes(width, chance.choice(("little", "big")))


def fields(content: bytearray, kind: str) -> list[tuple[int, int]]:
    """Return (place, bytes) of fields that say how large something is."""
    if kind == "png":
        return [(16, 4), (20, 4), (24, 1), (25, 1), (26, 1), (27, 1), (28, 1), (33, 4)]
    if kind == "bmp":
        return [(2, 4), (10, 4), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2), (30, 4), (34, 4), (46, 4)]
    return {"jpeg": jpeg_fields, "tiff": tiff_fields, "dicom": dicom_fields}[kind](content)


def jpeg_fields(content: bytearray) -> list[tuple[int, int]]:
    """Return the lengths of segments, and what the frame header says (ITU-T T.81 B.2.2)."""
    found = []
    for at in range(len(content) - 16):
        if content[at] == 0xFF and content[at + 1] in (*range(0xC0, 0xC5), 0xDA, 0xDB, 0xDD, 0xE0, 0xE1):
            found += [(at + 2, 2)] + ([(at + 4, 1), (at + 5, 2), (at + 7, 2), (at + 9, 1)] * (content[at + 1] < 0xC4))
    return found


def tiff_fields(content: bytearray) -> list[tuple[int, int]]:
    """Return count and value of every tag of the first directory (TIFF 6.0, section 2)."""
    if len(content) < 10:
        return []
    order = "<" if content[:2] == b"II" else ">"
    start = struct.unpack(order + "I", content[4:8])[0]
    tags = min(struct.unpack(order + "H", content[start : start + 2])[0], 40) if start + 2 <= len(content) else 0
    places = [start + 2 + 12 * tag for tag in range(tags)]
    return [(4, 4)] + [(at + step, size) for at in places for step, size in ((2, 2), (4, 4), (8, 4))]


def dicom_fields(content: bytearray) -> list[tuple[int, int]]:
    """Return length and value of the elements that decide how pixels are decoded (explicit VR, PS3.5 7.1.2)."""
    places = [content.find(struct.pack("<HH", *element)) for element in ELEMENTS]
    return [(at + step, 2) for at in places if at >= 0 for step in (6, 8)]


def mend_checksums(content: bytearray) -> None:
    """Make the checksums of a PNG's chunks right again, so that what was spoiled gets past them."""
    at = 8
    while at + 12 <= len(content):
        size = int.from_bytes(content[at : at + 4], "big")
        end = at + 8 + size
        if end + 4 > len(content):
            return
        content[end : end + 4] = struct.pack(">I", zlib.crc32(content[at + 4 : end]))
        at = end + 4
