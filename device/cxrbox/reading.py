"""One film, one reading: decode, preprocess, body, head, scores. The daemon and `cxrbox read` share it."""

from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from cxrbundle.bundle import Bundle, load_bundle
from cxrbundle.errors import BlankFilmError
from cxrbundle.head import HeadOutput
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import to_input
from cxrbundle.scores import likelihoods, state

from cxrbox.body import Body, CpuBody, usable_threads
from cxrbox.decoding.film import decode_film
from cxrbox.errors import BackendError
from cxrbox.refusals import refuse

# int8 kernels differ between runtimes and processors: a third of a logit was measured on golden films between
# XNNPACK and the reference kernels. One that is three times further away was read by a body that is broken.
GOLDEN_TOLERANCE = 1.0


@dataclass(frozen=True)
class Reading:
    """What the box says of one film.

    Attributes
    ----------
    findings : dict
        {finding: {"likelihood", "state", "threshold"}}
    maps : ndarray of float32, shape (findings, height, width)
    grey : ndarray of uint8, shape (height, width)
        The film as it was read, bone bright.
    """

    findings: dict[str, dict]
    maps: np.ndarray
    grey: np.ndarray


class Reader:
    """Reads films with one bundle on one backend."""

    def __init__(self, bundle: Bundle, body: Body):
        self.bundle = bundle
        self.body = body

    def provenance(self) -> dict[str, str]:
        """Return what every result names: bundle, its hash, backend and code."""
        return {
            "bundle": self.bundle.title,
            "bundle_sha256": self.bundle.digest,
            "backend": self.body.backend,
            "code": version("cxrbox"),
        }

    def read(self, path: Path) -> Reading:
        """Read a film from its file.

        Raises
        ------
        RefusedError
            If the file holds no film that can be read.
        """
        grey = decode_film(path).grey
        try:
            output = self.infer(grey)
        except BlankFilmError as err:
            raise refuse("blank", "the film is blank, it has no contrast") from err
        return Reading(self._findings(output.logits), output.maps, grey)

    def infer(self, grey: np.ndarray) -> HeadOutput:
        """Return the head's output for a film, uint8 (height, width), bone bright."""
        return self.bundle.head(self.body(to_input(grey, self.bundle.manifest.input.height)))

    def _findings(self, logits: np.ndarray) -> dict[str, dict]:
        manifest = self.bundle.manifest
        values = likelihoods(logits, manifest.calibrations)
        return {
            label: {
                "likelihood": round(float(value), 4),
                "state": state(float(value), manifest.thresholds[label]),
                "threshold": round(manifest.thresholds[label].above, 4),
            }
            for label, value in zip(manifest.labels, values, strict=True)
        }

    def check_golden_films(self) -> float:
        """Read the golden films; return the largest difference of a logit from when the bundle was made.

        Raises
        ------
        BackendError
            If it is above the tolerance: this body must not read films.
        """
        golden = self.bundle.golden
        now = np.array([self.infer(draw_phantom(int(seed))).logits for seed in golden.seeds])
        worst = float(np.abs(now - golden.logits).max())
        if not worst <= GOLDEN_TOLERANCE:
            raise BackendError(
                f"{self.bundle.title} on {self.body.backend} answers golden films {worst:.2f} logits off"
                f" (at most {GOLDEN_TOLERANCE}); it reads no film: reinstall the bundle or the runtime"
            )
        return worst


def open_reader(bundle_folder: Path, threads: int) -> Reader:
    """Load and verify a bundle, open its body and check it on the golden films."""
    bundle = load_bundle(bundle_folder)
    reader = Reader(bundle, CpuBody(bundle, usable_threads(threads)))
    reader.check_golden_films()
    return reader
