"""From stored values to grey as PS3.4 N.2 orders it: modality transformation, VOI transformation, polarity."""

import numpy as np
from pydicom import Dataset

from cxrbox.decoding.levels import LEAST_GREYS, count_values, look_up, robust_range, stretch
from cxrbox.decoding.limits import distrust
from cxrbox.errors import RefusedError

DISPLAY_BITS = 8  # films stored so are ready for display, as a PNG is
# A window is believed if it leaves a share of the film's pixels in grey, and between its darkest and its brightest
# percent as many greys as a film must have. Windows meant for another film, or left at 0 or 1, do neither.
MIN_SHARE_IN_GREY = 0.05
FUNCTIONS = {"LINEAR", "LINEAR_EXACT", "SIGMOID"}
ABSURD = 1e30  # no unit of a detector gives such values, and their differences overflow


def present(pixels: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Return the film as its header wants it shown: uint8, shape (rows, columns), bone bright.

    Parameters
    ----------
    pixels : ndarray of uint8, int8, uint16 or int16, shape (rows, columns)
        Stored values.
    dataset : Dataset
    """
    bits = pixels.dtype.newbyteorder("=")
    index = np.ascontiguousarray(pixels, bits).view(f"u{bits.itemsize}")
    stored = np.arange(256**bits.itemsize, dtype=index.dtype).view(bits)
    counts, padding = count_values(index), find_padding(stored, dataset)
    if counts[~padding].any():
        counts[padding] = 0
    values = _modality_values(stored, dataset)
    greys = _voi_greys(values, dataset)
    if greys is None or not _shows_film(greys, counts):
        greys = _plain_greys(values, stored, counts, dataset)
    greys = 255 - greys if _is_inverse(dataset) else greys
    return look_up(np.where(padding, 0, greys), index)


def find_padding(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Return which stored values only fill up the rectangle about the film (PS3.3 C.7.5.1.1.2): bool, shape (n,).

    The range of greys is that of the film alone, and what is beside it is black, whatever its value would be.

    Parameters
    ----------
    stored : ndarray of whole numbers, shape (n,)
        All that a pixel can have.
    dataset : Dataset
    """
    try:
        with distrust():
            bounds = [dataset.get(key) for key in ("PixelPaddingValue", "PixelPaddingRangeLimit") if key in dataset]
            values = [_as_stored(int(bound), stored.dtype) for bound in bounds]
    except RefusedError:  # what cannot be read, or be a pixel, is no pixel's value
        values = []
    return (stored >= min(values)) & (stored <= max(values)) if values else np.zeros(stored.shape, bool)


def _as_stored(number: int, kind: np.dtype) -> int:
    """Return a number as pixels of a kind have it; some headers write a signed one as unsigned, or the reverse."""
    values = 256**kind.itemsize
    if not -values // 2 <= number < values:
        raise ValueError("no pixel has such a value")
    return int(np.array(number % values, f"u{kind.itemsize}").view(kind))


def _modality_values(stored: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Return the modality LUT's or the rescaled values (PS3.3 C.11.1); the stored ones if neither makes sense."""
    try:
        with distrust():
            if items := dataset.get("ModalityLUTSequence"):
                return _apply_lut(stored, items[0], dataset)[0]
            slope = float(dataset.get("RescaleSlope") or 1)
            values = stored * slope + float(dataset.get("RescaleIntercept") or 0)
    except RefusedError:  # the window or the percentiles still show the film without it
        return stored.astype(np.float64)
    return values if np.abs(values).max() < ABSURD else stored.astype(np.float64)


def _voi_greys(values: np.ndarray, dataset: Dataset) -> np.ndarray | None:
    """Return greys, 0 to 255, by the first VOI LUT or window (PS3.3 C.11.2); None if there is none that can be."""
    try:
        with distrust():
            if items := dataset.get("VOILUTSequence"):
                greys, bits = _apply_lut(np.rint(values), items[0], dataset)
                return np.clip(greys / (2**bits - 1), 0, 1) * 255
            centre, width = (_first(dataset.get(key)) for key in ("WindowCenter", "WindowWidth"))
            function = str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper()
            return window(values, centre, width, function)
    except RefusedError:  # a transformation that cannot be read is none: the percentiles stand in
        return None


def window(values: np.ndarray, centre: float, width: float, function: str = "LINEAR") -> np.ndarray | None:
    """Return the greys of a window, 0 to 255 in float64; None if no such window can be.

    Parameters
    ----------
    values : ndarray of float64
    centre, width : float
        In units of the values.
    function : str
        LINEAR (PS3.3 C.11.2.1.2.1), SIGMOID (C.11.2.1.3.1) or LINEAR_EXACT (C.11.2.1.3.2).
    """
    if function not in FUNCTIONS or not np.isfinite([centre, width]).all() or width <= 0:
        return None
    if function == "SIGMOID":
        # Beyond +-50 the exponential overflows and the grey is 0 or 255 anyway.
        return 255 / (1 + np.exp(np.clip(-4 * (values - centre) / width, -50, 50)))
    if function == "LINEAR":
        centre, width = centre - 0.5, width - 1
    return stretch(values, centre - width / 2, centre + width / 2)


def _apply_lut(values: np.ndarray, item: Dataset, dataset: Dataset) -> tuple[np.ndarray, int]:
    """Return what a LUT makes of whole values, and the bits of its output (PS3.3 C.11.1.1.1 and C.11.2.1.1)."""
    entries, first, bits = (int(number) for number in item.LUTDescriptor)
    if not 8 <= bits <= 16:
        raise ValueError("a LUT has entries of 8 to 16 bits")
    data = item.LUTData
    if isinstance(data, bytes):
        is_little = dataset.original_encoding[1] is not False
        data = np.frombuffer(data, "<u2" if is_little else ">u2")
    table = np.asarray(data, np.float64)[: entries or 65536]
    return table[np.clip(values.astype(np.int64) - first, 0, table.size - 1)], bits


def _shows_film(greys: np.ndarray, counts: np.ndarray) -> bool:
    """Tell whether a VOI transformation leaves anything of the film to see."""
    in_grey = counts[(greys > 0) & (greys < 255)].sum() / counts.sum()
    dark, bright = robust_range(greys, counts, (1, 99))
    shown = np.rint(greys[(counts > 0) & (greys >= dark) & (greys <= bright)]).astype(np.uint8)
    return in_grey >= MIN_SHARE_IN_GREY and np.count_nonzero(np.bincount(shown)) >= LEAST_GREYS


def _plain_greys(values: np.ndarray, stored: np.ndarray, counts: np.ndarray, dataset: Dataset) -> np.ndarray:
    """Return greys where the header has no use: 8 bits as they are, deeper ones between robust percentiles."""
    if dataset.BitsStored == DISPLAY_BITS:
        low = -128 if stored.dtype.kind == "i" else 0
        used = values[(stored >= low) & (stored < low + 256)]
        return stretch(values, used.min(), used.max())
    return stretch(values, *robust_range(values, counts))


def _is_inverse(dataset: Dataset) -> bool:
    """Tell whether low values are bright.

    MONOCHROME1 (PS3.3 C.7.6.3.1.2) and a Presentation LUT Shape of INVERSE (C.8.11.3) say one and the same
    thing: a DX film has both, and is turned over once.
    """
    with distrust():
        shape = str(dataset.get("PresentationLUTShape") or "").strip().upper()
        return dataset.PhotometricInterpretation.strip().upper() == "MONOCHROME1" or shape == "INVERSE"


def _first(value) -> float:
    """Return the first number of an element that may have several."""
    return float(value[0] if hasattr(value, "__getitem__") else value)
