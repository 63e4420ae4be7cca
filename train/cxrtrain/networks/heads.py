"""Heads: from the last feature map to logits. What they are in numpy stands in cxrbundle.head."""

from typing import ClassVar

import torch
import torch.nn.functional as nnf
from torch import nn


class ClassMapHead(nn.Module):
    """A 1x1 convolution and global average pooling: the logit is the mean of its class map (Zhou et al., CVPR 2016).

    Attributes
    ----------
    answer : Conv2d
        Its outputs are the class maps.
    """

    kind: ClassVar[str] = "pool-linear"

    def __init__(self, channels: int, outputs: int, dropout: float):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.answer = nn.Conv2d(channels, outputs, 1)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (n, outputs), of features, shape (n, channels, h, w).

        Both steps are linear, so pooling first gives the same logits for h w times less work.
        """
        pooled = self.dropout(features.mean(dim=(2, 3)))
        return nnf.linear(pooled, self.answer.weight.flatten(1), self.answer.bias)

    def class_maps(self, features: torch.Tensor) -> torch.Tensor:
        """Return maps, shape (n, outputs, h, w), whose mean over h and w is the logit."""
        return self.answer(features)

    def arrays(self) -> dict[str, torch.Tensor]:
        """Return the weights of cxrbundle's PoolLinearHead."""
        return _detached({"weight": self.answer.weight.flatten(1), "bias": self.answer.bias})


class ConcatPoolHead(nn.Module):
    """The paper's head, fastai's: concat pooling, two batch norms, two linear layers (section 1.2.2)."""

    kind: ClassVar[str] = "concat-pool"

    def __init__(self, channels: int, outputs: int, hidden: int = 512):
        super().__init__()
        self.norm1 = nn.BatchNorm1d(2 * channels)
        self.dropout1 = nn.Dropout(0.25)
        self.hidden = nn.Linear(2 * channels, hidden)
        self.norm2 = nn.BatchNorm1d(hidden)
        self.dropout2 = nn.Dropout(0.5)
        self.answer = nn.Linear(hidden, outputs)
        for linear in (self.hidden, self.answer):  # as fastai starts a head
            nn.init.kaiming_normal_(linear.weight)
            nn.init.zeros_(linear.bias)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        """Return logits, shape (n, outputs), of features, shape (n, channels, h, w)."""
        pooled = torch.cat([nnf.adaptive_max_pool2d(features, 1), nnf.adaptive_avg_pool2d(features, 1)], dim=1)
        active = nnf.relu(self.hidden(self.dropout1(self.norm1(pooled.flatten(1)))))
        return self.answer(self.dropout2(self.norm2(active)))

    def arrays(self) -> dict[str, torch.Tensor]:
        """Return the weights of cxrbundle's ConcatPoolHead; each batch norm as a scale and a shift."""
        arrays = {}
        for number, (norm, linear) in enumerate([(self.norm1, self.hidden), (self.norm2, self.answer)], start=1):
            scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
            arrays[f"scale{number}"] = scale
            arrays[f"shift{number}"] = norm.bias - norm.running_mean * scale
            arrays[f"weight{number}"] = linear.weight
            arrays[f"bias{number}"] = linear.bias
        return _detached(arrays)


Head = ClassMapHead | ConcatPoolHead


def build_head(name: str, channels: int, outputs: int, dropout: float) -> Head:
    """Return the head of a recipe's network.head, "class-map" or "concat-pool"."""
    if name == "concat-pool":
        return ConcatPoolHead(channels, outputs)
    return ClassMapHead(channels, outputs, dropout)


def _detached(arrays: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: array.detach().cpu().contiguous() for name, array in arrays.items()}
