"""Photographs of films as hospitals take them, with the truth about each: where the film is and how it hangs.

Harder than the training room's `shoot`, and made with numpy and OpenCV alone: light boxes with seams, masks, tables,
cluttered rooms, films that fill the frame, several films or none, films turned, mirrored or inverted, and the faults
that the capture gate must refuse. Light is added in linear light, then the camera makes tones of it.
"""

from dataclasses import dataclass, field

import cv2
import numpy as np

GAMMA = 2.2
TILT = 25.0  # degrees between the camera's axis and the film's normal, at most
SCENES = "box", "mask", "table", "clutter", "fills"
SQUARE = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]], np.float32)
# Faults the gate must refuse. Photographs without one are good: glare stays below what hides anything.
FAULTS = "blur", "glare", "dark", "burnt", "far", "cut", "several", "none"


@dataclass
class Photograph:
    """A photograph and the truth about it.

    Attributes
    ----------
    photo : ndarray of uint8, shape (height, width, 3)
        Blue, green and red.
    corners : ndarray of float32, shape (4, 2)
        Top left, top right, bottom right and bottom left of the film in the photograph; x, y in pixels.
    film : ndarray of float32, shape (height, width)
        Share of each pixel that is film.
    glare : ndarray of float32, shape (height, width)
        Mirrored light, 1 = white.
    turns : int
        Quarter turns, anticlockwise, that the film hangs turned by, after it was mirrored.
    """

    photo: np.ndarray
    corners: np.ndarray
    film: np.ndarray
    glare: np.ndarray
    scene: str
    turns: int = 0
    mirrored: bool = False
    negative: bool = False
    faults: tuple[str, ...] = field(default=())


def hang(film: np.ndarray, turns: int, mirrored: bool, negative: bool) -> np.ndarray:
    """Return a film as somebody may hang it: inverted, mirrored, then turned anticlockwise."""
    hung = 255 - film if negative else film
    hung = hung[:, ::-1] if mirrored else hung
    return np.ascontiguousarray(np.rot90(hung, turns))


def photograph(
    film: np.ndarray,
    random: np.random.Generator,
    size: tuple[int, int] = (960, 1280),
    scene: str | None = None,
    fault: str | None = None,
    hanging: tuple[int, bool, bool] = (0, False, False),
) -> Photograph:
    """Photograph a film, uint8 (height, width), into a picture of SIZE = (height, width)."""
    scene = scene or str(random.choice(SCENES, p=[0.35, 0.25, 0.15, 0.15, 0.1]))
    hung = hang(film, *hanging)
    corners = see_corners(hung.shape, random, size, scene, fault)
    on_film = np.zeros(size, np.float32) if fault == "none" else inside(corners, size)
    surround = _surround(corners, random, size, scene)
    seen = _see_film(hung, corners, random, size)
    light = surround * (1 - on_film) + seen * on_film
    if fault == "several":
        light, on_film = _add_neighbour(hung, corners, random, light, on_film)
    light = _blur(light * _lamp(random, size), random, fault)
    glare = _glare(corners, random, size, fault)
    photo = _expose(light, glare, random, fault)
    photo = _store(photo, random)
    return Photograph(photo, corners, on_film, glare, scene, *hanging, faults=(fault,) if fault else ())


def see_corners(shape, random, size, scene="box", fault=None) -> np.ndarray:
    """Return where a pinhole camera, tilted within TILT, sees the corners: float32 (4, 2)."""
    height, width = shape
    aspect = width / height * np.exp(random.uniform(-0.2, 0.2))
    sheet = np.c_[SQUARE * (aspect, 1) / np.hypot(aspect, 1), np.zeros(4)]
    way = random.uniform(0, 2 * np.pi)
    axis = np.array([np.cos(way), np.sin(way), 0]) * np.radians(random.uniform(0, TILT))
    turned = sheet @ cv2.Rodrigues(axis)[0]
    seen = turned[:, :2] / (turned[:, 2:] + random.uniform(1.8, 4.0))
    roll = np.radians(random.uniform(-8, 8))
    seen = seen @ np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    low, extent = seen.min(0), np.ptp(seen, 0)
    frame = np.array(size[::-1], float)
    fill = _fill(random, scene, fault)
    scale = fill * (frame / extent).min()
    room = frame - extent * scale
    place = (seen - low) * scale + room * random.uniform(0, 1, 2) - 0.5
    if scene == "fills":  # each corner just beyond or just within the frame
        place = (SQUARE + 1) / 2 * frame - 0.5 + SQUARE * random.uniform(-0.03, 0.05, (4, 2)) * frame
    if fault == "cut":
        side, share = random.integers(4), random.uniform(0.2, 0.4)
        shift = np.zeros(2)
        shift[side % 2] = (frame[side % 2] * (side > 1) - (place.max(0) if side > 1 else place.min(0))[side % 2]) + (
            1 if side > 1 else -1
        ) * share * np.ptp(place, 0)[side % 2]
        place = place + shift
    return place.astype(np.float32)


def _fill(random, scene, fault) -> float:
    if fault == "far":
        return random.uniform(0.12, 0.2)
    if fault == "several":
        return random.uniform(0.4, 0.6)
    return random.uniform(0.5, 0.98)


