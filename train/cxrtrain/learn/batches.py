"""The films of each step: their order, their chance, and their way to the device.

Every step draws from its own seed, so that a run which was killed goes on as if it had not been.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch

from cxrtrain.errors import FilmsError
from cxrtrain.learn.world import World

# All films move to the GPU at once if they leave room for the network.
RESIDENT_SHARE = 0.6


def step_chance(*place: int) -> np.random.Generator:
    """Return the random numbers of one place in training: seed, phase, epoch, step, process."""
    return np.random.default_rng(place)


def epoch_batches(rows: np.ndarray, batch: int, chance: np.random.Generator, world: World) -> list[np.ndarray]:
    """Return the rows of each step of an epoch for this process; films that fill no batch wait for the next epoch.

    Raises
    ------
    FilmsError
        If there are fewer films than one batch has.
    """
    if len(rows) < batch or batch < world.size:
        raise FilmsError(
            f"{len(rows)} films to train on, batches of {batch} and {world.size} processes do not go together; "
            "lower run.batch or name more films"
        )
    order = chance.permutation(rows)
    return [world.share(order[start : start + batch]) for start in range(0, len(rows) - batch + 1, batch)]


class FilmStore:
    """The pixels to train on: on the GPU where they fit, otherwise read from the memory map a batch ahead.

    Parameters
    ----------
    pixels : ndarray of uint8, shape (films, side, side)
        Memory map of the prepared films.
    rows : ndarray of int
        Its rows that are trained on; the store counts within them.
    """

    def __init__(self, pixels: np.ndarray, rows: np.ndarray, device: torch.device):
        self.pixels, self.rows, self.device = pixels, rows, device
        fits = device.type == "cuda" and pixels[:1].nbytes * len(rows) < _room(device)
        self.resident = torch.from_numpy(pixels[rows]).to(device) if fits else None

    def batches(self, rows: list[np.ndarray]) -> Iterator[torch.Tensor]:
        """Yield the films of each step: uint8, shape (n, side, side), on the device."""
        if self.resident is not None:
            yield from (self.resident[torch.from_numpy(own).to(self.device)] for own in rows)
            return
        with ThreadPoolExecutor(1, "films") as reader:
            ahead = reader.submit(self._read, rows[0])
            for following in [*rows[1:], None]:
                films = ahead.result()
                if following is not None:
                    ahead = reader.submit(self._read, following)
                yield films.to(self.device, non_blocking=True)

    def _read(self, rows: np.ndarray) -> torch.Tensor:
        films = torch.from_numpy(self.pixels[self.rows[rows]])
        return films.pin_memory() if self.device.type == "cuda" else films


def _room(device: torch.device) -> float:
    """Return how many bytes of films may stay on a GPU."""
    return RESIDENT_SHARE * torch.cuda.mem_get_info(device)[0]
