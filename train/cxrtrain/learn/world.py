"""One process or many: `torchrun` starts the same command on each GPU of each node."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
import torch.distributed as dist


@dataclass(frozen=True)
class World:
    """The processes that train together, and this one's place among them.

    Attributes
    ----------
    rank : int
        This process, 0..size - 1; the first one alone writes files.
    size : int
    device : torch.device
    """

    rank: int
    size: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes."""
        return self.rank == 0

    def share(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of this process: every size-th."""
        return rows[self.rank :: self.size]

    def gather(self, own: np.ndarray) -> np.ndarray:
        """Return the rows of all processes in their common order; the inverse of `share`."""
        if self.size == 1:
            return own
        parts: list[np.ndarray] = [None] * self.size
        dist.all_gather_object(parts, own)
        whole = np.empty((sum(map(len, parts)), *own.shape[1:]), own.dtype)
        for rank, part in enumerate(parts):
            whole[rank :: self.size] = part
        return whole

    def mean(self, value: float) -> float:
        """Return the mean of a number over the processes."""
        return float(self.gather(np.array([value])).mean())

    def wait(self) -> None:
        """Wait until all processes are here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def join_world() -> Iterator[World]:
    """Join the processes that `torchrun` started, or be alone."""
    size, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    local = int(os.environ.get("LOCAL_RANK", 0))
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda", local) if on_gpu else torch.device("cpu")
    if on_gpu:
        torch.cuda.set_device(device)
    if size == 1:
        yield World(0, 1, device)
        return
    dist.init_process_group("nccl" if on_gpu else "gloo")
    try:
        yield World(rank, size, device)
        # Nobody leaves while others work. Gloo's threads, which a wrapped network keeps alive, may still hold what was
        # gathered last; a process that ended under them would be aborted.
        dist.barrier()
    finally:
        dist.destroy_process_group()
