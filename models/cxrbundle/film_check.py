"""Is it a frontal chest film at all? Asked of the body's own features before the head is believed.

A head answers with fourteen likelihoods whatever it is shown. The check knows how the features of good films
are spread (principal components and the distance of Mahalanobis, with one variance for all that lies outside
the components: Moghaddam and Pentland, IEEE PAMI 19, 1997) and where in the picture which components stand,
which a linear layer turns into a kind: a film to read, one that lies wrongly, or something else.
"""

from dataclasses import dataclass, fields
from functools import cache

import numpy as np

from cxrbundle.errors import ManifestError

FRONTAL, MIRRORED, NEGATIVE, OTHER = "frontal", "mirrored", "negative", "other"
TURNED_LEFT, UPSIDE_DOWN, TURNED_RIGHT = "turned_left", "upside_down", "turned_right"
KINDS = (FRONTAL, MIRRORED, TURNED_LEFT, UPSIDE_DOWN, TURNED_RIGHT, NEGATIVE, OTHER)
# The first so many kinds are films to read; a mirrored one is still a chest film.
INSIDE = 2
# Quarter turns to the left (`np.rot90`) that set a film of this kind upright.
TURNS_TO_UPRIGHT = {TURNED_LEFT: 3, UPSIDE_DOWN: 2, TURNED_RIGHT: 1}
# A refused film is called turned or negative only from this probability; below it is "other". So 98 % of 1,412
# such test films of the shipped body were named, two of them wrongly (tests/bench/bench_refusal.py).
CERTAIN = 0.5
# The picture is looked at in GRID x GRID places that overlap; each takes SPAN of the sides.
GRID, SPAN = 3, 3 / 7


@dataclass(frozen=True)
class FilmScore:
    """What the check says of one film.

    Attributes
    ----------
    kind : str
        One of `KINDS`; of a film that is not refused "frontal" or "mirrored".
    inside : float
        Probability that it is a frontal chest film, upright and bone bright, as the linear layer says.
    distance : float
        How far its features are from those of good films, in their own spread; about 1 for a good film.
    margin : float
        How far it is from being refused: about 1 for a usual film, below 0 it is refused.
    """

    kind: str
    inside: float
    distance: float
    margin: float

    @property
    def refused(self) -> bool:
        """Whether the film must not be read; one whose margin is no number must not."""
        return not self.margin >= 0


@dataclass(frozen=True)
class FilmCheck:
    """The parameters of the check, as they stand in a bundle's film-check.npz.

    Attributes
    ----------
    mean : ndarray of float32, shape (channels,)
        Pooled features of a good film.
    basis : ndarray of float32, shape (channels, components)
        Principal components of the pooled features of good films, orthonormal.
    variances : ndarray of float32, shape (components + 1,)
        Of good films along each component, and last along any direction outside them.
    weight, bias : ndarray of float32, shape (kinds, GRID * GRID * components + 1) and (kinds,)
        The linear layer on the components in each place and the logarithm of the distance.
    gates : ndarray of float32, shape (2, 2)
        Rows: the log odds of being inside, the distance. Columns: where a film is refused, and the value of a
        usual good film.
    mirrored_from : ndarray of float32, shape ()
        Least log odds of mirrored against frontal at which a film is called mirrored.
    """

    mean: np.ndarray
    basis: np.ndarray
    variances: np.ndarray
    weight: np.ndarray
    bias: np.ndarray
    gates: np.ndarray
    mirrored_from: np.ndarray

    def score(self, features: np.ndarray) -> FilmScore:
        """Return what the check says of a film.

        Parameters
        ----------
        features : ndarray of float32, shape (height, width, channels)
            The body's feature map.
        """
        place, distance = describe(pool(features), self.mean, self.basis, self.variances)
        logits = self.weight @ place + self.bias
        log_odds = float(np.logaddexp.reduce(logits[:INSIDE]) - np.logaddexp.reduce(logits[INSIDE:]))
        margin = min(_through(gate, value) for gate, value in zip(self.gates, (log_odds, distance), strict=True))
        kind = self._name_inside(logits) if margin >= 0 else _name_outside(logits)
        return FilmScore(kind, float(np.exp(-np.logaddexp(0, -log_odds))), distance, margin)

    def _name_inside(self, logits: np.ndarray) -> str:
        return MIRRORED if logits[1] - logits[0] >= self.mirrored_from else FRONTAL


def pool(features: np.ndarray) -> np.ndarray:
    """Return the mean over the whole feature map, then over each place of the grid, row by row.

    Parameters
    ----------
    features : ndarray of float32, shape (height, width, channels)

    Returns
    -------
    ndarray of float32, shape (1 + GRID * GRID, channels)
    """
    height, width, channels = features.shape
    return _shares(height, width) @ features.reshape(height * width, channels)


