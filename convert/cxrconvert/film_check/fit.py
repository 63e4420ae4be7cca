"""Fit the film check: how good films are spread, and which kind a film is of."""

import numpy as np
from cxrbundle.film_check import INSIDE, KINDS
from scipy.optimize import minimize

COMPONENTS = 64
# Weight of the squared weights against the mean cross-entropy. On validation patients, with one sort of pictures
# after the other kept from fitting, 1e-4, 1e-3 and 1e-2 ranked them alike.
DECAY = 1e-3
# Each gate refuses at most this share of the good validation films, so both together at most twice as many.
REFUSED = 0.005
# At most this share of the good validation films is called mirrored.
CALLED_MIRRORED = 0.01


def fit_spread(pooled: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return mean, principal components and variances of good films, as `cxrbundle.film_check.FilmCheck` has them.

    Parameters
    ----------
    pooled : ndarray of float, shape (films, channels)
    """
    mean = pooled.mean(axis=0)
    apart = (pooled - mean).astype(np.float64)
    values, vectors = np.linalg.eigh(apart.T @ apart / len(apart))
    count = min(COMPONENTS, len(values) - 1)
    # In half precision, as it is kept: what is fitted on it must fit what the box reads.
    basis = vectors[:, ::-1][:, :count].astype(np.float16).astype(np.float32)
    # A channel that no film drives has no variance; the distance divides by it.
    least = values[-1] * 1e-6
    variances = np.append(values[::-1][:count], values[: len(values) - count].mean())
    return mean.astype(np.float32), basis, np.maximum(variances, least).astype(np.float32)


def fit_kinds(places: np.ndarray, kinds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return weight and bias of a multinomial logistic regression, for places as they are.

    Parameters
    ----------
    places : ndarray of float32, shape (films, inputs)
        From `cxrbundle.film_check.describe`.
    kinds : ndarray of int, shape (films,)
        Indices of `KINDS`.
    """
    centre, spread = places.mean(axis=0), places.std(axis=0) + 1e-9
    inputs = np.column_stack([(places - centre) / spread, np.ones(len(places), np.float32)]).astype(np.float32)
    truth = np.eye(len(KINDS), dtype=np.float32)[kinds]

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        weight = parameters.reshape(len(KINDS), -1).astype(np.float32)
        scores = inputs @ weight.T
        scores -= scores.max(axis=1, keepdims=True)
        logs = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        penalised = weight * (np.arange(weight.shape[1]) < weight.shape[1] - 1)
        value = -(logs * truth).sum() / len(inputs) + DECAY / 2 * (penalised**2).sum()
        gradient = (np.exp(logs) - truth).T @ inputs / len(inputs) + DECAY * penalised
        return float(value), gradient.ravel().astype(np.float64)

    start = np.zeros(len(KINDS) * inputs.shape[1])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", options={"maxiter": 300}).x.reshape(len(KINDS), -1)
    weight = found[:, :-1] / spread
    return weight.astype(np.float32), (found[:, -1] - weight @ centre).astype(np.float32)


def choose_gates(log_odds: np.ndarray, distances: np.ndarray) -> np.ndarray:
    """Return the gates on good validation films; see `FilmCheck.gates`. Inputs of shape (films,)."""
    least = np.quantile(log_odds, REFUSED, method="lower")
    most = np.quantile(distances, 1 - REFUSED, method="higher")
    # A film that lies on a gate passes, also after rounding to float32.
    ends = [[least - 1e-3, np.median(log_odds)], [most * 1.001, np.median(distances)]]
    return np.array(ends, np.float32)


def choose_mirrored(logits: np.ndarray) -> np.float32:
    """Return from which log odds on a good validation film is called mirrored; logits of shape (films, kinds)."""
    return np.float32(np.quantile(logits[:, 1] - logits[:, 0], 1 - CALLED_MIRRORED, method="higher") + 1e-3)


def log_odds_inside(logits: np.ndarray) -> np.ndarray:
    """Return the log odds of being a film to read: shape (films,), of logits of shape (films, kinds)."""
    return np.logaddexp.reduce(logits[:, :INSIDE], axis=1) - np.logaddexp.reduce(logits[:, INSIDE:], axis=1)
