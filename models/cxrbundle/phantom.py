"""Drawn phantoms of a frontal chest film: golden films that may be shipped, for self-tests and the test suite.

A phantom is no patient. It only has to be the same on every machine and to drive the network's activations
in the range that films do.
"""

import cv2
import numpy as np

SIZE = 512


def draw_phantom(seed: int) -> np.ndarray:
    """Return a drawn chest film: ndarray of uint8, shape (512, 512), bone bright.

    The same seed gives the same film everywhere: only integer drawing and PCG64 are used.
    """
    random = np.random.Generator(np.random.PCG64(seed))
    shift = random.integers(-18, 19, 8)
    film = np.full((SIZE, SIZE), 40, np.uint8)
    _ellipse(film, (256, 330), (215, 330), 150)  # the trunk
    for side in (-1, 1):
        centre = (256 + side * (100 + int(shift[0]) // 3), 270 + int(shift[1]))
        _ellipse(film, centre, (70 + int(shift[2]) // 2, 160 + int(shift[3])), 55)
    _ribs(film, int(shift[4]))
    _ellipse(film, (280 + int(shift[5]) // 2, 350), (70 + int(shift[6]), 85), 185)  # the heart
    _ellipse(film, (256, 560), (240, 150), 170)  # below the diaphragm
    cv2.rectangle(film, (238, 20), (274, 500), 195, -1)  # the spine
    for x, y, radius in zip(*random.integers([[110], [150], [4]], [[400], [400], [30]], (3, 4)), strict=True):
        _ellipse(film, (int(x), int(y)), (int(radius), int(radius)), int(random.integers(90, 180)))
    film = cv2.blur(cv2.blur(film, (9, 9)), (9, 9))
    noise = random.integers(-6, 7, film.shape)
    return np.clip(film.astype(np.int64) + noise, 0, 255).astype(np.uint8)


def _ellipse(film: np.ndarray, centre: tuple[int, int], axes: tuple[int, int], grey: int) -> None:
    cv2.ellipse(film, centre, axes, 0, 0, 360, grey, -1)


def _ribs(film: np.ndarray, shift: int) -> None:
    for rib in range(9):
        for side in (-1, 1):
            centre = (256 + side * 110, 150 + 36 * rib + shift)
            cv2.ellipse(film, centre, (120, 40), side * 18, 180, 360, 115, 7)
