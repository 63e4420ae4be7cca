"""What may be decoded at all, and the guard around every call into a decoder."""

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from cxrbox.errors import RefusedError
from cxrbox.refusals import refuse

# Bytes. The largest honest film, 64 million pixels of 16 bits, has 128 MB.
MAX_BYTES = 256 * 2**20
# A 43 x 43 cm detector at 0.1 mm has 18 million. It lies below the 89 million at which Pillow warns, so this
# limit decides first and Pillow's own guard stays in place behind it.
MAX_PIXELS = 64_000_000
# Pixels. Nothing of a chest can be told from less.
MIN_SIDE = 64
# One side by the other: films have 1.3 at most, panoramas of phones 4 or 5. OpenCV cannot look along 32768 pixels.
MOST_NARROW = 8

DAMAGED = "the file is cut off or damaged"

# Both libraries quote header values in their logs, and headers name patients.
for _name in ("pydicom", "PIL"):
    logging.getLogger(_name).propagate = False


def check_size(width: int, height: int) -> None:
    """Refuse a film of too many or too few pixels; to be called before any pixel is decoded.

    Raises
    ------
    RefusedError
        With the code too_many_pixels, too_small, too_narrow or, for a side that cannot be, damaged.
    """
    if width < 1 or height < 1:
        raise refuse("damaged", DAMAGED)
    if width * height > MAX_PIXELS:
        raise refuse("too_many_pixels", f"the film has {width} x {height} pixels, more than can be read")
    if min(width, height) < MIN_SIDE:
        raise refuse("too_small", f"the film has only {width} x {height} pixels")
    if max(width, height) > MOST_NARROW * min(width, height):
        raise refuse("too_narrow", f"the picture has {width} x {height} pixels, and no film is so narrow")


class Silence:
    """Drops warnings while any thread is in it: filters belong to the process, and films are decoded side by side."""

    def __init__(self):
        self._lock, self._inside = threading.Lock(), 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._inside == 0:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("ignore")
            self._inside += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._inside -= 1
            if self._inside == 0:
                self._filters.__exit__(*error)


SILENCE = Silence()


@contextmanager
def distrust() -> Iterator[None]:
    """Turn whatever a decoder throws on hostile bytes into a refusal; wrap one call into it, no more.

    The catch is wide because no decoder promises what it throws: Pillow and pydicom let struct.error,
    zlib.error, KeyError, RecursionError and more pass. Nothing is chained (`from None`) and warnings are
    dropped, since both quote what the header says.

    Raises
    ------
    RefusedError
        With the code damaged or out_of_memory, or the refusal raised inside.
    """
    try:
        with SILENCE:
            yield
    except RefusedError:
        raise
    except MemoryError:
        raise refuse("out_of_memory", "the film needs more memory than the box has free") from None
    except Exception:
        raise refuse("damaged", DAMAGED) from None
