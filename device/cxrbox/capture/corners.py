"""Finding the film in a photograph: a small network says where film is, lines along its edges say exactly where."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from cxrbox.capture.edges import move_to_edge, move_to_film
from cxrbox.capture.networks import see_places

# The map is enlarged so that its border at one half is known to a quarter of a place.
MAP_SIDE = 256
# Smallest share of the photograph that counts as a film, and of the largest film that counts as another.
LEAST_FILM = 0.008
ANOTHER_FILM = 0.25
# What the map calls film must fill its quadrilateral at least so far, or it is none.
LEAST_FILLED = 0.85
# Pixels of the map from the frame at which a film ends with the photograph.
AT_FRAME = 3
# The share of a side next to its corners where the border belongs to neither side.
NEAR_CORNER = 0.08
# How far an edge may be from where it was seen before, in diagonals of the film, at each look: where the network
# tells the film's edge from others, and where the edge is measured. The network sees better from a place nearer to the
# film: it looks as far twice.
SIDE_REACHES = 0.1, 0.1, 0.03
EDGE_REACH = 0.01
# Glare is as sure as this where it hides the film. On validation photographs it then refuses all of 80 that are spoilt
# and 2 of 600 good ones.
SURE = 0.7


@dataclass(frozen=True)
class FilmCorners:
    """Where a film stands in a photograph.

    Attributes
    ----------
    points : ndarray of float64, shape (4, 2)
        Top left, top right, bottom right and bottom left as the photograph shows it; x, y in pixels, the centre of
        the first pixel being 0.
    at_frame : tuple of 4 bool
        Whether the top, right, bottom and left side ends with the photograph.
    films : int
        How many films are seen.
    glare : ndarray of bool, shape (256, 256)
        Places of the photograph where glare hides this film.
    """

    points: np.ndarray
    at_frame: tuple[bool, bool, bool, bool]
    films: int
    glare: np.ndarray

    @property
    def diagonal(self) -> float:
        """The longer diagonal, in pixels of the photograph."""
        return float(
            max(np.linalg.norm(self.points[2] - self.points[0]), np.linalg.norm(self.points[3] - self.points[1]))
        )


def find_film(photo: np.ndarray) -> FilmCorners | None:
    """Return the corners of the largest film in a photograph, or None if none is seen.

    Parameters
    ----------
    photo : ndarray of uint8, shape (height, width, 3) or (height, width)
        Blue, green and red, or grey.
    """
    rough = find_roughly(photo)
    return None if rough is None else _refine(photo, rough)


def find_roughly(photo: np.ndarray) -> FilmCorners | None:
    """Return the corners from the network's map alone, to about half a percent of the diagonal."""
    film, glare = see_places(photo if photo.ndim == 3 else cv2.cvtColor(photo, cv2.COLOR_GRAY2BGR))
    film, glare = (cv2.resize(places, (MAP_SIDE, MAP_SIDE), interpolation=cv2.INTER_CUBIC) for places in (film, glare))
    masks = _separate(film > 0.5)
    if not masks:
        return None
    quad = _quadrilateral(masks[0])
    if quad is None:
        return None
    scale = np.array(photo.shape[1::-1]) / MAP_SIDE
    hides = (glare > SURE) & (cv2.fillConvexPoly(np.zeros_like(masks[0]), quad.round().astype(np.int32), 1) > 0)
    return FilmCorners((quad + 0.5) * scale - 0.5, _at_frame(quad), len(masks), hides)


