"""pixels.npy: the films of a prepared folder as one array, uint8 of shape (films, size, size), on disk."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor
from pathlib import Path

import numpy as np


def create_pixels(path: Path, films: int, size: int) -> None:
    """Write an array of nothing; on most file systems it takes no room until it is filled."""
    np.lib.format.open_memmap(path, "w+", np.uint8, (films, size, size)).flush()


def write_pixels(path: Path, squares: Iterable[tuple[int, np.ndarray]]) -> None:
    """Write films at their rows, safe from a power cut once this returns.

    It is done through a file, as a full disk is an OSError there; a memory map would be killed by it.

    Raises
    ------
    OSError
        If the disk is full.
    """
    start = np.load(path, mmap_mode="r").offset
    with path.open("r+b") as file:
        for row, square in squares:
            file.seek(start + row * square.nbytes)
            file.write(square.tobytes())
        file.flush()
        os.fsync(file.fileno())


def keep_pixels(path: Path, rows: list[int]) -> None:
    """Leave all but some rows out; done again, as after a power cut, it changes nothing."""
    pixels = np.load(path, mmap_mode="r")
    if len(pixels) == len(rows):
        return
    new = path.with_suffix(".new")
    create_pixels(new, len(rows), pixels.shape[1])
    write_pixels(new, enumerate(pixels[row] for row in rows))
    new.replace(path)


def in_order(pool: Executor, function: Callable, items: Iterable, ahead: int) -> Iterator:
    """Yield function(item) of each item in order, with at most AHEAD begun and not yet yielded."""
    waiting: deque = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
