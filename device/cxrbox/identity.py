"""Whom a film shows, as a code in its photograph says; kept in the database alone and never logged."""

import numpy as np
import zxingcpp

from cxrbox.names import plain
from cxrbox.store.record_side import LONGEST_IDENTITY

# What labels of films carry. Codes without a check, such as ITF, are found in bare noise.
CODES = (
    zxingcpp.BarcodeFormat.QRCode,
    zxingcpp.BarcodeFormat.DataMatrix,
    zxingcpp.BarcodeFormat.Code128,
    zxingcpp.BarcodeFormat.Code39,
)


def read_code(photo: np.ndarray) -> str | None:
    """Return what the barcode or QR code in a photograph says; None where there is none, or more than one.

    Parameters
    ----------
    photo : ndarray of uint8, shape (height, width) or (height, width, 3)
        Any way up.
    """
    found = {plain(code.text) for code in zxingcpp.read_barcodes(photo, formats=CODES)} - {""}
    # Two codes are two patients, or one of them is no patient: nobody guesses which. A long one is an address, say.
    text = found.pop() if len(found) == 1 else ""
    return text if 0 < len(text) <= LONGEST_IDENTITY else None
