"""The four small networks of the capture gate, run by OpenCV; `train/capture/fit.py` made them.

`finder.onnx` says of each place of a photograph how surely it is film and how surely glare hides the film there.
`sides.onnx` says which of the edges next to a side of the film is the film's.
`upright.onnx` says how a film hangs: its quarter turn and mirror, whether it is a negative, whether the lungs are cut.
`framed.onnx` says whether a grey picture is a photograph of a film, with what is around it, or the film itself.
"""

from functools import cache
from importlib.resources import files
from threading import Lock

import cv2
import numpy as np

# Sides of what the networks see and of the map that the finder gives, in pixels.
FINDER_SIDE = 256
UPRIGHT_SIDE = 64
FRAMED_SIDE = 64
# Places along a side of the film and columns across it.
STRIP_PLACES = 64
STRIP_COLUMNS = 96
STRIP_CHANNELS = 4
# The columns at which `sides.onnx` says how surely an edge runs there.
EDGE_COLUMNS = np.arange(0, STRIP_COLUMNS, 2)
# How many of those on each side of the likeliest belong to the same edge.
NEAR_BEST = 3
# A network of OpenCV keeps its activations between calls: one picture at a time.
_ONE_AT_A_TIME = Lock()


@cache
def _network(name: str) -> cv2.dnn.Net:
    content = files("cxrbox.capture").joinpath(name).read_bytes()
    return cv2.dnn.readNetFromONNX(np.frombuffer(content, np.uint8))


def _run(name: str, pictures: np.ndarray) -> np.ndarray:
    """Return the logits for pictures of shape (n, channels, side, side)."""
    with _ONE_AT_A_TIME:
        network = _network(name)
        network.setInput(pictures)
        return network.forward().copy()


def see_places(photo: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return how surely each place of a photograph is film, and how surely it is glare on it.

    Parameters
    ----------
    photo : ndarray of uint8, shape (height, width, 3)
        Blue, green and red.

    Returns
    -------
    film, glare : ndarray of float32, shape (64, 64)
        0..1; the map covers the whole photograph, whatever its shape.
    """
    film, glare = _sigmoid(_run("finder.onnx", finder_input(photo)[np.newaxis])[0])
    return film, glare


def finder_input(photo: np.ndarray) -> np.ndarray:
    """Return a photograph as the finder sees it: float32 (3, 256, 256), about -1..1."""
    small = cv2.resize(photo, (FINDER_SIDE, FINDER_SIDE), interpolation=cv2.INTER_AREA)
    return np.ascontiguousarray((small.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1))


def see_sides(strips: np.ndarray) -> np.ndarray:
    """Return how surely the film's edge runs through EDGE_COLUMNS at the first and the last place of each side.

    Parameters
    ----------
    strips : ndarray of float32, shape (1, 4, 256, 96)
        As of `cxrbox.capture.edges.strips_input`.

    Returns
    -------
    ndarray of float32, shape (4, 2, 48)
        Shares; each row adds up to 1.
    """
    # A film may as well be walked round the other way: what both ways agree on is surer.
    forth, back = _run("sides.onnx", strips), _run("sides.onnx", np.ascontiguousarray(strips[:, :, ::-1]))
    logits = (forth[0] + back[0, ::-1, ::-1]).transpose(1, 0, 2) / 2
    shares = np.exp(logits - logits.max(axis=-1, keepdims=True))
    # The mean of two edges that compete is neither: only what is next to the best counts.
    best = shares.argmax(axis=-1, keepdims=True)
    shares *= np.abs(np.arange(len(EDGE_COLUMNS)) - best) <= NEAR_BEST
    return shares / shares.sum(axis=-1, keepdims=True)


def upright_input(grey: np.ndarray) -> np.ndarray:
    """Return a film as that network sees it: float32 (1, 64, 64), mean 0 and standard deviation 1."""
    return _normed(grey, UPRIGHT_SIDE)


def framed_input(grey: np.ndarray) -> np.ndarray:
    """Return a grey picture as that network sees it: float32 (1, 64, 64), mean 0 and standard deviation 1.

    Every film is looked at so: of a large one only some of the pixels, or that would take longer than the network.
    """
    step = max(1, min(grey.shape) // (4 * FRAMED_SIDE))
    return _normed(np.ascontiguousarray(grey[::step, ::step]), FRAMED_SIDE)


def _normed(grey: np.ndarray, side: int) -> np.ndarray:
    way = cv2.INTER_AREA if min(grey.shape) >= side else cv2.INTER_LINEAR
    small = cv2.resize(grey, (side, side), interpolation=way).astype(np.float32)
    return ((small - small.mean()) / max(float(small.std()), 1.0))[np.newaxis]


def see_hanging(pictures: np.ndarray) -> np.ndarray:
    """Return the logits of `upright.onnx` for pictures of `upright_input`: (n, 10).

    0 to 7 are turns + 4 * mirrored, 8 is negative, 9 is cut lungs.
    """
    return _run("upright.onnx", pictures)


def see_frame(grey: np.ndarray) -> float:
    """Return the odds, as a logit, that a grey picture, uint8 (height, width), is a photograph of a film."""
    return float(_run("framed.onnx", framed_input(grey)[np.newaxis])[0, 0])


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits.clip(-30, 30)))
