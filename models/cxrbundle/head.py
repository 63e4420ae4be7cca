"""The float head: from the body's last feature map to logits and class activation maps, in numpy.

Both kinds answer the same three questions for one film, without back-propagation.
"""

from dataclasses import dataclass, fields
from typing import ClassVar, Protocol

import numpy as np

from cxrbundle.errors import ManifestError


@dataclass(frozen=True)
class HeadOutput:
    """What a head says of one film.

    Attributes
    ----------
    logits : ndarray of float32, shape (findings,)
    maps : ndarray of float32, shape (findings, height, width)
        Class activation maps, in logits: where the film speaks for (> 0) or against a finding.
    pooled : ndarray of float32, shape (features,)
        Pooled features, for the refusal check.
    """

    logits: np.ndarray
    maps: np.ndarray
    pooled: np.ndarray


class Head(Protocol):
    """A head reads a feature map of shape (height, width, channels), float32."""

    kind: ClassVar[str]

    def __call__(self, features: np.ndarray) -> HeadOutput:
        """Return logits, maps and pooled features of one film."""


@dataclass(frozen=True)
class PoolLinearHead:
    """Global average pooling and one linear layer; its class map is its HiResCAM.

    mean(M_c) + b_c = y_c, so the map says exactly where the logit comes from (Zhou et al., CVPR 2016).

    Attributes
    ----------
    weight : ndarray of float32, shape (findings, channels)
    bias : ndarray of float32, shape (findings,)
    """

    kind: ClassVar[str] = "pool-linear"
    weight: np.ndarray
    bias: np.ndarray

    def __call__(self, features: np.ndarray) -> HeadOutput:
        """Return logits, maps and pooled features of one film; see `Head`."""
        height, width, channels = features.shape
        flat = features.reshape(-1, channels)
        maps = (flat @ self.weight.T).T
        return HeadOutput(
            logits=maps.mean(axis=1) + self.bias,
            maps=maps.reshape(-1, height, width),
            pooled=flat.mean(axis=0),
        )


@dataclass(frozen=True)
class ConcatPoolHead:
    """The paper's head (section 1.2.2), in evaluation: concat pooling, two batch norms, two linear layers.

    Its map is the paper's Grad-CAM, sum_k alpha_ck A_k with the mean gradient alpha (Selvaraju et al., ICCV 2017), from
    the closed form of the gradient and without the ReLU, so that it also shows what speaks against a finding. The
    HiResCAM lays what a channel's maximum says on the one place where it stands: between places of about the same
    value int8 may move it. Features are ordered as fastai orders them, [maximum, average]. `scale` and `shift` are a
    batch norm's gamma / sqrt(variance + eps) and beta - mean * scale.

    Attributes
    ----------
    scale1, shift1 : ndarray of float32, shape (2 * channels,)
    weight1 : ndarray of float32, shape (hidden, 2 * channels)
    bias1 : ndarray of float32, shape (hidden,)
    scale2, shift2 : ndarray of float32, shape (hidden,)
    weight2 : ndarray of float32, shape (findings, hidden)
    bias2 : ndarray of float32, shape (findings,)
    """

    kind: ClassVar[str] = "concat-pool"
    scale1: np.ndarray
    shift1: np.ndarray
    weight1: np.ndarray
    bias1: np.ndarray
    scale2: np.ndarray
    shift2: np.ndarray
    weight2: np.ndarray
    bias2: np.ndarray

    def __call__(self, features: np.ndarray) -> HeadOutput:
        """Return logits, maps and pooled features of one film; see `Head`."""
        height, width, channels = features.shape
        flat = features.reshape(-1, channels)
        pooled, active = self._pass(flat)
        logits = self.weight2 @ (self.scale2 * active + self.shift2) + self.bias2
        to_max, to_mean = self._gradients(active)
        maps = (flat @ (to_max + to_mean).T / len(flat)).T
        return HeadOutput(logits, maps.reshape(-1, height, width), pooled)

    def hires_cam(self, features: np.ndarray) -> np.ndarray:
        """Return sum_k dy_c/dA_kij A_kij (Draelos and Carin, 2020): float32, shape (findings, height, width)."""
        height, width, channels = features.shape
        flat = features.reshape(-1, channels)
        to_max, to_mean = self._gradients(self._pass(flat)[1])
        maps = (flat @ to_mean.T / len(flat)).T
        peaks, each = flat.argmax(axis=0), np.arange(channels)
        np.add.at(maps, (slice(None), peaks), to_max * flat[peaks, each])
        return maps.reshape(-1, height, width)

    def _pass(self, flat: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the pooled features and the hidden layer after its ReLU."""
        pooled = np.concatenate([flat.max(axis=0), flat.mean(axis=0)])
        return pooled, np.maximum(self.weight1 @ (self.scale1 * pooled + self.shift1) + self.bias1, 0)

    def _gradients(self, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the gradients of the logits to maximum and average of each channel, shape (findings, channels)."""
        to_hidden = self.weight2 * (self.scale2 * (active > 0))
        gradient = (to_hidden @ self.weight1) * self.scale1
        return tuple(np.split(gradient, 2, axis=1))


KINDS = {kind.kind: kind for kind in (PoolLinearHead, ConcatPoolHead)}


def build_head(kind: str, weights: dict[str, np.ndarray]) -> Head:
    """Return the head of a kind with its weights in float32.

    Raises
    ------
    ManifestError
        If the kind is unknown or the weights are not the ones it has.
    """
    if kind not in KINDS:
        raise ManifestError(f"head kind {kind!r} is unknown; this release reads {', '.join(KINDS)}")
    expected = {field.name for field in fields(KINDS[kind])}
    if set(weights) != expected:
        raise ManifestError(f"a {kind} head has the weights {sorted(expected)}, the bundle brings {sorted(weights)}")
    return KINDS[kind](**{name: np.asarray(array, np.float32) for name, array in weights.items()})
