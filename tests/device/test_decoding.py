"""Films of every kind that is read: they come out whole, bone bright, and as their header says."""

import csv
import struct
import threading
import warnings
from pathlib import Path

import cv2
import gdcm
import numpy as np
import pydicom
import pytest
from cxrbox.decoding.colour import tint_spread
from cxrbox.decoding.film import decode_film
from cxrbox.decoding.limits import distrust
from cxrbox.errors import RefusedError
from cxrbundle.phantom import draw_phantom
from PIL import Image, TiffImagePlugin
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.pixels import apply_modality_lut, apply_voi_lut, apply_windowing
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

SHARED = Path(__file__).parents[3] / "shared" / "cxr"
FILM = cv2.resize(draw_phantom(7), (120, 100))  # grey 8 bits, (100, 120): no side equals the other
DEEP = FILM.astype(np.uint16) * 200 + 3000
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the public films of ../shared/cxr are not here")


def make_dicom(path: Path, pixels: np.ndarray, syntax: UID = ExplicitVRLittleEndian, **elements) -> Path:
    """Write a DX chest film; `elements` are set by keyword, None removes."""
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = syntax
    implicit, little = syntax.is_implicit_VR, syntax.is_little_endian
    dataset = FileDataset(path, {}, b"\0" * 128, meta, is_implicit_VR=implicit, is_little_endian=little)
    stored = 8 * pixels.dtype.itemsize
    dataset.update({"PatientName": "SECRET^PATIENT", "Modality": "DX", "BodyPartExamined": "CHEST"})
    defaults = {
        "ViewPosition": "PA",
        "SamplesPerPixel": 1 if pixels.ndim == 2 else 3,
        "PhotometricInterpretation": "MONOCHROME2" if pixels.ndim == 2 else "RGB",
        "Rows": pixels.shape[0],
        "Columns": pixels.shape[1],
        "BitsAllocated": stored,
        "BitsStored": stored,
        "PixelRepresentation": int(pixels.dtype.kind == "i"),
    }
    if pixels.ndim == 3:
        defaults["PlanarConfiguration"] = 0
    for keyword, value in (defaults | elements).items():
        if value is None:
            dataset.pop(keyword, None)
        else:
            setattr(dataset, keyword, value)
    dataset.HighBit = elements.get("HighBit", dataset.BitsStored - 1)
    order = ">" if syntax == ExplicitVRBigEndian else "<"
    dataset.PixelData = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    dataset["PixelData"].VR = "OB" if stored == 8 else "OW"
    dataset.save_as(path, enforce_file_format=True)
    return path


def code_of(path: Path) -> str:
    with pytest.raises(RefusedError) as refusal:
        decode_film(path)
    assert "SECRET" not in refusal.value.reason
    return refusal.value.code


def expected_deep(values: np.ndarray) -> np.ndarray:
    low, high = np.percentile(values, (0.1, 99.9), method="inverted_cdf")
    return np.clip((values - float(low)) / (float(high) - low), 0, 1) * 255


def assert_close(film: np.ndarray, expected: np.ndarray, steps: float = 1):
    assert film.dtype == np.uint8
    assert film.flags.c_contiguous
    assert film.shape == expected.shape
    assert np.abs(film.astype(float) - expected).max() <= steps


# Pictures


@pytest.mark.parametrize(
    ("suffix", "kind", "steps"), [("png", "png", 0), ("tif", "tiff", 0), ("bmp", "bmp", 0), ("jpg", "jpeg", 40)]
)
def test_grey_pictures_come_out_as_they_are(tmp_path, suffix, kind, steps):
    Image.fromarray(FILM).save(tmp_path / f"film.{suffix}")
    (tmp_path / f"film.{suffix}").rename(tmp_path / "film.dcm")  # the suffix lies
    film = decode_film(tmp_path / "film.dcm")
    assert (film.format, film.source, film.view) == (kind, "picture", None)
    assert_close(film.grey, FILM, steps)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "CMYK", "YCbCr"])
