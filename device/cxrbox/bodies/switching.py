"""The Edge TPU while it answers, the CPU while it does not; no film waits for a device, and none is lost to it."""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from cxrbox.bodies.cpu import CpuBody
from cxrbox.bodies.seam import BodyStatus, Prove
from cxrbox.bodies.tpu import LOST, Device, TpuBody
from cxrbox.errors import BackendError, DeviceLostError

log = logging.getLogger(__name__)
# A Coral that is opened again and again in quick succession vanishes until it is replugged.
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 120.0
# A device that was in service for so long (seconds) has recovered: its next pause is short again.
RECOVERED = 600.0


@dataclass(frozen=True)
class Pauses:
    """Seconds between losing a device and opening it again."""

    first: float = FIRST_PAUSE
    longest: float = LONGEST_PAUSE
    recovered: float = RECOVERED

    def after(self, last: float | None, held: float) -> float:
        """Return the next pause, given the last one (None: there was none) and for how long the device was held."""
        return self.first if last is None or held > self.recovered else min(last * 2, self.longest)


class SwitchingBody:
    """Reads on a device while it answers, and with the same model on the CPU while it does not.

    A thread opens the device, proves it, waits until its process ends and opens it again after a pause that grows.

    Parameters
    ----------
    cpu : CpuBody
    device : Device
    prove : Prove
        A device is in service only once it has passed.
    pauses : Pauses
    """

    def __init__(self, cpu: CpuBody, device: Device, prove: Prove, pauses: Pauses | None = None):
        self._cpu, self._device, self._prove, self._pauses = cpu, device, prove, pauses or Pauses()
        self._answered = threading.local()
        # Guards what several threads write.
        self._lock = threading.Lock()
        self._child: TpuBody | None = None
        self._serving: TpuBody | None = None
        self._fault = f"the {device.name} is being opened"
        self._failed: list[str] = []
        self._resets = 0
        self._last_reset: float | None = None
        self._retry_at: float | None = None
        self._tried, self._closing = threading.Event(), threading.Event()
        self._keeper = threading.Thread(target=self._keep, name=device.kind, daemon=True)
        self._keeper.start()

    @property
    def backend(self) -> str:
        """What answered the calling thread's last film."""
        return getattr(self._answered, "backend", self._cpu.backend)

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        """Return the feature map of one film, from the CPU if the device fails on it; see `Body`."""
        serving = self._serving
        if serving:
            try:
                features = serving(pixels)
            except DeviceLostError as err:
                self._withdraw(serving, str(err))
            else:
                self._answered.backend = serving.backend
                return features
        self._answered.backend = self._cpu.backend
        return self._cpu(pixels)

    def check(self, prove: Prove) -> bool:
        """Prove the CPU, which must be fit to step in, and the device, which is taken out of service if it drifted.

        Raises
        ------
        BackendError
            If the CPU does not answer as it should.
        """
        self._cpu.check(prove)
        serving = self._serving
        fault = self._find_fault(lambda: self._put_to_proof(serving, prove)) if serving else ""
        if fault:
            self._withdraw(serving, fault)
        return not fault

    def take_failed(self) -> list[str]:
        """Return the backends that failed a proof since this was asked last."""
        with self._lock:
            failed, self._failed = self._failed, []
        return failed

    def status(self) -> BodyStatus:
        """Return how films are read now."""
        with self._lock:
            serving, retry_at = self._serving, self._retry_at
            used = serving or self._cpu
            return BodyStatus(
                backend=used.backend,
                wanted=self._device.kind,
                degraded=serving is None,
                reason="" if serving else self._reason(),
                resets=self._resets,
                last_reset=self._last_reset,
                expected_ms=used.pace.median,
                retry_seconds=None if retry_at is None else max(0.0, retry_at - time.monotonic()),
            )

    def wait_until_tried(self, seconds: float) -> bool:
        """Wait until the device is in service, or was found unfit, for the first time; return whether it was tried."""
        return self._tried.wait(seconds)

    def close(self) -> None:
        """Let the device and its process go; films are read on the CPU from now on."""
        with self._lock:
            self._closing.set()
            self._serving, child = None, self._child
            self._fault = f"the {self._device.name} is closed"
        if child:
            child.close()
        self._keeper.join()

    def _reason(self) -> str:
        milliseconds = self._cpu.pace.median
        each = f", about {_readable(milliseconds)} each" if milliseconds else ""
        return f"{self._fault[0].upper()}{self._fault[1:]}; films are read on the processor{each}."

    def _keep(self) -> None:
        """Hold the device, and hold it again after a pause whenever it is lost, until the body is closed."""
        pause = None
        while not self._closing.is_set():
            started = time.monotonic()
            self._hold()
            pause = self._pauses.after(pause, time.monotonic() - started)
            self._retry_at = time.monotonic() + pause
            self._closing.wait(pause)
            self._retry_at = None

    def _hold(self) -> None:
        """Open the device, prove it, and have it in service until its process ends."""
        fault = self._find_fault(self._open_and_prove)
        child = self._child
        if fault:
            self._note(fault)
        else:
            self._admit(child)
        self._tried.set()
        if child:
            if fault:
                child.kill()
            child.wait()
            self._withdraw(child, f"the {self._device.name} {LOST}")

    def _open_and_prove(self) -> None:
        self._child = None
        with self._lock:
            if self._closing.is_set():
                raise DeviceLostError(self._fault)
            self._child = TpuBody(self._device)
        self._child.open()
        self._put_to_proof(self._child, self._prove)

    def _put_to_proof(self, device: TpuBody, prove: Prove) -> None:
        """Prove a device, and note the backend where it fails; raise as `prove` does."""
        try:
            prove(device)
        except DeviceLostError:
            raise
        except BackendError:
            with self._lock:
                self._failed.append(device.backend)
            raise

    def _find_fault(self, trial: Callable[[], None]) -> str:
        """Return what is wrong with the device according to a trial of it, or an empty text."""
        try:
            trial()
        except DeviceLostError as err:
            return str(err)
        except BackendError as err:
            log.warning("%s", err)
            return f"the {self._device.name} does not answer the golden films as on the day the bundle was made"
        except MemoryError:
            return f"the {self._device.name} could not be tried, there was too little memory"
        return ""

    def _admit(self, child: TpuBody) -> None:
        """Put a device into service."""
        with self._lock:
            if self._closing.is_set():
                return
            self._serving = child
        log.info("films are read on the %s", self._device.name)

    def _note(self, fault: str) -> None:
        """Keep why there is no device; the log hears of it once."""
        with self._lock:
            news = fault != self._fault and not self._closing.is_set()
            self._fault = fault if news else self._fault
        if news:
            log.warning("%s; films are read on the processor", fault)

    def _withdraw(self, device: TpuBody, fault: str) -> None:
        """Take a device out of service; only the first to notice counts it."""
        with self._lock:
            if self._serving is not device:
                return
            self._serving = None
            self._resets, self._last_reset = self._resets + 1, time.time()
        device.kill()
        self._note(fault)


def _readable(milliseconds: float) -> str:
    """Return a time for people."""
    return f"{milliseconds:.0f} ms" if milliseconds < 100 else f"{milliseconds / 1000:.1f} s"
