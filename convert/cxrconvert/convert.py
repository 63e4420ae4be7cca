"""The whole way from a training run's folder to a bundle's folder."""

import logging
import time
from typing import Any

import numpy as np
import onnx
from cxrbundle.labels import FINDINGS
from cxrbundle.manifest import Manifest
from cxrbundle.preprocess import PREPROCESSING

from cxrconvert import bundle, films, provenance
from cxrconvert.bodies import Body, OnnxBody, TfliteBody
from cxrconvert.edgetpu.lint import check_for_edge_tpu
from cxrconvert.equalise import equalise
from cxrconvert.errors import FilmsError, QuantisationError, RunError
from cxrconvert.golden import SEEDS, read_golden
from cxrconvert.metrics import number
from cxrconvert.onnxbody import input_shape, read_body
from cxrconvert.operating_point import OperatingPoint, choose_operating_point
from cxrconvert.parity import Measured, read_with
from cxrconvert.quantise import to_float, to_int8
from cxrconvert.rebuild import rebuild_body
from cxrconvert.rounding import round_kernels
from cxrconvert.run import BODY, FILMS, Run, check_head, read_run
from cxrconvert.settings import Settings

log = logging.getLogger(__name__)
# Each film has 256 places for a kernel of at most some thousand weights.
ROUNDING_FILMS = 128


def convert(settings: Settings) -> None:
    """Convert a training run to a bundle.

    Raises
    ------
    ConvertError
        If the run, its films, its network or the output folder cannot be used; nothing is left behind.
    BundleError
        If the box would refuse the bundle.
    """
    started = time.monotonic()
    bundle.check_output(settings.output, settings.force)
    bundle.check_title(settings.name, settings.version)
    run = read_run(settings.run)
    rows = films.read_films(run.folder / FILMS, settings.films)
    model = read_model(run)
    drawn = films.calibration_films(rows, settings.calibration_films)
    calibration = np.concatenate(list(films.load_inputs(settings.films, drawn, run.size)))
    exact = OnnxBody(model, run.scale, run.zero_point)
    check_head(run, exact(calibration[:1]))
    log.info("quantising with %d films", len(calibration))
    float_body, int8_body = make_bodies(run, model, calibration)
    operators = check_for_edge_tpu(int8_body)
    log.info("operators of the int8 body: %s", operators)

    int8 = TfliteBody(int8_body, run.scale, run.zero_point)
    check_ends(int8, run)
    readers = {"onnx": exact, "float": TfliteBody(float_body, run.scale, run.zero_point), "int8": int8}
    validation, test = (measure(part, rows, run, readers, settings) for part in (films.VALIDATION, films.TEST))
    point = choose_operating_point(validation.labels, validation.readings["int8"].logits)
    golden, maps = read_golden(int8, run.head, run.size)
    plain = TfliteBody(int8_body, run.scale, run.zero_point, plain_kernels=True)
    plainly, _ = read_golden(plain, run.head, run.size)
    conversion = {
        **provenance.tool_facts(),
        "calibration_films": len(calibration),
        "operators": operators,
        **provenance.measured_facts(validation, test, point),
        "golden_kernel_difference": number(np.abs(plainly - golden).max()),
        "seconds": round(time.monotonic() - started, 1),
    }
    manifest = compose_manifest(settings, run, int8, point, conversion)
    arrays = {"seeds": np.array(SEEDS, np.int64), "logits": golden, "maps": maps}
    bundle.write_bundle(settings.output, manifest, int8_body, run.head, arrays, settings.force)


def compose_manifest(
    settings: Settings, run: Run, int8: TfliteBody, point: OperatingPoint, conversion: dict[str, Any]
) -> Manifest:
    """Return the manifest of a bundle, but for the digests of its files."""
    entry, features = int8.ends()
    return Manifest(
        name=settings.name,
        version=settings.version,
        network=run.facts["network"],
        labels=FINDINGS,
        preprocessing=PREPROCESSING,
        input=entry,
        features=features,
        body=bundle.BODY,
        head=bundle.HEAD,
        head_kind=run.head.kind,
        golden=bundle.GOLDEN,
        calibration=dict(zip(FINDINGS, point.calibrations, strict=True)),
        thresholds=dict(zip(FINDINGS, point.thresholds, strict=True)),
        training=provenance.training_facts(run.facts),
        conversion=conversion,
        files={},
    )


def read_model(run: Run) -> onnx.ModelProto:
    """Return a run's ONNX body; raise RunError unless it takes the films that run.json speaks of."""
    model = read_body(run.folder / BODY)
    if input_shape(model) != (1, 3, run.size, run.size):
        raise RunError(
            f"{run.folder / BODY} takes {input_shape(model)}, run.json says a size of {run.size}; "
            "take both from one training run"
        )
    return model


def make_bodies(run: Run, model: onnx.ModelProto, calibration: np.ndarray) -> tuple[bytes, bytes]:
    """Return the float and the int8 TFLite file of a run's body.

    Parameters
    ----------
    run : Run
    model : ModelProto
    calibration : ndarray of uint8, shape (films, size, size, 3)
    """
    exact = to_float(rebuild_body(model))
    even = equalise(model, calibration, run.scale, run.zero_point)
    rounded = round_kernels(even, calibration[:ROUNDING_FILMS], run.scale, run.zero_point)
    return exact, to_int8(rebuild_body(rounded), calibration, run.scale, run.zero_point)


def check_ends(int8: TfliteBody, run: Run) -> None:
    """Raise QuantisationError unless raw pixels may go into the int8 body as they are."""
    entry, _ = int8.ends()
    if (entry.scale, entry.zero_point) != (run.scale, run.zero_point):
        raise QuantisationError(
            f"the int8 body's input is quantised as ({entry.scale}, {entry.zero_point}), training scaled pixels by "
            f"({run.scale}, {run.zero_point}); train with a scaling that spans 0..255 exactly"
        )


def measure(part: str, rows: list[films.Film], run: Run, readers: dict[str, Body], settings: Settings) -> Measured:
    """Return what every body says of the films of one part."""
    own = films.films_of(rows, part, settings.measured_films)
    if not own:
        raise FilmsError(f"{run.folder / FILMS} has no sharp {part} film; train on more films")
    log.info("measuring on %d %s films", len(own), part)
    readings = read_with(readers, run.head, films.load_inputs(settings.films, own, run.size))
    return Measured([film.patient for film in own], films.label_array(own), readings)
