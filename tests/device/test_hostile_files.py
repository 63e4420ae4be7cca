"""Files that are no film, or half of one: refused by name, at once, and never with anything else than a refusal."""

import errno
import os
import re
import struct
import subprocess
import sys
import time
import tracemalloc
import zlib
from pathlib import Path

import cv2
import gdcm
import numpy as np
import pydicom
import pytest
from cxrbox.decoding import reading as reading_module
from cxrbox.decoding.film import decode_film
from cxrbox.decoding.limits import MAX_BYTES
from cxrbox.errors import RefusedError
from cxrbox.refusals import ADVICE, refuse
from cxrbundle.phantom import draw_phantom
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import RLELossless
from test_decoding import FILM, code_of, make_dicom, recompress

KINDS = {"png": "PNG", "jpeg": "JPEG", "tiff": "TIFF", "bmp": "BMP"}


def test_every_code_that_is_raised_has_its_advice():
    sources = (Path(reading_module.__file__).parent).glob("*.py")
    used = {code for source in sources for code in re.findall(r'refuse\(\s*"(\w+)"', source.read_text())}
    assert used <= set(ADVICE)
    for code in ("blank", "reader_crashed", "took_too_long", "out_of_memory", "folder_empty", "vanished"):
        assert refuse(code, "why").reason == f"why; {ADVICE[code]}"


def test_what_is_no_file(tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "link").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "fifo")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(2 * 2**30)
    for name, code in {
        "none": "missing",
        "empty/below": "missing",
        "n" * 300: "missing",
        "null\0": "missing",
        "link": "broken_link",
        "loop": "broken_link",
        ".": "directory",
        "fifo": "not_a_file",
        "empty": "empty",
        "sparse": "file_too_large",
    }.items():
        assert code_of(tmp_path / name) == code, name
    assert code_of(Path("/dev/zero")) == "not_a_file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_permission_denied(tmp_path):
    Image.fromarray(FILM).save(tmp_path / "film.png")
    (tmp_path / "film.png").chmod(0)
    assert code_of(tmp_path / "film.png") == "unreadable"


@pytest.mark.parametrize(
    ("number", "code"), [(errno.EIO, "unreadable"), (errno.EACCES, "unreadable"), (errno.ENODEV, "vanished")]
)
def test_drives_that_fail_while_they_are_read(tmp_path, monkeypatch, number, code):
    # A drive that breaks is the one part that cannot be had for real.
    def fail(descriptor, mode):
        os.close(descriptor)
        raise OSError(number, os.strerror(number), "SECRET")

    Image.fromarray(FILM).save(tmp_path / "film.png")
    monkeypatch.setattr(reading_module.os, "fdopen", fail)
    assert code_of(tmp_path / "film.png") == code


def test_file_that_goes_between_the_look_and_the_read(tmp_path, monkeypatch):
    Image.fromarray(FILM).save(tmp_path / "film.png")
    real = reading_module._stat
    monkeypatch.setattr(reading_module, "_stat", lambda path: (real(path), path.unlink())[0])
    assert code_of(tmp_path / "film.png") == "vanished"


def test_fifo_put_in_place_of_a_film_does_not_block(tmp_path, monkeypatch):
    film = tmp_path / "film.png"
    Image.fromarray(FILM).save(film)
    real = reading_module._stat
    monkeypatch.setattr(reading_module, "_stat", lambda path: (real(path), path.unlink(), os.mkfifo(path))[0])
    assert code_of(film) == "not_a_file"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"this is text, not a film\n" * 20, "no film"),
        (b"BMW and other cars, " * 20, "no film"),
        (b"%PDF-1.7 " * 20, "PDF"),
        (b"PK\x03\x04" * 20, "ZIP"),
        (b"\0\0\0\x18ftypheic" * 20, "HEIC"),
        (b"\0" * 1000, "no film"),
        (b"x", "no film"),
    ],
)
def test_other_content_is_named(tmp_path, content, named):
    path = tmp_path / "film.png"
    path.write_bytes(content)
    with pytest.raises(RefusedError, match=named) as refusal:
        decode_film(path)
    assert refusal.value.code == "unknown_format"


def test_dicom_magic_alone(tmp_path):
    path = tmp_path / "film"
    path.write_bytes(b"\0" * 128 + b"DICM")
    assert code_of(path) == "no_pixels"


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


@pytest.mark.parametrize("side", [9000, 30000, 2**31 - 1])
def test_png_bomb_is_refused_by_its_header(tmp_path, side):
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    deflate = zlib.compressobj(9)
    data = b"".join(deflate.compress(bytes(2**20)) for _ in range(64)) + deflate.flush()
    chunks = png_chunk(b"IHDR", header) + png_chunk(b"IDAT", data) + png_chunk(b"IEND", b"")
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    tracemalloc.start()
    begin = time.monotonic()
    assert code_of(tmp_path / "bomb.png") == "too_many_pixels"
    assert time.monotonic() - begin < 1
    assert tracemalloc.get_traced_memory()[1] < 2**21
    tracemalloc.stop()


