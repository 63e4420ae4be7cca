"""Draws from torch's global generator: `torch.manual_seed` before a call makes it repeatable."""

import torch
from torch import Tensor


def uniform(films: Tensor, low: float, high: float) -> Tensor:
    """Return a number between LOW and HIGH for each film: Tensor, shape (n,), on their device.

    It is drawn on the CPU, so that a seed gives the same on every device.
    """
    return (torch.rand(len(films)) * (high - low) + low).to(films.device, films.dtype)


def log_uniform(films: Tensor, low: float, high: float) -> Tensor:
    """Return a factor between LOW and HIGH for each film, as likely to halve as to double: shape (n,)."""
    return low * (high / low) ** uniform(films, 0, 1)


def some(films: Tensor, share: float) -> Tensor:
    """Return which films are chosen, each with this chance: Tensor of bool, shape (n,), on the CPU.

    There it may steer the program; an answer fetched from an accelerator would make it wait.
    """
    return torch.rand(len(films)) < share


def each(values: Tensor) -> Tensor:
    """Return a number for each film in the shape that meets pictures: (n, 1, 1, 1)."""
    return values.view(-1, 1, 1, 1)
