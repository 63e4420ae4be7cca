"""PNG, JPEG, TIFF and BMP, through Pillow."""

import io

import numpy as np
from PIL import Image, ImageOps, TiffImagePlugin, UnidentifiedImageError

from cxrbox.decoding.colour import check_colour, is_tinted
from cxrbox.decoding.integrity import check_coding, check_jpeg
from cxrbox.decoding.levels import level_deep
from cxrbox.decoding.limits import check_size, distrust
from cxrbox.decoding.png import prepare_png
from cxrbox.refusals import refuse

GREY = {"1", "L", "LA", "La"}
DEEP = {"I", "F", "I;16", "I;16L", "I;16B", "I;16N"}
# Tags of TIFF, and values of theirs (TIFF 6.0).
WIDTH, BITS, PHOTOMETRIC, SAMPLE_FORMAT = 256, 258, 262, 339
WHITE_IS_ZERO, UNSIGNED, SIGNED = 0, 1, 2
BIG_TIFF = {b"+\0", b"\0+"}

# Pillow opens deep WhiteIsZero in little endian only; the other byte order differs in nothing else.
TiffImagePlugin.OPEN_INFO.setdefault((b"MM", WHITE_IS_ZERO, (1,), 1, (16,), ()), ("I;16B", "I;16B"))


def decode_picture(content: bytes, kind: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a picture, turned as its EXIF says.

    Transparency is ignored, not laid over black: where a film has any, an export added it, and the greys
    beneath it are the film's.

    Parameters
    ----------
    content : bytes
    kind : str
        "png", "jpeg", "tiff" or "bmp"; no other decoder of Pillow is tried.

    Returns
    -------
    grey : ndarray of uint8, shape (height, width)
    colour : ndarray of uint8, shape (height, width, 3), or None
        Blue, green and red, where there is any colour.

    Raises
    ------
    RefusedError
        If it is too large, too small, not whole, in strong colours, or has several frames.
    """
    if kind == "png":
        content = prepare_png(content)
    if kind == "jpeg":
        check_coding(content)
    image = _open(content, kind)
    check_size(*image.size)
    # The second picture of a phone's JPEG is a depth map or a gain map; the first one is the photo.
    if kind != "jpeg" and _has_several(image):
        raise refuse("several_pictures", "the file holds several pictures")
    if kind == "jpeg":
        check_jpeg(content)
    inverted, unsigned = _is_deep_inverted(image), _has_samples(image, "I", 32, UNSIGNED)
    signed = _has_samples(image, "L", 8, SIGNED)
    image = _load(image)
    if image.mode in DEEP:
        pixels = _to_array(image)
        film = level_deep(pixels.view(np.uint32) if unsigned else pixels)
        return ~film if inverted else film, None
    if image.mode in GREY:
        grey = _to_array(image, "L")
        return grey ^ 0x80 if signed else grey, None  # from -128 to 127, which are the bytes 128 to 255 and 0 to 127
    rgb = _to_array(image, "RGB")
    check_colour(rgb)
    return _to_array(image, "L"), rgb[..., ::-1] if is_tinted(rgb) else None


def _open(content: bytes, kind: str) -> Image.Image:
    """Read the header only."""
    with distrust():
        try:
            return Image.open(io.BytesIO(content), formats=[kind.upper()])
        except Image.DecompressionBombError:
            raise refuse("too_many_pixels", "the film has far more pixels than can be read") from None
        except UnidentifiedImageError:
            if kind == "tiff" and _names_pixels(content):
                raise refuse("unsupported_pixels", "the TIFF holds pixels of a kind that is not read") from None
            raise


def _has_several(image: Image.Image) -> bool:
    with distrust():
        return getattr(image, "is_animated", False)


def _is_deep_inverted(image: Image.Image) -> bool:
    """Tell whether a TIFF is WhiteIsZero in a depth where Pillow does not turn it over by itself."""
    with distrust():
        tags = getattr(image, "tag_v2", {})
        return image.mode in DEEP and tags.get(PHOTOMETRIC) == WHITE_IS_ZERO


def _has_samples(image: Image.Image, mode: str, bits: int, sign: int) -> bool:
    """Tell whether a TIFF that Pillow opened in a mode says that its samples are so; Pillow heeds no sign there."""
    with distrust():
        tags = getattr(image, "tag_v2", {})
        found = image.mode, tags.get(BITS), tags.get(SAMPLE_FORMAT, (UNSIGNED,))
        return found == (mode, (bits,), (sign,))


def _names_pixels(content: bytes) -> bool:
    """Tell whether the first directory of a TIFF is there, so that its kind of pixels is what Pillow does not know."""
    file = io.BytesIO(content)
    tags = TiffImagePlugin.ImageFileDirectory_v2(file.read(16 if content[2:4] in BIG_TIFF else 8))
    file.seek(tags.next)
    tags.load(file)
    return {WIDTH, BITS, PHOTOMETRIC} <= set(tags)


def _load(image: Image.Image) -> Image.Image:
    """Decode the pixels and turn them upright; Pillow throws if any are missing."""
    with distrust():
        # Bytes that Pillow hands to a decoder at a time: between two times it may wait for what is read beside it.
        image.decodermaxblock = 1 << 20
        image.load()
        ImageOps.exif_transpose(image, in_place=True)
        return image


def _to_array(image: Image.Image, mode: str | None = None) -> np.ndarray:
    with distrust():
        return np.asarray(image if mode in (None, image.mode) else image.convert(mode))
