"""Is a finding still there when the film lies a little elsewhere? One that is not must not be relied on."""

from collections.abc import Iterator

import cv2
import numpy as np

# Pixels of the network's input, of 224 a side: as much as two scans of one film differ by.
SHIFT = 4
STEPS = ((SHIFT, 0), (-SHIFT, 0), (0, SHIFT), (0, -SHIFT))


def shifted(pixels: np.ndarray) -> Iterator[np.ndarray]:
    """Yield an input moved right, left, down and up; what comes in at the border repeats it.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (1, side, side, 3)
    """
    for across, down in STEPS:
        move = np.array([[1, 0, across], [0, 1, down]], np.float32)
        film = cv2.warpAffine(pixels[0], move, pixels.shape[2:0:-1], borderMode=cv2.BORDER_REPLICATE)
        yield film[np.newaxis]


def find_unstable(states: dict[str, str], others: list[dict[str, str]]) -> list[str]:
    """Return the findings whose state does not hold: most of the shifted readings say another.

    Parameters
    ----------
    states : dict of str to str
        {finding: state} of the film as it lies.
    others : list of dict
        The same for each shift.
    """
    return [
        finding for finding, state in states.items() if 2 * sum(one[finding] == state for one in others) < len(others)
    ]
