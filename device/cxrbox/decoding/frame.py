"""The one frame of a DICOM film, out of any of the transfer syntaxes that are read (PS3.5 annex A)."""

# Before gdcm: where gdcm is the first to load libz, libz's own calls bind to the copy of zlib that gdcm carries,
# and the next PNG that anything writes or TIFF it inflates corrupts the heap (python-gdcm 3.2.6).
import zlib  # noqa: F401

import gdcm
import numpy as np
from pydicom import Dataset, uid
from pydicom.encaps import get_frame
from pydicom.pixels import get_decoder

from cxrbox.decoding.integrity import RLE_HEADER, check_jpeg, jpeg2000_size, jpeg_frames, lacks_tables, rle_sizes
from cxrbox.decoding.limits import DAMAGED, distrust
from cxrbox.refusals import refuse

# Which of pydicom's plugins decodes a syntax. One is named for each: left to choose, pydicom hands what one
# plugin found broken to the next. Pillow is the faster one for JPEG 2000 and the stricter one for JPEG.
SYNTAXES = {
    uid.ImplicitVRLittleEndian: "",
    uid.ExplicitVRLittleEndian: "",
    uid.ExplicitVRBigEndian: "",
    uid.RLELossless: "pydicom",
    uid.JPEGBaseline8Bit: "pillow",
    uid.JPEGExtended12Bit: "pillow",
    uid.JPEG2000Lossless: "pillow",
    uid.JPEG2000: "pillow",
    uid.JPEGLossless: "gdcm",
    uid.JPEGLosslessSV1: "gdcm",
    uid.JPEGLSLossless: "gdcm",
    uid.JPEGLSNearLossless: "gdcm",
}
JPEGS = {syntax for syntax in SYNTAXES if syntax in (*uid.JPEGTransferSyntaxes, *uid.JPEGLSTransferSyntaxes)}

gdcm.Trace.WarningOff()
gdcm.Trace.ErrorOff()
gdcm.Trace.DebugOff()


def decode_frame(dataset: Dataset, syntax: uid.UID | None) -> np.ndarray:
    """Return the stored values: shape (rows, columns) as stored, or (rows, columns, 3) in uint8 RGB.

    Parameters
    ----------
    dataset : Dataset
        With the whole numbers of `dicom.NUMBERS` checked.
    syntax : UID or None
        A key of `SYNTAXES`, or None if the file does not say.

    Raises
    ------
    RefusedError
        With the code damaged or out_of_memory.
    """
    syntax = syntax or _guess_syntax(dataset)
    with distrust():
        dataset.file_meta.TransferSyntaxUID = syntax
    if syntax.is_encapsulated:
        frame = _cut_out_frame(dataset)
        _check_frame(frame, dataset, syntax)
        if syntax == uid.JPEGExtended12Bit and dataset.BitsAllocated == 16:
            return _decode_extended(frame, dataset)
    else:
        _check_length(dataset)
    with distrust():
        return get_decoder(syntax).as_array(dataset, index=0, decoding_plugin=SYNTAXES[syntax])[0]


def _check_length(dataset: Dataset) -> None:
    """Refuse pixels of which a row or more would be left out: the header is of another film, or there are two."""
    row = dataset.Columns * dataset.SamplesPerPixel * dataset.BitsAllocated // 8
    if len(dataset.PixelData) >= (dataset.Rows + 1) * row:
        raise refuse("damaged", DAMAGED)


def _guess_syntax(dataset: Dataset) -> uid.UID:
    """Return the uncompressed syntax in which pydicom found the data set to be written."""
    is_implicit, is_little = dataset.original_encoding
    if is_implicit:
        return uid.ImplicitVRLittleEndian
    return uid.ExplicitVRLittleEndian if is_little else uid.ExplicitVRBigEndian


def _cut_out_frame(dataset: Dataset) -> bytes:
    with distrust():
        return get_frame(dataset.PixelData, 0, number_of_frames=1)


def _check_frame(frame: bytes, dataset: Dataset, syntax: uid.UID) -> None:
    """Refuse a frame that would decode to another size than the header says, that lacks its tables or is not whole.

    GDCM 3.2 ends the process on such frames: it writes past its buffer, or throws in C++ what nothing catches.
    What is damaged deeper inside can still do that, so films are to be decoded in a process of their own.
    """
    if syntax == uid.RLELossless:
        # PackBits adds a byte to 128 at worst, in each row (PS3.5 G.3); segments are padded to even lengths.
        rows = dataset.Rows * dataset.SamplesPerPixel * dataset.BitsAllocated // 8
        fits = RLE_HEADER < len(frame) <= rows * (dataset.Columns + dataset.Columns // 128 + 1) + 2 * RLE_HEADER
        # The byte that makes a segment's length even may be taken for one more.
        fits = fits and all(0 <= size - dataset.Rows * dataset.Columns <= 1 for size in rle_sizes(frame))
    elif syntax in uid.JPEG2000TransferSyntaxes:
        fits = jpeg2000_size(frame) == (dataset.Columns, dataset.Rows)
    else:
        shape = (dataset.Rows, dataset.Columns, dataset.SamplesPerPixel)
        found = jpeg_frames(frame)
        fits = [sizes for _, *sizes in found] == [[*shape]] and found[0][0] <= dataset.BitsAllocated
        fits = fits and not lacks_tables(frame)
    if not fits:
        raise refuse("damaged", DAMAGED)
    if syntax in JPEGS:
        check_jpeg(frame)


def _decode_extended(frame: bytes, dataset: Dataset) -> np.ndarray:
    """Return JPEG Extended of 12 bits, which neither Pillow nor pydicom's plugin for GDCM reads, but GDCM does."""
    with distrust():
        image = _wrap(frame, dataset)
        # GDCM returns char* as str; this is the way back to bytes.
        buffer = image.GetBuffer().encode("utf-8", "surrogateescape")
        kind = np.dtype("<i2" if dataset.PixelRepresentation else "<u2")
        return np.frombuffer(buffer, kind).reshape(dataset.Rows, dataset.Columns)


def _wrap(frame: bytes, dataset: Dataset) -> gdcm.Image:
    """Return an image of GDCM that has not been decoded yet."""
    fragment, fragments = gdcm.Fragment(), gdcm.SequenceOfFragments.New()
    fragment.SetByteStringValue(frame)
    fragments.AddFragment(fragment)
    element = gdcm.DataElement(gdcm.Tag(0x7FE0, 0x0010))
    element.SetValue(fragments.__ref__())
    image = gdcm.Image()
    image.SetNumberOfDimensions(2)
    image.SetDimensions((dataset.Columns, dataset.Rows, 1))
    image.SetDataElement(element)
    image.SetPhotometricInterpretation(
        gdcm.PhotometricInterpretation(gdcm.PhotometricInterpretation.GetPIType("MONOCHROME2"))
    )
    image.SetTransferSyntax(gdcm.TransferSyntax(gdcm.TransferSyntax.JPEGExtendedProcess2_4))
    bits = dataset.BitsStored
    image.SetPixelFormat(gdcm.PixelFormat(1, dataset.BitsAllocated, bits, bits - 1, dataset.PixelRepresentation))
    return image
