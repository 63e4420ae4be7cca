"""From an ONNX body to an int8 one, and which films set the ranges of its activations: chosen by measuring.

A range reaches as far as the highest value on some films (min-max), or on a share of them (percentile), which leaves
more levels to all other films. Labels play no part in the choice.
"""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import onnx
from cxrbundle.head import Head

from cxrconvert.bodies import Body, OnnxBody, TfliteBody
from cxrconvert.channels import Reach
from cxrconvert.equalise import equalise
from cxrconvert.films import LEAST_CALIBRATION
from cxrconvert.parity import Readings, compare, read_with
from cxrconvert.quantise import to_int8
from cxrconvert.rebuild import rebuild_body
from cxrconvert.rounding import round_kernels

# Ten thousand places and more for each kernel, which has at most some thousand weights.
ROUNDING_FILMS = 256
# The converter runs them one by one without a delegate, and it measures few ranges that `equalise` has not set.
CONVERTER_FILMS = 100
# Candidates are compared on bodies that were made with fewer films.
TRIAL_FILMS = 16
# Errors within this factor are chance; the candidate that comes first is then taken.
ALIKE = 1.05
SHARES = (0.99, 0.95)
FIGURES = ("logit_rms_difference", "logit_correlation_mean", "logit_correlation_minimum", "map_correlation_median")


@dataclass(frozen=True)
class Ranges:
    """How far the ranges of the activations reach.

    Attributes
    ----------
    films : int
        The first so many calibration films set them.
    share : float
        Share of these whose values lie within a channel's range; 1 is min-max.
    """

    films: int
    share: float


def candidates(films: int) -> list[Ranges]:
    """Return the ranges to choose from where there are so many calibration films, the plainest first.

    Those that rest on too few films, or that would leave out less than one, are none.
    """
    fewer = [Ranges(films // 4, 1.0)] if films // 4 >= LEAST_CALIBRATION else []
    return [Ranges(films, 1.0), *fewer, *(Ranges(films, share) for share in SHARES if (1 - share) * films >= 1)]


def make_int8(
    model: onnx.ModelProto,
    reach: Reach,
    ranges: Ranges,
    films: np.ndarray,
    scale: float,
    zero_point: int,
    trial: bool = False,
) -> tuple[onnx.ModelProto, bytes]:
    """Return the body that is quantised, still in float, and the int8 TFLite file.

    Parameters
    ----------
    model : ModelProto
        From `cxrconvert.onnxbody`.
    reach : Reach
        Of its channels on the films.
    ranges : Ranges
    films : ndarray of uint8, shape (films, size, size, 3)
    scale, zero_point : float, int
        Scaling of the body's input.
    trial : bool
        Round and convert with few films, to compare ranges.
    """
    rounding, converter = (TRIAL_FILMS, TRIAL_FILMS) if trial else (ROUNDING_FILMS, CONVERTER_FILMS)
    even = equalise(model, reach.first(ranges.films), ranges.share)
    rounded = round_kernels(even, films[:rounding], scale, zero_point)
    return even, to_int8(rebuild_body(rounded), films[:converter], scale, zero_point)


def choose_ranges(
    model: onnx.ModelProto,
    reach: Reach,
    head: Head,
    films: np.ndarray,
    held_out: np.ndarray,
    scale: float,
    zero_point: int,
) -> tuple[Ranges, list[dict[str, Any]]]:
    """Return the first candidate whose int8 body errs least on films that set no range, and what each one measured.

    Parameters
    ----------
    model, reach, films, scale, zero_point
        As for `make_int8`.
    head : Head
    held_out : ndarray of uint8, shape (films, size, size, 3)
        Further training films, of other patients.

    Returns
    -------
    Ranges
    list of dict
        For each candidate "films", "share", the figures of `cxrconvert.parity.compare`, and "seconds"; empty where
        there is but one.
    """
    choices, table = candidates(len(films)), []
    if len(choices) == 1:
        return choices[0], table
    exact = _read(OnnxBody(model, scale, zero_point), head, held_out)
    for ranges in choices:
        started = time.monotonic()
        _, content = make_int8(model, reach, ranges, films, scale, zero_point, trial=True)
        compared = compare(exact, _read(TfliteBody(content, scale, zero_point), head, held_out))
        seconds = round(time.monotonic() - started, 1)
        table.append({**asdict(ranges), **{name: compared[name] for name in FIGURES}, "seconds": seconds})
    return choices[best_of([row["logit_rms_difference"] for row in table])], table


def best_of(errors: Sequence[float]) -> int:
    """Return the place of the first error that is as small as the smallest one, but for chance."""
    return int(np.argmax(np.array(errors) <= ALIKE * min(errors)))


def _read(body: Body, head: Head, films: np.ndarray) -> Readings:
    return read_with({"": body}, head, films[:, np.newaxis])[""]