def _separate(film: np.ndarray) -> list[np.ndarray]:
    """Return a mask for each film, the largest first: uint8 (256, 256)."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(film.astype(np.uint8))
    areas = stats[1:, cv2.CC_STAT_AREA]
    if count == 1 or areas.max() < LEAST_FILM * film.size:
        return []
    large = [place for place in np.argsort(-areas) if areas[place] >= ANOTHER_FILM * areas.max()]
    return [(labels == place + 1).astype(np.uint8) for place in large]


def _quadrilateral(mask: np.ndarray) -> np.ndarray | None:
    """Return the corners of what a mask covers, in pixels of the map, or None if it is no quadrilateral."""
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    border = max(contours, key=len)[:, 0].astype(np.float64)
    # The hull leaves out bites that glare or a hand takes from the film.
    hull = cv2.convexHull(border.astype(np.float32))
    corners = order_corners(cv2.boxPoints(cv2.minAreaRect(hull)).astype(np.float64))
    for _ in range(5):
        corners = _fit_sides(border, corners)
        if corners is None:
            return None
    # The contour runs through the middle of the outermost pixels.
    corners = meet(*[shift_outwards(corners, side, 0.5) for side in range(4)])
    if corners is None or not cv2.isContourConvex(corners.astype(np.float32)):
        return None
    area = cv2.contourArea(corners.astype(np.float32))
    covered = cv2.fillConvexPoly(np.zeros_like(mask), corners.round().astype(np.int32), 1)
    overlap = (covered & mask).sum() / max((covered | mask).sum(), 1)
    return corners if area > 0 and overlap >= LEAST_FILLED else None


def _fit_sides(border: np.ndarray, corners: np.ndarray) -> np.ndarray | None:
    """Return the corners after each side was fitted to the points of the border that are nearest to it."""
    ends = np.roll(corners, -1, axis=0)
    along = (ends - corners) / np.maximum(np.linalg.norm(ends - corners, axis=1, keepdims=True), 1e-6)
    from_start = border[:, np.newaxis] - corners
    far = np.abs(from_start[..., 0] * along[:, 1] - from_start[..., 1] * along[:, 0])
    share = (from_start * along).sum(-1) / np.maximum(np.linalg.norm(ends - corners, axis=1), 1e-6)
    nearest = far.argmin(axis=1)
    lines = []
    for side in range(4):
        own = (nearest == side) & (share[:, side] > NEAR_CORNER) & (share[:, side] < 1 - NEAR_CORNER)
        if own.sum() < 4:
            return None
        vx, vy, x, y = cv2.fitLine(border[own].astype(np.float32), cv2.DIST_HUBER, 0, 0.01, 0.01).ravel()
        lines.append((np.array([x, y], float), np.array([x + vx, y + vy], float)))
    return meet(*lines)


def shift_outwards(corners: np.ndarray, side: int, pixels: float) -> tuple[np.ndarray, np.ndarray]:
    """Return two points of a side, moved away from the film's middle."""
    start, end = corners[side], corners[(side + 1) % 4]
    along = (end - start) / np.linalg.norm(end - start)
    # Corners go clockwise as a picture shows them, so that the right hand of the way points inwards.
    outwards = np.array([along[1], -along[0]])
    return start + outwards * pixels, end + outwards * pixels


def meet(top, right, bottom, left) -> np.ndarray | None:
    """Return the corners at which four sides meet, each given by two points; None if two are parallel."""
    lines = [np.cross([*a, 1.0], [*b, 1.0]) for a, b in (top, right, bottom, left)]
    corners = [np.cross(lines[side - 1], lines[side]) for side in range(4)]
    if min(abs(corner[2]) for corner in corners) < 1e-9:
        return None
    return np.array([corner[:2] / corner[2] for corner in corners])


def order_corners(corners: np.ndarray) -> np.ndarray:
    """Return corners clockwise from the top left one."""
    from_middle = corners - corners.mean(axis=0)
    clockwise = corners[np.argsort(np.arctan2(from_middle[:, 1], from_middle[:, 0]))]
    return np.roll(clockwise, -int(clockwise.sum(axis=1).argmin()), axis=0)


def _at_frame(quad: np.ndarray) -> tuple[bool, bool, bool, bool]:
    """Tell the sides whose middle lies on the photograph's frame."""
    middles = (quad + np.roll(quad, -1, axis=0)) / 2
    last = MAP_SIDE - 0.5 - AT_FRAME
    return (
        bool(middles[0, 1] < AT_FRAME),
        bool(middles[1, 0] > last),
        bool(middles[2, 1] > last),
        bool(middles[3, 0] < AT_FRAME),
    )


def _refine(photo: np.ndarray, rough: FilmCorners) -> FilmCorners:
    """Move each side to the film's edge next to it."""
    grey = photo if photo.ndim == 2 else cv2.cvtColor(photo, cv2.COLOR_BGR2GRAY)
    points = rough.points
    looks = *((move_to_film, reach) for reach in SIDE_REACHES), (move_to_edge, EDGE_REACH)
    for move, reach in looks:
        corners = meet(*move(grey, points, reach * rough.diagonal))
        if corners is None or not cv2.isContourConvex(corners.astype(np.float32)):
            return rough
        points = corners
    return replace(rough, points=points)
