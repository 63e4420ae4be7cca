"""Whom a film shows, as its header or a code in its photograph says; kept in the database alone and never logged."""

from pathlib import Path

import numpy as np
import zxingcpp
from pydicom import dcmread

from cxrbox.decoding.limits import distrust
from cxrbox.errors import RefusedError
from cxrbox.store.record_side import LONGEST_IDENTITY

# What labels of films carry. Codes without a check, such as ITF, are found in bare noise.
CODES = (
    zxingcpp.BarcodeFormat.QRCode,
    zxingcpp.BarcodeFormat.DataMatrix,
    zxingcpp.BarcodeFormat.Code128,
    zxingcpp.BarcodeFormat.Code39,
)


def read_patient_id(path: Path) -> str | None:
    """Return the Patient ID (0010,0020) of a DICOM file that was decoded before; None where it has none to be read."""
    try:
        with distrust():
            header = dcmread(path, stop_before_pixels=True, specific_tags=["PatientID"], force=True)
            text = str(header.get("PatientID") or "")
    except RefusedError:
        return None
    return _plain(text)[:LONGEST_IDENTITY] or None


def read_code(photo: np.ndarray) -> str | None:
    """Return what the barcode or QR code in a photograph says; None where there is none, or more than one.

    Parameters
    ----------
    photo : ndarray of uint8, shape (height, width) or (height, width, 3)
        Any way up.
    """
    found = {_plain(code.text) for code in zxingcpp.read_barcodes(photo, formats=CODES)} - {""}
    # Two codes are two patients, or one of them is no patient: nobody guesses which. A long one is an address, say.
    text = found.pop() if len(found) == 1 else ""
    return text if 0 < len(text) <= LONGEST_IDENTITY else None


def _plain(text: str) -> str:
    """Return a text without what cannot be shown."""
    return "".join(character for character in text if character.isprintable()).strip()
