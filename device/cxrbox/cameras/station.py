"""The scan station: shows what the camera sees while somebody looks, and takes films when asked to.

It works in the process that takes films in, on a thread of its own. No fault of a camera ends it.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from cxrbox.cameras.board import PreviewBoard
from cxrbox.cameras.flat_field import FlatField, load_flat_field, measure_flat_field
from cxrbox.cameras.seam import PREVIEW_WIDTH, Camera
from cxrbox.cameras.status import StationStatus, Timing
from cxrbox.capture.coach import coach
from cxrbox.errors import CameraError, FlatFieldError

log = logging.getLogger(__name__)
FLAT_FIELD = "flat-field.npz"
# JPEG quality of the preview, and of the still, at which compression costs less than the sensor's noise.
PREVIEW_QUALITY, STILL_QUALITY = 70, 95
# Pictures until automatic exposure has settled, and stills of which a flat field is the mean.
SETTLING, FLAT_STILLS = 12, 4
# Pictures over which the pace is told.
PACE_PICTURES = 20


class ScanStation:
    """One camera, its preview, its flat field and the requests for it.

    Parameters
    ----------
    camera : Camera
        Not open yet.
    state : Path
        The state folder.
    keep : callable
        Takes a still, encoded, and `source="camera"`, for good; returns whether its content was new. OSError where it
        could not be kept.
    take_request : callable
        Returns the next request, a dict with `do` ("scan", "flat-field" or "unlock") and any `token`, or None.
    report : callable
        Takes the status, as a dict, after every tick.
    timing : Timing
    """

    def __init__(
        self,
        camera: Camera,
        state: Path,
        keep: Callable[..., bool],
        take_request: Callable[[], dict[str, Any] | None],
        report: Callable[[dict[str, Any]], None],
        timing: Timing | None = None,
    ):
        self._camera, self._keep, self._take_request, self._report = camera, keep, take_request, report
        self._board, self._flat_path, self._timing = PreviewBoard(state), state / FLAT_FIELD, timing or Timing()
        self._board.clear()
        self._tasks = {"scan": self._scan, "flat-field": self._take_flat_field, "unlock": self._unlock}
        self._open, self._resting = False, False
        self._locked: tuple[str, ...] = ()
        self._flat: FlatField | None = None
        self._flat_fault, self._reason = "", ""
        self._answer: dict[str, Any] | None = None
        self._retry_at, self._pause, self._looked_at = 0.0, 0.0, time.monotonic()
        self._frame, self._times = 0, []
        self._fps: int | None = None

    def tick(self) -> float:
        """Do what is due; return the seconds after which there may be something to do again."""
        started = time.monotonic()
        request, looked = self._take_request(), self._board.looked()
        if looked or request:
            self._looked_at = started
        try:
            self._work(request, looked)
        except CameraError as err:
            self._lose(str(err))
        except OSError as err:
            # The preview is for looking only: the next one is another try.
            self._note(f"the preview cannot be written ({err.strerror}); free some disk space")
        self._report(asdict(self.status()))
        return max(0.0, (self._timing.picture if looked else self._timing.idle) - (time.monotonic() - started))

    def run(self, stopped: Callable[[], bool]) -> None:
        """Tick until `stopped()`, then let the camera go."""
        try:
            while not stopped():
                time.sleep(self.tick())
        finally:
            self.close()

    def status(self) -> StationStatus:
        """Return how the station is."""
        return StationStatus(
            camera=self._camera.name,
            working=not self._reason,
            resting=self._resting,
            reason=self._reason,
            locked=self._locked,
            flat_field=self._flat_fault or ("in use" if self._flat else "none"),
            fps=self._fps,
            answer=self._answer,
        )

    def close(self) -> None:
        """Let the camera go and take the preview off."""
        self._camera.close()
        self._open = False
        self._blank()

    def _work(self, request: dict[str, Any] | None, looked: bool) -> None:
        if request:
            self._answer = {"token": request.get("token")} | self._respond(request)
        elif not self._open and self._due(looked):
            self._start()
        elif self._open and looked:
            self._show()
        elif self._open:
            self._wait_for_a_look()

    def _wait_for_a_look(self) -> None:
        """Show nothing, and let the camera go after a while."""
        if self._times:
            self._blank()
        if time.monotonic() - self._looked_at > self._timing.rest:
            self._resting = True
            self.close()

    def _blank(self) -> None:
        """Take the preview off: it may show somebody's film."""
        self._times, self._fps = [], None
        self._board.clear()

    def _due(self, looked: bool) -> bool:
        """Return whether the camera is to be opened: one that rests by a look, one that was lost after a pause."""
        return looked if self._resting else time.monotonic() >= self._retry_at

    def _start(self) -> None:
        """Open the camera and hold it at the exposure of its flat field."""
        self._camera.open()
        self._settle()
        self._open, self._resting, self._pause = True, False, 0.0
        self._note("")
        try:
            self._use(load_flat_field(self._flat_path, self._camera.name))
        except FlatFieldError as err:
            self._use(None, str(err))

    def _settle(self) -> None:
        for _ in range(SETTLING):
            self._camera.preview()

    def _use(self, flat: FlatField | None, fault: str = "") -> None:
        """Work with a flat field and its exposure from now on, or with none, because of a fault if there is one."""
        self._flat, self._flat_fault = flat, fault
        if flat:
            self._locked = tuple(self._camera.lock(flat.exposure))
        elif self._locked:
            self._camera.unlock()
            self._locked = ()

    def _lose(self, reason: str) -> None:
        """Let a camera go that failed, and open it again after a pause that grows."""
        self._note(reason)
        self.close()
        self._resting, self._locked = False, ()
        self._pause = min(2 * self._pause or self._timing.first_pause, self._timing.longest_pause)
        self._retry_at = time.monotonic() + self._pause

    def _note(self, reason: str) -> None:
        """Keep why there is no preview, or nothing where there is one; the log hears of each once."""
        if reason and reason != self._reason:
            log.warning("%s", reason)
        elif self._reason and not reason:
            log.info("the camera works again")
        self._reason = reason

    def _show(self) -> None:
        """Show a preview and what the coach says to it; corners are shares of its width and height."""
        frame = self._camera.preview()
        coaching = coach(frame)
        self._frame += 1
        corners = None if coaching.corners is None else (coaching.corners / frame.shape[1::-1]).round(4).tolist()
        told = {"code": coaching.code, "sentence": coaching.sentence, "corners": corners, "frame": self._frame}
        share = min(1.0, PREVIEW_WIDTH / frame.shape[1])
        small = cv2.resize(frame, None, fx=share, fy=share, interpolation=cv2.INTER_AREA) if share < 1 else frame
        self._board.put(_encode(small, PREVIEW_QUALITY), told)
        self._note("")
        self._count()

    def _count(self) -> None:
        """Count a preview; the pace is told anew only now and then, as every change of the status is written down."""
        self._times.append(time.monotonic())
        if len(self._times) > PACE_PICTURES:
            self._fps = round(PACE_PICTURES / (self._times[-1] - self._times[0]))
            self._times = self._times[-1:]

    def _respond(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what a request asks for; return whether it was done, and a sentence."""
        task = self._tasks.get(request.get("do"))
        if task is None:
            return {"done": False, "sentence": f"the camera can do {', '.join(self._tasks)}; ask for one of them"}
        try:
            if not self._open:
                self._start()
            return {"done": True, "sentence": task()}
        except CameraError as err:
            self._lose(str(err))
            return {"done": False, "sentence": str(err)}
        except FlatFieldError as err:
            return {"done": False, "sentence": str(err)}
        except OSError as err:
            return {"done": False, "sentence": f"it could not be kept ({err.strerror}); free some space and try again"}

    def _scan(self) -> str:
        """Take a still of the film and hand it on, made even where there is a flat field."""
        still = self._camera.still()
        if self._flat:
            try:
                still = self._flat.apply(still)
            except FlatFieldError as err:
                self._use(None, str(err))
        new = self._keep(_encode(still, STILL_QUALITY), source="camera")
        return "the film was taken" if new else "this very picture was taken before"

    def _take_flat_field(self) -> str:
        """Settle and hold the exposure on the empty light box and keep its flat field; a bad one leaves the old."""
        self._camera.unlock()
        self._settle()
        exposure = self._camera.lock()
        self._locked = tuple(exposure)
        try:
            flat = measure_flat_field(self._stills(), self._camera.name, exposure)
            flat.save(self._flat_path)
        except CameraError:
            raise
        except (FlatFieldError, OSError):
            self._use(self._flat, self._flat_fault)
            raise
        self._use(flat)
        return "the flat field was taken"

    def _stills(self) -> Iterator[np.ndarray]:
        for _ in range(FLAT_STILLS):
            yield self._camera.still()

    def _unlock(self) -> str:
        """Forget the flat field, and let the camera choose its exposure."""
        self._flat_path.unlink(missing_ok=True)
        self._use(None)
        return "the camera chooses its exposure, and there is no flat field"


def _encode(picture: np.ndarray, quality: int) -> bytes:
    return cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