def inside(corners: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Return the share of each pixel that lies in a convex quadrilateral, soft by a pixel: float32 (h, w)."""
    y, x = np.mgrid[: size[0], : size[1]].astype(np.float32)
    within = np.full(size, np.inf, np.float32)
    for start, end in zip(corners, np.roll(corners, -1, 0), strict=True):
        along = (end - start) / np.linalg.norm(end - start)
        within = np.minimum(within, (y - start[1]) * along[0] - (x - start[0]) * along[1])
    return (within + 0.5).clip(0, 1)


def _see_film(hung, corners, random, size) -> np.ndarray:
    """Return the light that comes through the film, in the photograph's place: float32 (h, w)."""
    side = max(8, int(np.linalg.norm(np.ptp(corners, 0))))
    if min(hung.shape) > side:
        hung = cv2.resize(
            hung, None, fx=side / min(hung.shape), fy=side / min(hung.shape), interpolation=cv2.INTER_AREA
        )
    film = (hung.astype(np.float32) / 255) ** GAMMA
    if random.random() < 0.15:  # an unexposed or a black rim
        rim = int(random.uniform(0.01, 0.03) * max(film.shape)) + 1
        film[:rim] = film[-rim:] = film[:, :rim] = film[:, -rim:] = random.choice([0.0, random.uniform(0.6, 1)])
    height, width = film.shape
    edges = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32) - 0.5
    where = cv2.getPerspectiveTransform(edges, corners)
    seen = cv2.warpPerspective(film, where, size[::-1], flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    # Clear film has an optical density of .07 to .26, that of its base and its fog.
    return seen * random.uniform(0.55, 0.85) + random.uniform(0, 0.004)


def _surround(corners, random, size, scene) -> np.ndarray:
    """Return the light from around the film: float32 (h, w)."""
    room = random.uniform(0.005, 0.3) * (_texture(random, size) if random.random() < 0.6 else 1.0)
    if scene in ("box", "mask", "fills"):
        middle = corners.mean(0)
        grown = middle + (corners - middle) * (1 + random.uniform(0.03, 0.7, (1, 2)))
        grown = grown + random.uniform(-0.03, 0.03, (1, 2)) * np.ptp(corners, 0)
        dark = scene == "mask" or (scene == "fills" and random.random() < 0.5)
        on_box = inside(grown, size)
        box = _seams(
            np.full(size, random.uniform(0.005, 0.06) if dark else random.uniform(0.75, 1.1), np.float32), random
        )
        return (box * on_box + room * (1 - on_box)).astype(np.float32)
    level = random.uniform(0.005, 0.12) if scene == "table" else random.uniform(0.02, 0.9)
    table = level * _texture(random, size)
    return _clutter(table, random) if scene == "clutter" else table


def _texture(random, size) -> np.ndarray:
    """Return wood, cloth or plaster: noise of a few scales, longer one way; mean about 1, float32 (h, w)."""
    height, width = size
    total = np.ones(size, np.float32)
    for cells in (3, 9, 40):
        stretch = np.exp(random.uniform(-1.5, 1.5))
        grid = random.standard_normal((max(2, int(cells * stretch)), max(2, int(cells / stretch)))).astype(np.float32)
        total += random.uniform(0, 0.2) * cv2.resize(grid, (width, height), interpolation=cv2.INTER_CUBIC)
    return total.clip(0.1, 2)


def _seams(box: np.ndarray, random) -> np.ndarray:
    """Draw the seams, clips and rails of a light box."""
    height, width = box.shape
    for _ in range(random.integers(0, 3)):
        level = float(box[0, 0] * random.uniform(0.2, 0.9))
        thick = max(1, int(random.uniform(0.002, 0.012) * width))
        place = int(random.uniform(0, 1) * (width if (upright := random.random() < 0.5) else height))
        ends = ((place, 0), (place, height)) if upright else ((0, place), (width, place))
        cv2.line(box, *ends, level, thick)
    return box


def _clutter(table: np.ndarray, random) -> np.ndarray:
    """Lay papers, frames and cables about."""
    height, width = table.shape
    for _ in range(random.integers(2, 9)):
        middle = tuple(float(v) for v in random.uniform(0, 1, 2) * (width, height))
        box = cv2.boxPoints((middle, tuple(random.uniform(0.05, 0.6, 2) * width), float(random.uniform(0, 180))))
        cv2.fillConvexPoly(table, box.astype(np.int32), float(random.uniform(0.01, 0.9)), cv2.LINE_AA)
    return table


def _add_neighbour(hung, corners, random, light, on_film):
    """Hang a second film beside the first, where there is more room."""
    height, width = light.shape
    gap = 1 + random.uniform(0.04, 0.25)
    room = [corners[:, 0].min(), width - corners[:, 0].max(), corners[:, 1].min(), height - corners[:, 1].max()]
    side = int(np.argmax(room))
    span = np.ptp(corners, 0)
    shift = np.array([[-span[0], 0], [span[0], 0], [0, -span[1]], [0, span[1]]][side]) * gap
    second = (corners + shift).astype(np.float32)
    on_second = inside(second, light.shape) * (1 - on_film)
    return light * (1 - on_second) + _see_film(hung, second, random, light.shape) * on_second, on_film + on_second


def _lamp(random, size) -> np.ndarray:
    """Return uneven light: it falls off to one side, has a hot spot, and the lens is darker in its corners."""
    y, x = _frame(size)
    way, fall = random.uniform(0, 2 * np.pi), random.uniform(0, 0.3)
    slope = 1 + fall * (x * np.cos(way) + y * np.sin(way))
    spot = 1 + random.uniform(0, 0.35) * _blob(random, size, (0.4, 0.9))
    return (slope * spot * (1 - random.uniform(0, 0.2) * (x * x + y * y) / 2)).astype(np.float32)


def _frame(size):
    """Return y and x of each pixel from -1 to 1."""
    return np.meshgrid(np.linspace(-1, 1, size[0]), np.linspace(-1, 1, size[1]), indexing="ij", copy=False)


def _blob(random, size, radius, middle=None) -> np.ndarray:
    """Return an oblong blob, 1 in its middle: float32 (h, w)."""
    y, x = _frame(size)
    cx, cy = random.uniform(-1, 1, 2) if middle is None else middle
    way = random.uniform(0, np.pi)
    a, b = np.exp(random.uniform(*np.log(radius), 2))
    u = ((x - cx) * np.cos(way) + (y - cy) * np.sin(way)) / a
    v = ((y - cy) * np.cos(way) - (x - cx) * np.sin(way)) / b
    return np.exp(-0.5 * (u * u + v * v)).astype(np.float32)


def _glare(corners, random, size, fault) -> np.ndarray:
    """Return the light of a lamp or window that the film mirrors: float32 (h, w), 1 = white."""
    if fault == "glare":
        weights = random.dirichlet([1.5] * 4)
        middle = (weights @ corners) / np.array(size[::-1]) * 2 - 1
        radius = np.sqrt(np.prod(np.ptp(corners, 0) / np.array(size[::-1])))
        return random.uniform(1.0, 2.5) * _blob(random, size, (0.12 * radius, 0.3 * radius), middle)
    if random.random() < 0.4:
        return random.uniform(0.03, 0.3) * _blob(random, size, (0.04, 0.15))
    return np.zeros(size, np.float32)


def _blur(light, random, fault) -> np.ndarray:
    """Blur by the lens, and some by a shake of the hand; lengths are shares of the longer side."""
    side = max(light.shape)
    sigma = side * (random.uniform(0.01, 0.025) if fault == "blur" else np.exp(random.uniform(*np.log([4e-4, 3e-3]))))
    if fault is None and random.random() < 0.2:
        length = max(2, int(side * random.uniform(0.002, 0.008)))
        kernel = np.zeros((length | 1, length | 1), np.float32)
        way, middle = random.uniform(0, np.pi), length // 2
        step = np.array([np.cos(way), np.sin(way)]) * middle
        cv2.line(kernel, *[tuple(round(middle + s * v) for v in step) for s in (-1, 1)], 1.0)
        light = cv2.filter2D(light, -1, kernel / kernel.sum())
    return cv2.GaussianBlur(light, (0, 0), max(sigma, 0.2))


def _expose(light, glare, random, fault) -> np.ndarray:
    """Return the photograph in colour: the box's light, the room's and its glare, in the camera's tones."""
    veil = np.exp(random.uniform(*np.log([5e-4, 0.05])))
    room = (veil + glare)[..., None] * _cast(random, 0.35)
    seen = light[..., None] * _cast(random, 0.15) + room
    exposure = {"dark": random.uniform(0.005, 0.02), "burnt": random.uniform(6, 12)}.get(
        fault, random.uniform(0.55, 1.25)
    )
    return np.clip(seen * exposure, 0, 1) ** np.float32(1 / GAMMA)


def _cast(random, spread) -> np.ndarray:
    blue, red = np.exp(random.uniform(-spread, spread, 2))
    return np.array([blue, 1, red], np.float32)


def _store(photo: np.ndarray, random) -> np.ndarray:
    """Add the lines of a screen, noise and compression; return uint8."""
    size = photo.shape[:2]
    if random.random() < 0.25:
        y, x = np.mgrid[: size[0], : size[1]]
        turn, way = 2 * np.pi / random.uniform(2.3, 9), random.uniform(0, np.pi)
        wave = np.sin((x * np.cos(way) + y * np.sin(way)) * turn + random.uniform(0, 6))
        photo = photo * (1 + random.uniform(0.003, 0.016) * wave[..., None])
    noise = np.exp(random.uniform(*np.log([0.002, 0.025])))
    photo = photo + noise * random.standard_normal(photo.shape, np.float32)
    stored = (photo.clip(0, 1) * 255).round().astype(np.uint8)
    if random.random() < 0.5:
        _, packed = cv2.imencode(".jpg", stored, [cv2.IMWRITE_JPEG_QUALITY, int(random.uniform(35, 90))])
        stored = cv2.imdecode(packed, cv2.IMREAD_COLOR)
    return stored
