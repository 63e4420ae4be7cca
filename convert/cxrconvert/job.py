"""What all stages of one conversion share: the run, its films, and what earlier stages made."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnx

from cxrconvert import films
from cxrconvert.bodies import OnnxBody, TfliteBody
from cxrconvert.errors import FilmsError
from cxrconvert.films import Film
from cxrconvert.parity import Measured
from cxrconvert.run import FILMS, Run, read_run
from cxrconvert.settings import Settings
from cxrconvert.stages import Work

READERS = ("torch", "onnx", "float", "int8")
# Where each stage puts what later ones read.
ONNX, EVEN = ("export", "body.onnx"), ("quantise", "even.onnx")
FLOAT_BODY, INT8_BODY, TPU_BODY = (
    ("rebuild", "float.tflite"),
    ("quantise", "int8.tflite"),
    ("compile", "edgetpu.tflite"),
)
READINGS, GOLDEN = ("parity", "readings.npz"), ("golden", "golden.npz")
FILM_CHECK = ("film-check", "film-check.npz")


@dataclass
class Job:
    """One conversion.

    Attributes
    ----------
    settings : Settings
    run : Run
    rows : list of Film
        Every sharp film of the run.
    """

    settings: Settings
    run: Run
    rows: list[Film]

    @property
    def work(self) -> Work:
        """The folders of the stages."""
        return Work(self.settings.work_folder)

    def model(self, artefact: tuple[str, str] = ONNX) -> onnx.ModelProto:
        """Return an ONNX body that a stage wrote."""
        return onnx.load(self.work.path(*artefact))

    def bytes(self, artefact: tuple[str, str]) -> bytes:
        """Return a file that a stage wrote."""
        return self.work.path(*artefact).read_bytes()

    def tflite(self, artefact: tuple[str, str] = INT8_BODY, plain_kernels: bool = False) -> TfliteBody:
        """Return a TFLite body that a stage wrote."""
        return TfliteBody(self.bytes(artefact), self.run.scale, self.run.zero_point, plain_kernels)

    def onnx_body(self) -> OnnxBody:
        """Return the exported body, the reference of all figures."""
        return OnnxBody(self.model(), self.run.scale, self.run.zero_point)

    @cached_property
    def calibration_rows(self) -> tuple[list[Film], list[Film]]:
        """The films that ranges are measured on, and those that ranges are compared on."""
        return films.calibration_films(self.rows, self.settings.calibration_films)

    @cached_property
    def calibration(self) -> np.ndarray:
        """The inputs of the films that ranges are measured on: uint8, shape (films, size, size, 3)."""
        return self.inputs(self.calibration_rows[0])

    def inputs(self, rows: list[Film]) -> np.ndarray:
        """Return the inputs of some films: uint8, shape (films, size, size, 3)."""
        return np.concatenate(list(films.load_inputs(self.settings.films, rows, self.run.size)))

    def part(self, name: str) -> list[Film]:
        """Return the films of one part that are measured."""
        own = films.films_of(self.rows, name, self.settings.measured_films)
        if not own:
            raise FilmsError(f"{self.run.folder / FILMS} has no sharp {name} film; train on more films")
        return own

    def measured(self, name: str) -> Measured:
        """Return what every body said of the films of one part, once the parity stage has run."""
        own = self.part(name)
        with np.load(self.work.path(*READINGS)) as readings:
            logits = {reader: readings[f"{name}_{reader}"] for reader in READERS}
        return Measured([film.patient for film in own], films.label_array(own), logits)


def open_job(settings: Settings) -> Job:
    """Read the run of a conversion and the table of its films.

    Raises
    ------
    ConvertError
        If the run is not finished, contradicts itself, or its films are not there.
    """
    run = read_run(settings.run)
    return Job(settings, run, films.read_films(run.folder / FILMS, settings.films))


def file_times(root: Path, rows: list[Film]) -> list[list]:
    """Return path, bytes and time of change of films: what tells that they are the same as before."""
    return [[film.path, (found := (root / film.path).stat()).st_size, found.st_mtime_ns] for film in rows]