@cache
def _shares(height: int, width: int) -> np.ndarray:
    """Return the share of each pixel of a feature map in each mean, float32 (1 + GRID * GRID, height * width)."""
    places = np.zeros((1 + GRID * GRID, height, width), np.float32)
    places[0] = 1
    spans = ((row, column) for row in _spans(height) for column in _spans(width))
    for place, (row, column) in zip(places[1:], spans, strict=True):
        place[row, column] = 1
    return (places / places.sum(axis=(1, 2), keepdims=True)).reshape(len(places), -1)


def _spans(side: int) -> list[slice]:
    """Return the places along one side: slices of equal length from its start to its end."""
    length = max(1, round(side * SPAN))
    return [slice(start, start + length) for start in np.linspace(0, side - length, GRID).round().astype(int)]


def describe(
    pooled: np.ndarray, mean: np.ndarray, basis: np.ndarray, variances: np.ndarray
) -> tuple[np.ndarray, float]:
    """Return what the linear layer is given of a film, and the film's distance.

    Parameters
    ----------
    pooled : ndarray of float32, shape (1 + GRID * GRID, channels)
        From `pool`.
    mean, basis, variances : ndarray
        As of `FilmCheck`.

    Returns
    -------
    place : ndarray of float32, shape (GRID * GRID * components + 1,)
    distance : float
    """
    apart = pooled - mean
    along = apart @ basis
    outside = max(0.0, float(apart[0] @ apart[0] - along[0] @ along[0]))
    squares = float((along[0] ** 2 / variances[:-1]).sum()) + outside / float(variances[-1])
    distance = float(np.sqrt(squares / len(mean)))
    return np.append(along[1:].ravel(), np.float32(np.log(distance + 1e-6))).astype(np.float32), distance


def _through(gate: np.ndarray, value: float) -> float:
    """Return how a value passes a gate: 0 where films begin to be refused, 1 at that of a usual good film."""
    refused_from, usual = (float(end) for end in gate)
    return (value - refused_from) / (usual - refused_from)


def _name_outside(logits: np.ndarray) -> str:
    """Return the kind of a refused film: what it is for certain, else "other"."""
    likely = int(logits.argmax())
    certain = np.exp(logits[likely] - np.logaddexp.reduce(logits)) >= CERTAIN
    return KINDS[likely] if certain and likely >= INSIDE else OTHER


def build_film_check(arrays: dict[str, np.ndarray], channels: int) -> FilmCheck:
    """Return the check that a bundle's arrays hold, in float32.

    Parameters
    ----------
    arrays : dict of str to ndarray
        From `cxrbundle.arrays.read_arrays`.
    channels : int
        Of the body's feature map.

    Raises
    ------
    ManifestError
        If an array is missing, has another shape than it should, or a value that cannot be.
    """
    expected = {field.name for field in fields(FilmCheck)}
    if set(arrays) != expected:
        raise ManifestError(
            f"a film check has the arrays {sorted(expected)}, the bundle brings {sorted(arrays)}; convert it again"
        )
    check = FilmCheck(**{name: np.asarray(array, np.float32) for name, array in arrays.items()})
    components = check.basis.shape[-1] if check.basis.ndim == 2 else 0
    _check_shapes(check, channels, components)
    _check_values(check, components)
    return check


def _check_shapes(check: FilmCheck, channels: int, components: int) -> None:
    """Raise ManifestError unless every array fits the body's channels and the components."""
    shapes = {
        "mean": (channels,),
        "basis": (channels, components),
        "variances": (components + 1,),
        "weight": (len(KINDS), GRID * GRID * components + 1),
        "bias": (len(KINDS),),
        "gates": (2, 2),
        "mirrored_from": (),
    }
    for name, shape in shapes.items():
        if (found := getattr(check, name).shape) != shape or 0 in found:
            raise ManifestError(f"{name} of the film check has the shape {found}, not {shape}; convert the model again")


def _check_values(check: FilmCheck, components: int) -> None:
    """Raise ManifestError where a number could not come from fitting."""
    for field in fields(check):
        if not np.isfinite(getattr(check, field.name)).all():
            raise ManifestError(f"{field.name} of the film check holds what is no number; convert the model again")
    if check.variances.min() <= 0:
        raise ManifestError("variances of the film check must be above 0; convert the model again")
    # Half precision keeps a column's length and angles to a thousandth.
    if np.abs(check.basis.T @ check.basis - np.eye(components)).max() > 0.01:
        raise ManifestError("basis of the film check is not orthonormal; convert the model again")
    (least, usual), (most, usual_distance) = check.gates
    if not (least < usual and 0 <= usual_distance < most):
        raise ManifestError("gates of the film check refuse the usual film; convert the model again")
