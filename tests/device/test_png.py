"""A PNG is handed to Pillow in one piece and inflated, and shows what it showed before."""

import io
import zlib

import cv2
import numpy as np
import pytest
from cxrbox.decoding.film import decode_film
from cxrbox.decoding.png import prepare_png
from cxrbox.errors import RefusedError
from PIL import Image

FILM = np.random.default_rng(0).integers(0, 256, (300, 301), np.uint8)
ROWS = b"".join(b"\0" + row.tobytes() for row in FILM)
PACKED = zlib.compress(ROWS)


def chunk(kind: bytes, content: bytes) -> bytes:
    return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)


def png(packed: bytes, interlaced: int = 0, depth: int = 8, colour: int = 0) -> bytes:
    header = (301).to_bytes(4) + (300).to_bytes(4) + bytes([depth, colour, 0, 0, interlaced])
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", packed) + chunk(b"IEND", b"")


def pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)))


def picture(content: bytes) -> bytes:
    """Return what the first IDAT of a PNG holds."""
    start = content.index(b"IDAT") + 4
    return content[start : start + int.from_bytes(content[start - 8 : start - 4])]


def test_a_png_in_many_chunks_is_handed_over_in_one_and_shows_the_same(tmp_path):
    film = np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)
    cv2.imwrite(str(tmp_path / "film.png"), film)
    content = (tmp_path / "film.png").read_bytes()
    whole = prepare_png(content)
    assert content.count(b"IDAT") > 1 and whole.count(b"IDAT") == 1
    assert (np.asarray(Image.open(io.BytesIO(whole))) == film).all()
    assert (decode_film(tmp_path / "film.png").grey == film).all()
    assert prepare_png(whole) == whole


def test_the_picture_of_a_png_is_not_put_together_from_places_that_lie_apart():
    """PNG 5.6: its chunks follow each other; what lies between them was put there."""
    film = np.random.default_rng(0).integers(0, 256, (300, 300), np.uint8)
    content = cv2.imencode(".png", film)[1].tobytes()
    second = content.index(b"IDAT", content.index(b"IDAT") + 4) - 4
    text = b"tEXt" + b"Comment\0between"
    between = (len(text) - 4).to_bytes(4) + text + zlib.crc32(text).to_bytes(4)
    apart = content[:second] + between + content[second:]
    assert prepare_png(apart) == apart


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_a_prepared_png_shows_the_same_in_every_mode(mode):
    written = io.BytesIO()
    grey = Image.fromarray(FILM)
    (Image.fromarray(FILM.astype(np.uint16) * 257) if mode == "I;16" else grey.convert(mode)).save(written, "PNG")
    prepared = prepare_png(written.getvalue())
    assert prepared != written.getvalue() and (pixels(prepared) == pixels(written.getvalue())).all()
    # Stored as it is: what is not compressed is as long as its rows.
    assert len(picture(prepared)) > len(zlib.decompress(picture(prepared)))


def test_a_picture_that_ends_too_early_is_refused(tmp_path):
    """Pillow alone fills in what is missing."""
    (tmp_path / "film.png").write_bytes(png(zlib.compress(ROWS[: -10 * 302])))
    assert pixels((tmp_path / "film.png").read_bytes()).shape == FILM.shape
    with pytest.raises(RefusedError) as refusal:
        decode_film(tmp_path / "film.png")
    assert refusal.value.code == "damaged"


@pytest.mark.parametrize(
    "packed",
    [PACKED[:-1] + bytes([PACKED[-1] ^ 1]), b"\x79" + PACKED[1:], PACKED[: len(PACKED) // 2], b"", b"no stream"],
    ids=["checksum", "header", "cut off", "empty", "no stream"],
)
def test_a_stream_that_is_broken_is_left_for_pillow_to_refuse(tmp_path, packed):
    assert picture(prepare_png(png(packed))) == packed
    (tmp_path / "film.png").write_bytes(png(packed))
    with pytest.raises(RefusedError) as refusal:
        decode_film(tmp_path / "film.png")
    assert refusal.value.code == "damaged"


def test_bytes_behind_the_picture_do_no_harm(tmp_path):
    for packed in (PACKED + b"behind", zlib.compress(ROWS + bytes(3020))):
        (tmp_path / "film.png").write_bytes(png(packed))
        assert (decode_film(tmp_path / "film.png").grey == FILM).all()


def test_what_is_interlaced_or_large_is_inflated_by_pillow(monkeypatch):
    assert picture(prepare_png(png(PACKED, interlaced=1))) == PACKED
    assert picture(prepare_png(png(PACKED))) != PACKED
    monkeypatch.setattr("cxrbox.decoding.png.LARGEST", len(ROWS) - 1)
    assert picture(prepare_png(png(PACKED))) == PACKED


@pytest.mark.parametrize("kind", [b"IHDR", b"IDAT"])
def test_a_png_without_its_header_or_its_picture_is_left_for_pillow_to_refuse(tmp_path, kind):
    content = png(PACKED)
    start = content.index(kind) - 4
    without = content[:start] + content[start + 12 + int.from_bytes(content[start : start + 4]) :]
    assert prepare_png(without) == without
    (tmp_path / "film.png").write_bytes(without)
    with pytest.raises(RefusedError) as refusal:
        decode_film(tmp_path / "film.png")
    assert refusal.value.code == "damaged"