def test_png_text_bomb(tmp_path):
    notes = PngImagePlugin.PngInfo()
    notes.add_text("note", "0" * (64 * 2**20), zip=True)
    Image.fromarray(FILM).save(tmp_path / "bomb.png", pnginfo=notes)
    assert code_of(tmp_path / "bomb.png") == "damaged"


def test_tiff_of_too_many_pixels(tmp_path):
    Image.fromarray(FILM).save(tmp_path / "film.tif")
    content = bytearray((tmp_path / "film.tif").read_bytes())
    for tag in (256, 257):  # width and height
        at = content.index(struct.pack("<H", tag), int.from_bytes(content[4:8], "little"))
        content[at : at + 12] = struct.pack("<HHII", tag, 4, 1, 60000)
    (tmp_path / "film.tif").write_bytes(content)
    assert code_of(tmp_path / "film.tif") == "too_many_pixels"


def test_gdcm_leaves_the_zlib_of_others_alone():
    # Where gdcm is the first to load libz, this aborts the process with a double free.
    script = """
import cxrbox.decoding.frame, io, numpy
from PIL import Image
Image.fromarray(numpy.random.default_rng(0).integers(0, 255, (70, 70), "uint8")).save(io.BytesIO(), "PNG")
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


@pytest.mark.parametrize("size", [(100, 801), (700, 80)])
def test_what_is_longer_and_narrower_than_any_film_is_refused(tmp_path, size):
    Image.fromarray(cv2.resize(FILM, size)).save(tmp_path / "film.png")
    assert code_of(tmp_path / "film.png") == "too_narrow"


def test_thumbnails_are_too_small(tmp_path):
    Image.fromarray(FILM[:63]).save(tmp_path / "film.png")
    assert code_of(tmp_path / "film.png") == "too_small"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.98])
def test_cut_off_pictures_are_damaged(tmp_path, kind, share):
    path = tmp_path / "film"
    Image.fromarray(FILM).save(path, format=KINDS[kind])
    content = path.read_bytes()
    path.write_bytes(content[: max(20, int(len(content) * share))])
    assert code_of(path) == "damaged"


@pytest.mark.parametrize("options", [{"progressive": True}, {"quality": 95}, {"restart_marker_rows": 1}], ids=str)
@pytest.mark.parametrize("filler", [b"\0", b"\xff", b"Z"])
def test_jpeg_that_was_cut_off_and_padded_is_damaged(tmp_path, options, filler):
    path = tmp_path / "film.jpg"
    thumbnail = Image.Exif()
    thumbnail[0x9286] = b"\xff\xd8\xff\xd9"  # an end marker that is not the film's
    Image.fromarray(FILM).save(path, exif=thumbnail, **options)
    content = path.read_bytes()
    half = len(content) // 2
    path.write_bytes(content[:half] + filler * (len(content) - half))
    assert code_of(path) == "damaged"


JPEGS = {
    "baseline": {},
    "progressive": {"progressive": True},
    "optimised": {"optimize": True, "quality": 95},
    "restarts": {"restart_marker_rows": 1},
}


@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_jpeg_with_a_hole_in_its_picture_is_damaged(tmp_path, options, mode):
    path = tmp_path / "film.jpg"
    Image.fromarray(draw_phantom(7)).convert(mode).save(path, **options)
    assert decode_film(path).format == "jpeg"
    content = path.read_bytes()
    half = (content.index(b"\xff\xda") + len(content)) // 2
    path.write_bytes(content[:half] + bytes(512) + content[half + 512 :])
    assert code_of(path) == "damaged"
    path.write_bytes(content[:half] + b"\xff\xd9")
    assert code_of(path) == "damaged"


def test_dicom_with_a_hole_in_its_jpeg_is_damaged(tmp_path):
    film = recompress(
        make_dicom(tmp_path / "plain", draw_phantom(7)), tmp_path / "film", gdcm.TransferSyntax.JPEGBaselineProcess1
    )
    content = bytearray(film.read_bytes())
    half = (content.index(b"\xff\xda") + len(content)) // 2
    content[half : half + 512] = bytes(512)
    film.write_bytes(content)
    assert code_of(film) == "damaged"


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
@pytest.mark.parametrize("options", JPEGS.values(), ids=JPEGS)
def test_whole_jpegs_pass(tmp_path, options, subsampling):
    path, thumbnail = tmp_path / "film.jpg", Image.Exif()
    thumbnail[0x9286] = b"\xff\xd8\xff\xda\xff\xd9"
    for film in (Image.fromarray(FILM), Image.fromarray(FILM).convert("RGB")):
        film.save(path, exif=thumbnail, subsampling=subsampling, **options)
        assert decode_film(path).grey.shape == FILM.shape
        path.write_bytes(path.read_bytes() + b"what a program laid behind the picture" * 9)
        assert decode_film(path).grey.shape == FILM.shape


@pytest.mark.parametrize(("at", "byte"), [(b"\xff\xda", 0), (b"JFIF", 9)], ids=["scan", "revision"])
def test_jpeg_with_an_odd_header_is_no_damage(tmp_path, at, byte):
    path = tmp_path / "film.jpg"
    Image.fromarray(FILM).save(path)
    content = bytearray(path.read_bytes())
    content[content.index(at) + (8 if byte == 0 else 5)] = byte
    path.write_bytes(content)
    assert decode_film(path).grey.shape == FILM.shape


def test_rle_that_decodes_to_more_than_a_film_is_damaged(tmp_path):
    dataset = pydicom.dcmread(make_dicom(tmp_path / "film", FILM))
    dataset.compress(RLELossless)
    dataset.save_as(tmp_path / "film")
    assert (decode_film(tmp_path / "film").grey == FILM).all()
    frame = get_frame(dataset.PixelData, 0, number_of_frames=1).rstrip(b"\0")
    dataset.PixelData = encapsulate([frame + b"\xfe\x07"])  # three pixels more
    dataset.save_as(tmp_path / "film")
    assert code_of(tmp_path / "film") == "damaged"


def test_one_wrong_bit_in_a_png_is_damaged(tmp_path):
    path = tmp_path / "film.png"
    Image.fromarray(FILM).save(path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert code_of(path) == "damaged"


@pytest.mark.parametrize("share", [0.05, 0.5, 0.99])
def test_cut_off_dicom_is_refused(tmp_path, share):
    path = make_dicom(tmp_path / "film", FILM)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * share)])
    assert code_of(path) == "damaged"


def test_dicom_with_more_pixels_than_the_file(tmp_path):
    assert code_of(make_dicom(tmp_path / "film", FILM, Rows=8000, Columns=7999)) == "damaged"


def test_file_at_the_limit_is_not_too_large(tmp_path):
    path = tmp_path / "film"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    assert code_of(path) == "file_too_large"


@pytest.fixture(scope="module")
def whole_files(tmp_path_factory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("whole")
    small = FILM[:70, :70]
    for kind, name in KINDS.items():
        Image.fromarray(small).save(folder / kind, format=name)
    Image.fromarray(small).save(folder / "lzw", format="TIFF", compression="tiff_lzw")
    deep = small.astype(np.uint16) * 16
    plain = make_dicom(folder / "dicom", deep, BitsStored=12, WindowCenter="2000", WindowWidth="3000")
    for syntax in ("RLELossless", "JPEG2000Lossless", "JPEGLosslessProcess14_1", "JPEGLSLossless"):
        recompress(plain, folder / syntax, getattr(gdcm.TransferSyntax, syntax))
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_mutated_files_give_a_film_or_a_refusal(whole_files, tmp_path, capfd, data):
    content = bytearray(whole_files[data.draw(st.sampled_from(sorted(whole_files)))])
    places = st.integers(0, len(content) - 1)
    for at, byte in data.draw(st.lists(st.tuples(places, st.integers(0, 255)), min_size=1, max_size=12)):
        content[at] = byte
    if data.draw(st.booleans()):
        del content[data.draw(places) :]
    path = tmp_path / "film"
    path.write_bytes(content)
    try:
        film = decode_film(path)
    except RefusedError as refusal:
        assert refusal.code in ADVICE
        assert "SECRET" not in refusal.reason
    else:
        assert film.grey.dtype == np.uint8
        assert film.grey.ndim == 2


@pytest.mark.parametrize(
    ("at", "byte"),
    [(6, 0x80), (12, 3), (16, 0xD6), (16, 0xE1)],
    ids=["128 bits", "3 components", "no tables, no segment", "no tables"],
)
def test_lossless_jpeg_that_ends_gdcm_is_refused_before_it(whole_files, tmp_path, at, byte):
    # Found by fuzzing: each of these ended the process inside GDCM 3.2.6, or wrote past its buffer.
    content = bytearray(whole_files["JPEGLosslessProcess14_1"])
    content[content.index(b"\xff\xd8\xff\xc3") + at] = byte
    (tmp_path / "film").write_bytes(content)
    assert code_of(tmp_path / "film") == "damaged"