def test_every_mode_becomes_grey(tmp_path, mode):
    Image.fromarray(FILM).convert(mode).save(tmp_path / "film", format="TIFF")
    expected = np.asarray(Image.fromarray(FILM).convert(mode).convert("L"))
    assert_close(decode_film(tmp_path / "film").grey, expected)


@pytest.mark.parametrize("greys", [2, 4, 16])
def test_a_film_in_few_greys_is_refused_and_one_without_contrast_is_not_called_so(tmp_path, greys):
    few = (FILM.astype(int) * greys // 256 * (255 // (greys - 1))).astype(np.uint8)
    Image.fromarray(few).save(tmp_path / "film.png")
    with pytest.raises(RefusedError, match=f"only {len(np.unique(few))} shades of grey") as refused:
        decode_film(tmp_path / "film.png")
    assert refused.value.code == "few_greys"
    Image.fromarray(few // 64).save(tmp_path / "dark.png")
    assert np.ptp(decode_film(tmp_path / "dark.png").grey) < 8


def test_deep_colours_that_keep_few_greys_are_refused(tmp_path):
    """Pillow keeps the higher byte alone, in which a film of 12 bits has 16 greys."""
    cv2.imwrite(str(tmp_path / "film.png"), cv2.merge([FILM.astype(np.uint16) * 16] * 3))
    assert code_of(tmp_path / "film.png") == "few_greys"


def test_transparency_is_ignored(tmp_path):
    alpha = Image.fromarray(np.tile(np.arange(120, dtype=np.uint8), (100, 1)))
    Image.merge("LA", (Image.fromarray(FILM), alpha)).save(tmp_path / "film.png")
    assert_close(decode_film(tmp_path / "film.png").grey, FILM, 0)


def test_films_decoded_side_by_side_are_silent_to_the_last_and_not_beyond():
    inside, leave = threading.Event(), threading.Event()

    def decode():
        with distrust():
            inside.set()
            leave.wait(10)
            warnings.warn("quotes a name", stacklevel=1)

    thread = threading.Thread(target=decode)
    filters = warnings.filters[:]
    with warnings.catch_warnings(record=True) as told:
        with distrust():
            thread.start()
            inside.wait(10)
        leave.set()
        thread.join()
    assert told == [] and warnings.filters[:] == filters


def test_palette_with_transparency_raises_no_warning(tmp_path):
    Image.fromarray(FILM).convert("P").save(tmp_path / "film.png", transparency=bytes(range(256)))
    assert decode_film(tmp_path / "film.png").grey.shape == FILM.shape


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif"])
def test_orientation_is_applied_once(tmp_path, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate 90 degrees clockwise
    Image.fromarray(FILM).save(tmp_path / f"film.{suffix}", exif=exif)
    assert_close(decode_film(tmp_path / f"film.{suffix}").grey, np.rot90(FILM, -1), 40 if suffix == "jpg" else 0)


def test_photo_with_a_depth_map_is_its_first_picture(tmp_path):
    first, depth = Image.fromarray(FILM), Image.fromarray(FILM[::4, ::4])
    first.save(tmp_path / "film.jpg", format="MPO", save_all=True, append_images=[depth])
    assert decode_film(tmp_path / "film.jpg").grey.shape == FILM.shape


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("compression", [None, "tiff_lzw"])
@pytest.mark.parametrize("inverted", [False, True])
def test_deep_tiff(tmp_path, order, compression, inverted):
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    if inverted:
        tags[262] = 0  # PhotometricInterpretation: WhiteIsZero
    stored = (~DEEP if inverted else DEEP).astype(f"{order}u2")
    Image.fromarray(stored).save(tmp_path / "film.tif", tiffinfo=tags, compression=compression)
    assert_close(decode_film(tmp_path / "film.tif").grey, expected_deep(DEEP))


def test_white_is_zero_in_8_bits(tmp_path):
    Image.fromarray(~FILM).save(tmp_path / "film.tif", tiffinfo={262: 0})
    film = decode_film(tmp_path / "film.tif").grey
    with Image.open(tmp_path / "film.tif") as image:
        assert image.tag_v2[262] == 0
        assert_close(film, np.asarray(image), 0)


@pytest.mark.parametrize("kind", [np.uint16, np.int32, np.float32])
def test_deep_pictures_are_levelled_between_robust_percentiles(tmp_path, kind):
    values = DEEP.astype(kind) * kind(1) - kind(2500)
    values[0, 0] = 60000  # one dead pixel must not make the film dark
    Image.fromarray(values).save(tmp_path / "film.tif")
    assert_close(decode_film(tmp_path / "film.tif").grey, expected_deep(values), 2)


def test_deep_png(tmp_path):
    Image.fromarray(DEEP).save(tmp_path / "film.png")
    assert_close(decode_film(tmp_path / "film.png").grey, expected_deep(DEEP))


def make_tiff(path: Path, pixels: np.ndarray, sample_format: int) -> Path:
    """Write a grey TIFF in one strip, of kinds of samples that Pillow does not write."""
    height, width = pixels.shape
    tags = [
        (256, width),
        (257, height),
        (258, 8 * pixels.dtype.itemsize),
        (259, 1),
        (262, 1),
        (273, 8 + 2 + 12 * 9 + 4),
        (277, 1),
        (279, pixels.nbytes),
        (339, sample_format),
    ]
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    path.write_bytes(b"II*\0\x08\0\0\0" + struct.pack("<H", len(tags)) + entries + bytes(4) + pixels.tobytes())
    return path


def test_tiff_of_32_bits_without_a_sign_is_read_to_its_top(tmp_path):
    Image.fromarray(FILM.astype(np.float32)).save(tmp_path / "float.tif")
    film = decode_film(make_tiff(tmp_path / "film", FILM.astype(np.uint32) << 24, 1)).grey
    np.testing.assert_array_equal(film, decode_film(tmp_path / "float.tif").grey)


def test_tiff_of_signed_bytes_is_read_from_its_bottom(tmp_path):
    film = decode_film(make_tiff(tmp_path / "film", (FILM.astype(int) - 128).astype(np.int8), 2)).grey
    assert_close(film, FILM, 0)


def test_tiff_of_a_kind_that_is_not_read_is_not_called_damaged(tmp_path):
    path = make_tiff(tmp_path / "film", FILM.astype(np.float64), 3)
    assert code_of(path) == "unsupported_pixels"
    path.write_bytes(path.read_bytes()[:40])
    assert code_of(path) == "damaged"


@pytest.mark.parametrize("name", ["JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEGExtendedProcess2_4"])
def test_jpeg_that_is_no_picture_of_8_bits_is_not_called_damaged(tmp_path, name):
    source = make_dicom(tmp_path / "source", FILM.astype(np.uint16) * 16, BitsStored=12)
    dicom = pydicom.dcmread(recompress(source, tmp_path / "film", getattr(gdcm.TransferSyntax, name)))
    (tmp_path / "film.jpg").write_bytes(get_frame(dicom.PixelData, 0, number_of_frames=1))
    assert code_of(tmp_path / "film.jpg") == "unsupported_compression"


def test_float_picture_with_numbers_that_are_none(tmp_path):
    values = DEEP.astype(np.float32)
    values[0, :3] = np.nan, np.inf, -np.inf
    Image.fromarray(values).save(tmp_path / "film.tif")
    film = decode_film(tmp_path / "film.tif").grey
    assert film[0, 1] == 255
    assert_close(film[1:], expected_deep(DEEP)[1:], 2)


def test_flat_films_are_decoded(tmp_path):
    Image.fromarray(np.full((80, 80), 1234, np.uint16)).save(tmp_path / "film.png")
    assert not decode_film(tmp_path / "film.png").grey.any()


def test_tinted_film_passes_and_colour_photo_does_not(tmp_path):
    blue = np.stack([FILM * 0.55, FILM * 0.65, FILM * 0.9], -1).astype(np.uint8)
    Image.fromarray(blue).save(tmp_path / "blue.png")
    assert decode_film(tmp_path / "blue.png").grey.shape == FILM.shape
    hues = np.stack([FILM, np.roll(FILM, 40, 1), np.roll(FILM, 80, 1)], -1)
    Image.fromarray(hues).save(tmp_path / "colours.png")
    assert code_of(tmp_path / "colours.png") == "colour_picture"


@pytest.mark.parametrize("suffix", ["tif", "png"])
def test_several_pictures_are_refused(tmp_path, suffix):
    pages = [Image.fromarray(FILM), Image.fromarray(~FILM)]
    pages[0].save(tmp_path / f"films.{suffix}", save_all=True, append_images=pages[1:])
    assert code_of(tmp_path / f"films.{suffix}") == "several_pictures"


# DICOM


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
@pytest.mark.parametrize("pixels", [FILM, DEEP], ids=["8 bit", "16 bit"])
def test_native_syntaxes(tmp_path, syntax, pixels):
    film = decode_film(make_dicom(tmp_path / "film", pixels, syntax))
    assert (film.format, film.source, film.view) == ("dicom", "dicom", "PA")
    assert_close(film.grey, FILM if pixels is FILM else expected_deep(DEEP))


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_dicom_without_preamble_and_meta(tmp_path, syntax):
    content = make_dicom(tmp_path / "film", DEEP, syntax).read_bytes()
    length = int.from_bytes(content[140:144], "little")
    (tmp_path / "bare").write_bytes(content[144 + length :])
    assert_close(decode_film(tmp_path / "bare").grey, expected_deep(DEEP))
    (tmp_path / "meta").write_bytes(content[132:])
    assert_close(decode_film(tmp_path / "meta").grey, expected_deep(DEEP))


def test_monochrome1_and_inverse_turn_over_once(tmp_path):
    for elements in (
        {"PhotometricInterpretation": "MONOCHROME1"},
        {"PresentationLUTShape": "INVERSE"},
        {"PhotometricInterpretation": "MONOCHROME1", "PresentationLUTShape": "INVERSE"},
    ):
        assert_close(decode_film(make_dicom(tmp_path / "film", ~FILM, **elements)).grey, FILM, 0)


@pytest.mark.parametrize("photometric", ["MONOCHROME1", "MONOCHROME2"])
@pytest.mark.parametrize(
    ("kind", "value", "elements"),
    [
        ("u2", 65535, {"PixelPaddingValue": 65535}),
        ("u2", 0, {"PixelPaddingValue": 0}),
        ("i2", -32768, {"PixelPaddingValue": -32768}),
        ("i2", -2000, {"PixelPaddingValue": -1900, "PixelPaddingRangeLimit": -2100}),
        ("u1", 255, {"PixelPaddingValue": 255}),
    ],
)
def test_padding_is_black_and_sets_no_range(tmp_path, photometric, kind, value, elements):
    deep = (FILM if kind == "u1" else DEEP).astype(kind)
    # No grey of the film is the padding's.
    deep = np.clip(deep, 1, 254) if kind == "u1" else deep
    stored = deep if photometric == "MONOCHROME2" else deep.max() + deep.min() - deep
    alone = decode_film(make_dicom(tmp_path / "alone", stored, PhotometricInterpretation=photometric)).grey
    beside = np.full((len(stored), 30), value, kind)
    padded = np.hstack([beside, stored, beside])
    film = decode_film(make_dicom(tmp_path / "film", padded, PhotometricInterpretation=photometric, **elements)).grey
    np.testing.assert_array_equal(film[:, 30:-30], alone)
    assert film[:, :30].max() == film[:, -30:].max() == 0


@pytest.mark.parametrize("value", ["70000", "x", "", ["1", "2"]])
def test_padding_that_no_pixel_can_have_is_none(tmp_path, value):
    path = make_dicom(tmp_path / "film", DEEP)
    dataset = pydicom.dcmread(path)
    dataset.add_new("PixelPaddingValue", "LO", value)
    dataset.save_as(path)
    np.testing.assert_array_equal(decode_film(path).grey, decode_film(make_dicom(tmp_path / "plain", DEEP)).grey)


def test_a_film_that_is_padding_throughout_is_shown_by_its_values(tmp_path):
    film = decode_film(make_dicom(tmp_path / "film", np.full((100, 120), 7, "u2"), PixelPaddingValue=7)).grey
    assert film.max() == film.min() == 0


def shown(path: Path) -> np.ndarray:
    """Return what pydicom makes of a film's modality and VOI transformation, 0 to 255."""
    dataset = pydicom.dcmread(path)
    values = apply_modality_lut(dataset.pixel_array, dataset)
    voi = dataset.get("VOILUTSequence")
    greys = apply_voi_lut(values.astype(int) if voi else values, dataset)
    if voi:
        return greys / (2 ** voi[0].LUTDescriptor[2] - 1) * 255
    ends = [dataset.RescaleSlope * at + dataset.RescaleIntercept for at in (0, 2**dataset.BitsStored - 1)]
    if dataset.PixelRepresentation:
        half = 2 ** (dataset.BitsStored - 1)
        ends = [dataset.RescaleSlope * at + dataset.RescaleIntercept for at in (-half, half - 1)]
    return (greys - ends[0]) / (ends[1] - ends[0]) * 255


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("bits", "signed"), [(12, False), (16, False), (12, True), (16, True), (8, False)])
def test_windows_are_pydicoms_to_a_grey_step(tmp_path, function, bits, signed):
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1)) if signed else (0, 2**bits)
    pixels = np.linspace(low, high - 1, FILM.size).reshape(FILM.shape)
    pixels = pixels.astype(f"{'i' if signed else 'u'}{1 if bits == 8 else 2}")
    middle = (low + high) / 2 * 0.5 - 30
    path = make_dicom(
        tmp_path / "film",
        pixels,
        BitsStored=bits,
        RescaleSlope="0.5",
        RescaleIntercept="-30",
        WindowCenter=[str(middle), "1"],
        WindowWidth=[str((high - low) * 0.3), "2"],
        VOILUTFunction=function,
    )
    assert_close(decode_film(path).grey, shown(path))


