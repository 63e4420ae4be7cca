"""Draw a class activation map as a transparent picture."""

import cv2
import numpy as np

SIDE = 448


def draw_heat(activation: np.ndarray) -> bytes:
    """Return a PNG of SIDE x SIDE pixels: warm and opaque where the film speaks for the finding most.

    The scale is the map's own, so that the place shows also where the likelihood is small. Where nothing
    speaks for the finding the picture is empty.

    Parameters
    ----------
    activation : ndarray of float, shape (height, width)
        Class activation map, in logits.
    """
    # What speaks against the finding is left out first: cubic interpolation swings up beside it.
    speaks_for = np.maximum(activation.astype(np.float32), 0)
    positive = np.maximum(cv2.resize(speaks_for, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC), 0)
    share = (positive / max(float(positive.max()), 1e-6) * 255).astype(np.uint8)
    colour = cv2.applyColorMap(share, cv2.COLORMAP_INFERNO)
    opacity = np.minimum(share.astype(np.uint16) * 2, 255).astype(np.uint8)
    _, png = cv2.imencode(".png", np.dstack([colour, opacity]))
    return png.tobytes()
