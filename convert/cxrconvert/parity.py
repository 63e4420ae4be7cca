"""What conversion did to the network: the same films through the float and the int8 body, and one head."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from cxrbundle.head import Head
from cxrbundle.labels import FINDINGS

from cxrconvert.bodies import Body
from cxrconvert.metrics import interval, mean_defined, number, per_finding, weighted_auc


@dataclass(frozen=True)
class Readings:
    """What one body and the head said of some films.

    Attributes
    ----------
    logits : ndarray of float32, shape (films, findings)
    maps : ndarray of float32, shape (films, findings, height, width)
    """

    logits: np.ndarray
    maps: np.ndarray


@dataclass(frozen=True)
class Measured:
    """The films of one part of the split as every body reads them.

    Attributes
    ----------
    patients : list of str
        Patient of each film.
    labels : ndarray of bool, shape (films, findings)
    logits : dict of str to ndarray of float32, shape (films, findings)
        Of "torch" (what training itself said), "onnx" (the reference of all figures), "float" (TFLite) and "int8".
    """

    patients: list[str]
    labels: np.ndarray
    logits: dict[str, np.ndarray]


def read_with(bodies: dict[str, Body], head: Head, inputs: Iterable[np.ndarray]) -> dict[str, Readings]:
    """Return the readings of each body; the films are loaded once and feature maps are not kept."""
    outputs: dict[str, list] = {name: [] for name in bodies}
    for film in inputs:
        for name, body in bodies.items():
            outputs[name].append(head(body(film)))
    return {
        name: Readings(np.array([one.logits for one in own]), np.array([one.maps for one in own]))
        for name, own in outputs.items()
    }


def correlation(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return Pearson's correlation over the last axis, NaN where one of the two is constant."""
    one = one - one.mean(axis=-1, keepdims=True, dtype=np.float64)
    other = other - other.mean(axis=-1, keepdims=True, dtype=np.float64)
    norm = np.sqrt((one**2).sum(axis=-1) * (other**2).sum(axis=-1))
    return np.divide((one * other).sum(axis=-1), norm, out=np.full(norm.shape, np.nan), where=norm > 1e-12)


def join(parts: Iterable[Readings]) -> Readings:
    """Return one body's readings of several parts as one."""
    parts = list(parts)
    return Readings(np.concatenate([one.logits for one in parts]), np.concatenate([one.maps for one in parts]))


def measure_parity(readings: dict[str, Readings], torch: np.ndarray) -> dict[str, Any]:
    """Return how close the stages are to each other on the same films.

    Parameters
    ----------
    readings : dict of str to Readings
        Of "onnx", "float" and "int8".
    torch : ndarray of float32, shape (films, findings)
        What training itself said of the films.
    """
    exact = readings["onnx"].logits
    return {
        **compare(readings["onnx"], readings["int8"]),
        "differences": {
            "torch_onnx": compare_logits(torch, exact),
            "onnx_float": compare_logits(exact, readings["float"].logits),
            "onnx_int8": compare_logits(exact, readings["int8"].logits),
        },
    }


def compare(reference: Readings, int8: Readings) -> dict:
    """Return how close the int8 body's logits and class maps are to the float body's."""
    logits = correlation(reference.logits.T, int8.logits.T)
    flat = (*reference.maps.shape[:2], -1)
    maps = correlation(reference.maps.reshape(flat), int8.maps.reshape(flat))
    known = maps[~np.isnan(maps)]
    return {
        "films": len(reference.logits),
        "logit_correlation": dict(zip(FINDINGS, map(number, logits), strict=True)),
        "logit_correlation_minimum": number(np.min(logits)),
        "logit_correlation_mean": number(np.mean(logits)),
        "logit_standard_deviation": number(reference.logits.std(axis=0).mean()),
        "logit_rms_difference": number(np.sqrt(np.mean((reference.logits - int8.logits) ** 2))),
        "map_correlation_median": number(np.median(known)) if known.size else None,
    }


def compare_logits(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Return the largest and the mean difference of logits, shape (films, findings), two digits each."""
    difference = np.abs(one - other)
    return {"max": float(f"{difference.max():.2g}"), "mean": float(f"{difference.mean():.2g}")}


def auc_loss(labels: np.ndarray, reference: np.ndarray, int8: np.ndarray, weights: np.ndarray) -> dict:
    """Return the differences of AUC, int8 - float, with paired bootstrap intervals over patients.

    Parameters
    ----------
    labels : ndarray of bool, shape (films, findings)
    reference, int8 : ndarray of float32, shape (films, findings)
        Logits.
    weights : ndarray of float, shape (1 + resamples, films)
        From `cxrconvert.metrics.patient_weights`: both readers see the same resamples.

    Returns
    -------
    dict
        "mean_auc_change" and "mean_auc_change_95" of the mean over the findings, and "auc_change": {finding:
        {"auc_change", "auc_change_95"}}, with None where the films have no positive.
    """
    before, after = (per_finding(labels, scores, weights, weighted_auc) for scores in (reference, int8))
    own = {
        finding: {"auc_change": number(change[0]), "auc_change_95": interval(change[1:])}
        for finding, change in zip(FINDINGS, after - before, strict=True)
    }
    change = mean_defined(after) - mean_defined(before)
    return {"mean_auc_change": number(change[0]), "mean_auc_change_95": interval(change[1:]), "auc_change": own}
