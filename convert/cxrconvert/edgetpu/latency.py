"""A prediction of the Edge TPU's latency, from what others published."""

from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import nnls

from cxrconvert.edgetpu.cost import ON_CHIP


@dataclass(frozen=True)
class Published:
    """A network whose latency Coral published (coral.ai/docs/edgetpu/benchmarks, desktop with a USB 3 accelerator).

    Attributes
    ----------
    macs : float
        In millions; counted on torchvision's and timm's definitions of these networks, at this size.
    parameters : float
        In millions; a byte each in int8.
    milliseconds : float
    """

    network: str
    size: int
    macs: float
    parameters: float
    milliseconds: float


PUBLISHED = (
    Published("MobileNet v1", 224, 569, 4.23, 2.4),
    Published("MobileNet v2", 224, 301, 3.50, 2.6),
    Published("Inception v1", 224, 1498, 6.62, 3.4),
    Published("DenseNet-121", 224, 2834, 7.98, 20),
    Published("ResNet-50 v1", 299, 7212, 25.56, 49),
    Published("EfficientNet-EdgeTPU-S", 224, 1789, 5.44, 5.1),
    Published("EfficientNet-EdgeTPU-M", 240, 3013, 6.90, 8.7),
)
BASIS = (
    "a prediction, not a measurement: fixed time + time per MAC + time per byte of parameters beyond the chip, fitted "
    f"to the {len(PUBLISHED)} latencies that Coral published for a desktop with a USB 3 accelerator; the range is how "
    "far the fit misses each of them when fitted to the others; the model alone, without the CPU's part; slower hosts "
    "and USB 2 take longer"
)


@dataclass(frozen=True)
class Prediction:
    """A predicted latency, in milliseconds."""

    milliseconds: float
    low: float
    high: float
    basis: str = BASIS


def predict(macs: int, parameters: int) -> Prediction:
    """Return the predicted latency on a desktop with a USB 3 accelerator.

    Parameters
    ----------
    macs : int
        Of the operators on the TPU.
    parameters : int
        Their bytes.
    """
    terms, (fewest, most) = fit(PUBLISHED), misses()
    expected = float(terms @ (1, macs / 1e6, max(parameters - ON_CHIP, 0) / 1e6))
    return Prediction(*(round(expected * factor, 2) for factor in (1, fewest, most)))


def fit(rows: tuple[Published, ...]) -> np.ndarray:
    """Return milliseconds fixed, per million MACs and per million bytes beyond the chip; none below 0.

    Least squares of the relative error, since the latencies span a factor of twenty.
    """
    published = np.array([row.milliseconds for row in rows])
    return nnls(_features(rows) / published[:, np.newaxis], np.ones(len(rows)))[0]


@cache
def misses() -> tuple[float, float]:
    """Return the least and the greatest ratio, published to predicted, each network left out of its own fit."""
    ratios = []
    for row in PUBLISHED:
        others = tuple(other for other in PUBLISHED if other is not row)
        ratios.append(row.milliseconds / float((_features((row,)) @ fit(others))[0]))
    return min(ratios), max(ratios)


def _features(rows: tuple[Published, ...]) -> np.ndarray:
    """Return 1, millions of MACs and millions of bytes beyond the chip, shape (networks, 3)."""
    return np.array([(1, row.macs, max(row.parameters - ON_CHIP / 1e6, 0)) for row in rows])
