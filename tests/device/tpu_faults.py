"""Command the faults of the stand-in, find its process, and know what the right answers are."""

import os
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
from cxrbox.bodies.choice import open_body
from cxrbox.bodies.cpu import CpuBody
from cxrbox.bodies.seam import BodyStatus
from cxrbox.bodies.stand_in import FAULT_FILE
from cxrbox.bodies.switching import Pauses, SwitchingBody
from cxrbox.errors import BackendError
from cxrbundle.bundle import Bundle, load_bundle
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import to_input
from cxrbundle.shipped import shipped_bundle

QUICK = Pauses(first=0.05, longest=0.1)


def wait_for(condition: Callable[[], object], seconds: float = 60) -> object:
    """Return what `condition()` returns once it is true."""
    deadline = time.monotonic() + seconds
    while not (result := condition()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.01)
    return result


def tpu_processes() -> list[int]:
    """Return the numbers of the device processes that this process started and that still run."""
    return [int(folder.name) for folder in Path("/proc").glob("[0-9]*") if _is_ours(folder)]


def _is_ours(process: Path) -> bool:
    try:
        parent = (process / "stat").read_text().rpartition(")")[2].split()[1]
        return parent == str(os.getpid()) and b"cxrbox.bodies.tpu_process" in (process / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


@cache
def known_answers() -> tuple[Bundle, list[np.ndarray], list[np.ndarray]]:
    """Return the shipped bundle, some films, and what the CPU answers them."""
    bundle = load_bundle(shipped_bundle())
    films = [to_input(draw_phantom(seed), bundle.manifest.input.height) for seed in range(100, 104)]
    cpu = CpuBody(bundle, 1)
    return bundle, films, [cpu(film) for film in films]


class Trial:
    """A body on the stand-in, the films it reads, and the answers of the CPU.

    Attributes
    ----------
    films : list of ndarray
    answers : list of ndarray
        Features of the same films from the CPU alone.
    """

    def __init__(self, fault_file: Path):
        self.bundle, self.films, self.answers = known_answers()
        self._fault_file = fault_file
        self.body: SwitchingBody | None = None

    @property
    def status(self) -> BodyStatus:
        return self.body.status()

    def open(self, **deadlines) -> "Trial":
        os.environ[FAULT_FILE] = str(self._fault_file)
        deadlines = {"open_seconds": 60, "invoke_seconds": 60, "pauses": QUICK} | deadlines
        self.body = open_body(self.bundle, "stand-in", 1, self.prove, **deadlines)
        return self

    def serving(self, **deadlines) -> "Trial":
        """Open the body and wait until it reads on the device."""
        self.open(**deadlines)
        wait_for(lambda: not self.status.degraded)
        return self

    def command(self, fault: str) -> None:
        """Command a fault; an empty text makes the stand-in well."""
        self._fault_file.write_text(fault)

    def prove(self, body) -> None:
        """Read one golden film, as `Reader.check_golden_films` reads all."""
        golden = self.bundle.golden
        film = to_input(draw_phantom(int(golden.seeds[0])), self.bundle.manifest.input.height)
        if np.abs(self.bundle.head(body(film)).logits - golden.logits[0]).max() > 1:
            raise BackendError(f"{body.backend} drifted")

    def reads_on(self) -> str:
        """Read every film, each once, assert that the answers are right, and return what gave the last."""
        for film, answer in zip(self.films, self.answers, strict=True):
            np.testing.assert_array_equal(self.body(film), answer)
        return self.body.backend.split()[0]

    def close(self) -> None:
        if self.body:
            self.body.close()
        os.environ.pop(FAULT_FILE, None)
