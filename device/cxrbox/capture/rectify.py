"""The film alone, seen straight on, out of a photograph of it."""

import cv2
import numpy as np

# Focal lengths of phones and box cameras, in longer sides of the photograph. A film that faces the camera says
# nothing about the focal length, and a photograph that was cropped says something wrong.
FOCAL = 0.6, 3.0
USUAL_FOCAL = 1.0
# A film is never longer than this by its width, nor wider by its length.
MOST_ASPECT = 1.6
# Fewer different greys than this in a row or column is a margin or the shadow of the collimator: the spread of the
# middle nine tenths, in shares of that of the whole film.
FLAT = 0.06
# Margins are cropped up to this share of a side.
MOST_MARGIN = 0.2


def rectify(photo: np.ndarray, corners: np.ndarray, side: int) -> np.ndarray:
    """Return the film seen straight on, in its true proportions as far as the perspective tells them.

    Parameters
    ----------
    photo : ndarray of uint8, shape (height, width, 3) or (height, width)
    corners : ndarray, shape (4, 2)
        Clockwise from the top left, x and y in pixels.
    side : int
        The longer side of the film, in pixels.

    Returns
    -------
    ndarray of uint8, shape (height, width)
        Grey.
    """
    grey = photo if photo.ndim == 2 else cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)
    aspect = true_aspect(corners, grey.shape)
    width, height = (max(8, round(side * share)) for share in (min(1.0, aspect), min(1.0, 1 / aspect)))
    edges = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) - 0.5
    grey, corners = _shrink(grey, corners, side)
    to_film = cv2.getPerspectiveTransform(corners.astype(np.float32), edges)
    return cv2.warpPerspective(grey, to_film, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def longest_side(corners: np.ndarray) -> float:
    """Return the longest side of a quadrilateral, in pixels."""
    return float(np.linalg.norm(np.roll(corners, -1, axis=0) - corners, axis=1).max())


def _shrink(grey: np.ndarray, corners: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Shrink a photograph that is finer than the film shall be, so that nothing aliases."""
    share = side / longest_side(corners)
    if share >= 1:
        return grey, corners
    small = cv2.resize(grey, None, fx=share, fy=share, interpolation=cv2.INTER_AREA)
    return small, (corners + 0.5) * (np.array(small.shape[::-1]) / grey.shape[::-1]) - 0.5


def true_aspect(corners: np.ndarray, shape: tuple[int, int]) -> float:
    """Return width by height of the rectangle whose picture the corners are.

    Zhang and He, "Whiteboard scanning and image enhancement", 2007, section 3: the vanishing points of the sides give
    the focal length, taken the middle of the photograph for that of the lens, and with it the proportions.
    """
    middle, size = np.array(shape[::-1]) / 2, max(shape)
    m1, m2, m4, m3 = np.c_[(corners - middle) / size, np.ones(4)]
    k2 = np.cross(m1, m4) @ m3 / (np.cross(m2, m4) @ m3)
    k3 = np.cross(m1, m4) @ m2 / (np.cross(m3, m4) @ m2)
    n2, n3 = k2 * m2 - m1, k3 * m3 - m1
    depth = n2[2] * n3[2]
    focal2 = -(n2[0] * n3[0] + n2[1] * n3[1]) / depth if abs(depth) > 1e-3 else USUAL_FOCAL**2
    focal2 = focal2 if FOCAL[0] ** 2 <= focal2 <= FOCAL[1] ** 2 else USUAL_FOCAL**2
    width, height = (np.sqrt((n[0] ** 2 + n[1] ** 2) / focal2 + n[2] ** 2) for n in (n2, n3))
    return float(np.clip(width / height, 1 / MOST_ASPECT, MOST_ASPECT))


def crop_margins(film: np.ndarray) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Return the film without flat margins, and how much was cropped: top, right, bottom, left, in pixels."""
    spread = float(np.ptp(np.percentile(film, [5, 95])))
    top, bottom = _margins(film, spread)
    left, right = _margins(film.T, spread)
    height, width = film.shape
    return film[top : height - bottom, left : width - right], (top, right, bottom, left)


def _margins(film: np.ndarray, spread: float) -> tuple[int, int]:
    """Return how many rows are flat from the top and from the bottom."""
    low, high = np.percentile(film, [5, 95], axis=1)
    flat = (high - low) < FLAT * spread
    most = int(len(film) * MOST_MARGIN)
    return tuple(int(np.argmin(np.r_[rows[:most], False])) for rows in (flat, flat[::-1]))
