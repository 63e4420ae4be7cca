"""Arrays of a bundle's .npz files: plain numbers, bounded in number and size."""

import io

import numpy as np

from cxrbundle.errors import ManifestError

# Unpacked bytes of one file: thrice what the largest head has.
MOST_BYTES = 32 << 20


def read_arrays(content: bytes, name: str) -> dict[str, np.ndarray]:
    """Return the arrays of an .npz file; pickled objects are refused.

    Parameters
    ----------
    content : bytes
        The file.
    name : str
        Its name, for the error.

    Raises
    ------
    ManifestError
        If it is no plain archive of numbers, or holds more than `MOST_BYTES`.
    """
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as archive:
            if sum(entry.file_size for entry in archive.zip.infolist()) > MOST_BYTES:
                raise ValueError(f"more than {MOST_BYTES} bytes")
            return {key: _number_array(archive[key]) for key in archive.files}
    # numpy and zipfile raise a dozen kinds of errors on a damaged file.
    except Exception as err:
        raise ManifestError(f"{name} is no plain numpy archive ({err}); convert the model again") from err


def _number_array(array: np.ndarray) -> np.ndarray:
    if array.dtype.kind not in "fiu":
        raise ValueError(f"an array of {array.dtype}")
    return array
