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

    Its map is the HiResCAM, sum_k dy_c/dA_kij A_kij, from the closed form of the gradient. Features are
    ordered as fastai orders them, [maximum, average]. `scale` and `shift` are a batch norm's
    gamma / sqrt(variance + eps) and beta - mean * scale.

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
        peaks = flat.argmax(axis=0)
        pooled = np.concatenate([flat.max(axis=0), flat.mean(axis=0)])
        hidden = self.weight1 @ (self.scale1 * pooled + self.shift1) + self.bias1
        active = np.maximum(hidden, 0)
        logits = self.weight2 @ (self.scale2 * active + self.shift2) + self.bias2

        to_hidden = self.weight2 * (self.scale2 * (hidden > 0))
        gradient = (to_hidden @ self.weight1) * self.scale1
        to_max, to_mean = gradient[:, :channels], gradient[:, channels:]
        maps = (flat @ to_mean.T / len(flat)).T
        each = np.arange(channels)
        np.add.at(maps, (slice(None), peaks), to_max * flat[peaks, each])
        return HeadOutput(logits, maps.reshape(-1, height, width), pooled)


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
