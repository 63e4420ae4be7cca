"""Put together what stands in a bundle, from what the stages of a conversion made."""

import dataclasses
import io
from typing import Any

import numpy as np
from cxrbundle.head import Head
from cxrbundle.labels import FINDINGS
from cxrbundle.manifest import PREPROCESSING, Manifest
from cxrbundle.operating_point import Calibration, Thresholds

from cxrconvert import bundle, provenance
from cxrconvert.job import FILM_CHECK, GOLDEN, INT8_BODY, TPU_BODY, Job


def compose_manifest(job: Job) -> Manifest:
    """Return the manifest of a bundle, but for the digests of its files."""
    point, (entry, features) = job.work.facts("calibrate"), job.tflite().ends()
    settings, run = job.settings, job.run
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
        calibration={finding: Calibration(**of) for finding, of in point["calibrations"].items()},
        thresholds={finding: Thresholds(**of) for finding, of in point["thresholds"].items()},
        training=provenance.training_facts(run.facts),
        conversion=conversion_facts(job),
        files={},
        edgetpu_body=bundle.TPU_BODY if job.work.path(*TPU_BODY).is_file() else "",
        film_check=bundle.FILM_CHECK,
    )


def compose_files(job: Job) -> dict[str, bytes]:
    """Return the files of a bundle that the box reads, by name."""
    files = {
        bundle.BODY: job.bytes(INT8_BODY),
        bundle.HEAD: _pack_head(job.run.head),
        bundle.GOLDEN: job.bytes(GOLDEN),
        bundle.FILM_CHECK: job.bytes(FILM_CHECK),
    }
    if job.work.path(*TPU_BODY).is_file():
        files[bundle.TPU_BODY] = job.bytes(TPU_BODY)
    return files


def conversion_facts(job: Job) -> dict[str, Any]:
    """Return what a manifest says of the conversion: tools, figures, gates, and what each stage took."""
    work = job.work
    parity = {key: of for key, of in work.facts("parity").items() if key not in ("gates", "layers", "metrics")}
    point = {key: of for key, of in work.facts("calibrate").items() if key not in ("calibrations", "thresholds")}
    # An earlier bundle's report is no part of how this one was made.
    stages = {name: report for name, report in work.reports().items() if name != "bundle"}
    return {
        **provenance.tool_facts(),
        **{name: work.facts("quantise")[name] for name in ("calibration_films", "held_out_films", "ranges")},
        "operators": work.facts("lint")["operators"],
        "edgetpu": work.facts("compile")["edgetpu"],
        "parity": parity,
        "gates": work.facts("parity")["gates"],
        "metrics": work.facts("parity")["metrics"],
        "operating_point": point,
        "film_check": work.facts("film-check"),
        "golden_kernel_difference": work.facts("golden")["kernel_difference"],
        "stages": {name: {key: report[key] for key in ("seconds", "peak_mb")} for name, report in stages.items()},
        "seconds": round(sum(report["seconds"] for report in stages.values()), 1),
    }


def _pack_head(head: Head) -> bytes:
    content = io.BytesIO()
    np.savez(content, **{field.name: getattr(head, field.name) for field in dataclasses.fields(head)})
    return content.getvalue()