def test_window_without_rescale(tmp_path):
    path = make_dicom(tmp_path / "film", DEEP, WindowCenter="25000", WindowWidth="20000")
    dataset = pydicom.dcmread(path)
    assert_close(decode_film(path).grey, apply_windowing(dataset.pixel_array, dataset) / 65535 * 255)


def lut_item(entries: int, first: int, bits: int, said: int | None = None) -> Dataset:
    """Return a LUT whose entries have so many bits, and whose descriptor says so or something else."""
    item = Dataset()
    item.LUTDescriptor = [entries, first, said or bits]
    curve = (np.linspace(0, 1, entries) ** 0.5 * (2**bits - 1)).astype("<u2")
    item.add_new("LUTData", "OW", curve.tobytes())
    return item


@pytest.mark.parametrize("bits", [10, 12, 16])
def test_voi_lut_sequence_is_pydicoms_to_a_grey_step(tmp_path, bits):
    item = lut_item(4000, 100, bits)
    path = make_dicom(
        tmp_path / "film", DEEP // 14, BitsStored=12, VOILUTSequence=[item], WindowCenter="1", WindowWidth="2"
    )
    assert_close(decode_film(path).grey, shown(path))


def test_modality_lut_sequence(tmp_path):
    path = make_dicom(tmp_path / "film", DEEP // 14, BitsStored=12, ModalityLUTSequence=[lut_item(4096, 0, 16)])
    dataset = pydicom.dcmread(path)
    assert_close(decode_film(path).grey, expected_deep(apply_modality_lut(dataset.pixel_array, dataset)))


def test_negative_slope_turns_the_film_over(tmp_path):
    path = make_dicom(tmp_path / "film", ~FILM, RescaleSlope="-1", RescaleIntercept="255")
    assert_close(decode_film(path).grey, FILM, 0)


@pytest.mark.parametrize(
    "elements",
    [
        {"WindowCenter": "0", "WindowWidth": "0"},
        {"WindowCenter": "0", "WindowWidth": "1"},
        {"WindowCenter": "20000", "WindowWidth": "1"},
        {"WindowCenter": "-90000", "WindowWidth": "10"},
        {"WindowCenter": "1", "WindowWidth": "-5"},
        {"WindowCenter": "20000", "WindowWidth": "900000000"},
        {"WindowCenter": "20000", "WindowWidth": "300000"},
        {"WindowCenter": "20000", "WindowWidth": "30000", "VOILUTFunction": "ODD"},
        {"WindowCenter": "20000"},
        {"VOILUTSequence": [lut_item(2, 60000, 16)]},
        {"VOILUTSequence": [lut_item(60000, 0, 12, said=16)]},
        {"RescaleSlope": "0", "RescaleIntercept": "5"},
        {"RescaleSlope": "1e305", "RescaleIntercept": "0"},
    ],
    ids=str,
)
def test_windows_that_show_nothing_give_way_to_the_percentiles(tmp_path, elements):
    path = make_dicom(tmp_path / "film", DEEP, **elements)
    assert_close(decode_film(path).grey, expected_deep(DEEP))


def test_unused_bits_are_masked(tmp_path):
    pixels = (FILM.astype(np.uint16) * 16) | 0xF000
    expected = expected_deep(FILM.astype(np.uint16) * 16)
    assert_close(decode_film(make_dicom(tmp_path / "film", pixels, BitsStored=12)).grey, expected)


def test_pixels_that_begin_above_the_lowest_bit(tmp_path):
    twelve = FILM.astype(np.uint16) * 16
    plain = decode_film(make_dicom(tmp_path / "plain", twelve, BitsStored=12)).grey
    film = decode_film(make_dicom(tmp_path / "film", twelve * 16, BitsStored=12, HighBit=15)).grey
    np.testing.assert_array_equal(film, plain)
    # A header that says so of pixels that do begin with it.
    film = decode_film(make_dicom(tmp_path / "film", twelve, BitsStored=12, HighBit=15)).grey
    np.testing.assert_array_equal(film, plain)


def test_colour_dicom_becomes_grey(tmp_path):
    path = make_dicom(tmp_path / "film", np.stack([FILM] * 3, -1))
    assert_close(decode_film(path).grey, FILM)


def recompress(source: Path, target: Path, syntax: int) -> Path:
    reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
    reader.SetFileName(str(source))
    assert reader.Read()
    change.SetTransferSyntax(gdcm.TransferSyntax(syntax))
    change.SetInput(reader.GetImage())
    assert change.Change()
    writer.SetFileName(str(target))
    writer.SetFile(reader.GetFile())
    writer.SetImage(change.GetOutput())
    assert writer.Write()
    return target


COMPRESSED = {
    "JPEGBaselineProcess1": "8 bit",
    "JPEGExtendedProcess2_4": "8 bit",  # GDCM reads 12 bits too, but does not write them: see the next test
    "JPEGLosslessProcess14": "lossless",
    "JPEGLosslessProcess14_1": "lossless",
    "JPEGLSLossless": "lossless",
    "JPEGLSNearLossless": "lossless",
    "JPEG2000Lossless": "lossless",
    "JPEG2000": "lossless",
    "RLELossless": "lossless",
}


@pytest.mark.parametrize("name", COMPRESSED)
def test_compressed_syntaxes_and_their_truncation(tmp_path, name):
    depth = COMPRESSED[name]
    pixels = FILM if depth == "8 bit" else FILM.astype(np.uint16) * 16
    source = make_dicom(tmp_path / "source", pixels, BitsStored=8 if depth == "8 bit" else 12)
    plain = decode_film(source).grey
    path = recompress(source, tmp_path / "film", getattr(gdcm.TransferSyntax, name))
    assert pydicom.dcmread(path).file_meta.TransferSyntaxUID.is_encapsulated
    assert_close(decode_film(path).grey, plain, 0 if depth == "lossless" else 40)
    content = path.read_bytes()
    start = content.index(b"\xe0\x7f\x10\x00")
    for cut in (start + 4, start + 60, (start + len(content)) // 2, len(content) - 120):
        path.write_bytes(content[:cut])
        assert code_of(path) == "damaged"


def test_jpeg_extended_of_12_bits(tmp_path):
    # The one such film in reach shows a scintigram; pydicom documents two of its values.
    dataset = pydicom.dcmread(get_testdata_file("JPEG-lossy.dcm"))
    dataset.Modality, dataset.BodyPartExamined = "CR", "CHEST"
    dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = "127.5", "255", "LINEAR_EXACT"
    for keyword in ("RescaleSlope", "RescaleIntercept"):
        dataset.pop(keyword, None)
    dataset.save_as(tmp_path / "film")
    film = decode_film(tmp_path / "film").grey
    assert film.shape == (1024, 256)
    assert (film[420, 140], film[230, 120]) == (244, 95)


def test_frame_of_another_size_than_the_header_is_damaged(tmp_path):
    source = make_dicom(tmp_path / "source", DEEP)
    for syntax in ("JPEGLosslessProcess14_1", "JPEGLSLossless", "JPEG2000Lossless", "RLELossless"):
        path = recompress(source, tmp_path / "film", getattr(gdcm.TransferSyntax, syntax))
        dataset = pydicom.dcmread(path)
        dataset.Rows, dataset.Columns = 70, 70
        dataset.save_as(path)
        assert code_of(path) == "damaged"


@pytest.mark.parametrize(
    ("elements", "code"),
    [
        ({"Modality": "CT"}, "wrong_modality"),
        ({"Modality": "SECRET"}, "wrong_modality"),
        ({"BodyPartExamined": "SECRET"}, "wrong_body_part"),
        ({"BodyPartExamined": "HAND"}, "wrong_body_part"),
        ({"BodyPartExamined": "BRUSTWIRBEL"}, "wrong_body_part"),
        ({"BodyPartExamined": "THORACICSPINE"}, "wrong_body_part"),
        ({"ViewPosition": "OBLIQUE"}, "lateral_view"),
        ({"ViewPosition": "PA_OBL"}, "lateral_view"),
        ({"ViewPosition": "DECUBITUS"}, "lateral_view"),
        ({"ViewPosition": "SWIMMERS"}, "lateral_view"),
        ({"ViewPosition": "XTABLE"}, "lateral_view"),
        ({"ViewPosition": "", "PatientOrientation": ["A", "F"]}, "lateral_view"),
        ({"ViewPosition": None, "PatientOrientation": ["P", "FR"]}, "lateral_view"),
        ({"ViewPosition": "LL"}, "lateral_view"),
        ({"ViewPosition": "LATERAL"}, "lateral_view"),
        ({"ViewPosition": "LLO"}, "lateral_view"),
        ({"Rows": 20, "Columns": 600}, "too_small"),
        ({"Rows": 60000, "Columns": 60000}, "too_many_pixels"),
        ({"Rows": 0}, "damaged"),
        ({"Rows": 101}, "damaged"),
        ({"Rows": 90}, "damaged"),
        ({"NumberOfFrames": 2}, "several_pictures"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "unsupported_pixels"),
        ({"BitsStored": 4}, "unsupported_pixels"),
        ({"BitsAllocated": None}, "unsupported_pixels"),
    ],
    ids=str,
)
def test_headers_that_are_refused(tmp_path, elements, code):
    assert code_of(make_dicom(tmp_path / "film", FILM, **elements)) == code


@pytest.mark.parametrize(
    "elements",
    [
        {"Modality": None, "BodyPartExamined": None, "ViewPosition": None},
        {"Modality": "CR", "BodyPartExamined": "Thorax", "ViewPosition": "SECRET"},
        {"Modality": "OT", "BodyPartExamined": "LUNGS", "ViewPosition": ""},
        {"BodyPartExamined": "Tórax", "SpecificCharacterSet": "ISO_IR 192", "ViewPosition": ""},
        {"BodyPartExamined": "BRUST", "ViewPosition": "", "PatientOrientation": ["L", "F"]},
        {"BodyPartExamined": "UNKNOWN", "ViewPosition": "", "PatientOrientation": ""},
    ],
    ids=str,
)
def test_headers_that_say_little_pass(tmp_path, elements):
    film = decode_film(make_dicom(tmp_path / "film", FILM, **elements))
    assert film.view is None
    assert_close(film.grey, FILM, 0)


def test_lateral_by_code(tmp_path):
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "399173006", "SCT", "left lateral"
    assert code_of(make_dicom(tmp_path / "film", FILM, ViewPosition="", ViewCodeSequence=[code])) == "lateral_view"


def test_dicom_without_pixels(tmp_path):
    dataset = pydicom.dcmread(make_dicom(tmp_path / "film", FILM))
    del dataset.PixelData
    dataset.save_as(tmp_path / "film")
    assert code_of(tmp_path / "film") == "no_pixels"


def test_unsupported_compression_is_named(tmp_path):
    dataset = pydicom.dcmread(make_dicom(tmp_path / "film", FILM))
    for syntax, name in (
        ("1.2.840.10008.1.2.4.102", "MPEG-4 AVC/H.264 High Profile"),
        ("1.2.840.10008.1.2.1.99", "Deflated Explicit VR Little Endian"),
        ("1.2.3.4", "an unknown one"),
    ):
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = encapsulate([b"\0" * 64])
        dataset["PixelData"].VR = "OB"
        dataset.save_as(tmp_path / "film")
        with pytest.raises(RefusedError, match=name) as refusal:
            decode_film(tmp_path / "film")
        assert refusal.value.code == "unsupported_compression"


# Real films


def shared_rows() -> list[dict]:
    manifest = SHARED / "dicom" / "manifest.csv"
    return list(csv.DictReader(manifest.read_text().splitlines())) if manifest.is_file() else []


REFUSED = {"dicom/udacity_test4.dcm": "wrong_body_part", "dicom/udacity_test5.dcm": "wrong_modality"}


@needs_shared
@pytest.mark.parametrize("row", shared_rows(), ids=lambda row: row["path"])
def test_real_dicom_behaves_as_its_manifest_says(row):
    path = SHARED / row["path"]
    if row["path"] in REFUSED:
        assert code_of(path) == REFUSED[row["path"]]
        return
    film = decode_film(path)
    assert film.grey.shape == (int(row["rows"]), int(row["cols"]))
    original = SHARED / "fullres" / (row["nih_file"] or "none")
    if original.is_file():
        assert_close(film.grey, decode_film(original).grey, 0)
    elif row["nih_file"]:
        assert (film.grey == pydicom.dcmread(path).pixel_array).all()


@needs_shared
def test_real_monochrome1_has_dark_lungs_and_compression_changes_nothing():
    plain = decode_film(SHARED / "dicom/RG1_UNCR.dcm").grey
    assert (plain == decode_film(SHARED / "dicom/RG1_J2KR.dcm").grey).all()
    assert_close(decode_film(SHARED / "dicom/RG1_J2KI.dcm").grey, plain, 8)
    lung, spine = plain[500:700, 400:600], plain[1200:1500, 850:950]
    assert lung.mean() + 60 < spine.mean()


@needs_shared
@pytest.mark.parametrize("path", sorted(SHARED.glob("photos/*.jpg")), ids=lambda path: path.name)
def test_photographs_of_films_pass(path):
    with Image.open(path) as photo:
        assert tint_spread(np.asarray(photo.convert("RGB"))) < 15
    assert decode_film(path).source == "picture"
