"""The film check: what it says of made-up features, and what it refuses to be made of."""

import itertools

import numpy as np
import pytest
from cxrbundle.errors import ManifestError
from cxrbundle.film_check import (
    FRONTAL,
    GRID,
    KINDS,
    MIRRORED,
    OTHER,
    TURNED_LEFT,
    TURNS_TO_UPRIGHT,
    build_film_check,
    describe,
    pool,
)

CHANNELS, COMPONENTS, SIDE = 6, 2, 7
USUAL_DISTANCE = 0.4


def arrays(**others) -> dict[str, np.ndarray]:
    """A check whose kind is named by the brightest of the first components' sum at the top; see `film`."""
    inputs = GRID * GRID * COMPONENTS + 1
    weight = np.zeros((len(KINDS), inputs), np.float32)
    weight[KINDS.index(FRONTAL), 0] = 4  # the first component, top left
    weight[KINDS.index(MIRRORED), 2 * COMPONENTS] = 4  # top right
    weight[KINDS.index(TURNED_LEFT), 6 * COMPONENTS] = 4  # bottom left
    made = {
        "mean": np.zeros(CHANNELS, np.float32),
        "basis": np.eye(CHANNELS, COMPONENTS, dtype=np.float16),
        "variances": np.ones(COMPONENTS + 1, np.float32),
        "weight": weight,
        "bias": np.zeros(len(KINDS), np.float32),
        "gates": np.array([[0, 10], [2, USUAL_DISTANCE]], np.float32),
        "mirrored_from": np.float32(5),
    }
    return made | others


def film(row: int, column: int, bright: float = 5.0) -> np.ndarray:
    """Features whose first channel is lit in one corner, of 2 x 2."""
    features = np.zeros((SIDE, SIDE, CHANNELS), np.float32)
    features[row : row + 2 or None, column : column + 2 or None, 0] = bright
    return features


TOP_LEFT, TOP_RIGHT, BOTTOM_LEFT = film(0, 0), film(0, -2), film(-2, 0)


@pytest.fixture
def check():
    return build_film_check(arrays(), CHANNELS)


def test_a_good_film_passes_as_frontal(check):
    score = check.score(TOP_LEFT)
    assert (score.kind, score.refused) == (FRONTAL, False)
    assert score.inside > 0.9
    assert 0 < score.margin < 1


def test_a_mirrored_film_passes_and_is_called_mirrored(check):
    score = check.score(TOP_RIGHT)
    assert (score.kind, score.refused) == (MIRRORED, False)


def test_a_film_that_lies_wrongly_is_refused_by_its_name_and_can_be_set_upright(check):
    score = check.score(BOTTOM_LEFT)
    assert (score.kind, score.refused) == (TURNED_LEFT, True)
    assert score.inside < 0.1
    grey = np.arange(6).reshape(2, 3)
    np.testing.assert_array_equal(np.rot90(np.rot90(grey, 1), TURNS_TO_UPRIGHT[TURNED_LEFT]), grey)


def test_a_film_that_is_none_for_certain_is_called_other(check):
    score = check.score(film(-2, 0, bright=0.4))
    assert (score.kind, score.refused) == (OTHER, True)


def test_features_far_from_those_of_good_films_are_refused_whatever_the_layer_says(check):
    strange = TOP_LEFT.copy()
    strange[..., -1] = 6
    score = check.score(strange)
    assert score.inside > 0.9
    assert (score.kind, score.refused) == (OTHER, True)
    assert score.distance > 2


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_features_that_are_no_numbers_are_refused(check, value):
    with np.errstate(invalid="ignore"):
        assert check.score(np.full((SIDE, SIDE, CHANNELS), value, np.float32)).refused


def test_the_distance_is_that_of_mahalanobis_in_all_directions():
    random = np.random.default_rng(0)
    basis = np.linalg.qr(random.normal(size=(CHANNELS, COMPONENTS)))[0].astype(np.float32)
    variances, mean = np.array([4, 2, 0.5], np.float32), random.normal(size=CHANNELS).astype(np.float32)
    covariance = basis @ np.diag(variances[:-1]) @ basis.T + 0.5 * (np.eye(CHANNELS) - basis @ basis.T)
    features = random.normal(size=(SIDE, SIDE, CHANNELS)).astype(np.float32)
    apart = features.mean(axis=(0, 1)) - mean
    _, distance = describe(pool(features), mean, basis, variances)
    assert distance == pytest.approx(np.sqrt(apart @ np.linalg.inv(covariance) @ apart / CHANNELS), rel=1e-4)


@pytest.mark.parametrize("side", [1, 2, 3, 7, 8, 10])
def test_feature_maps_of_every_size_are_seen_from_edge_to_edge(side):
    features = np.zeros((side, side, 1), np.float32)
    features[0, 0], features[-1, -1] = 1, 1
    pooled = pool(features)[:, 0]
    assert pooled.shape == (1 + GRID * GRID,)
    assert pooled[1] > 0
    assert pooled[-1] > 0
    assert pooled[0] == pytest.approx(features.mean())


def test_it_is_read_in_float32():
    assert {array.dtype for array in vars(build_film_check(arrays(), CHANNELS)).values()} == {np.dtype(np.float32)}


@pytest.mark.parametrize("name", list(arrays()))
def test_a_missing_array_is_named(name):
    made = arrays()
    del made[name]
    with pytest.raises(ManifestError, match=f"a film check has the arrays .*{name}"):
        build_film_check(made, CHANNELS)


def test_an_unknown_array_is_named():
    with pytest.raises(ManifestError, match="'surprise'"):
        build_film_check(arrays(surprise=np.zeros(1)), CHANNELS)


@pytest.mark.parametrize("name", list(arrays()))
def test_an_array_of_another_shape_is_named(name):
    with pytest.raises(ManifestError, match="of the film check has the shape"):
        build_film_check(arrays(**{name: np.zeros((3, 2, 1), np.float32)}), CHANNELS)


def test_a_check_of_another_body_is_refused():
    with pytest.raises(ManifestError, match=r"mean of the film check has the shape \(6,\), not \(7,\)"):
        build_film_check(arrays(), CHANNELS + 1)


def test_a_check_without_components_is_refused():
    with pytest.raises(ManifestError, match="basis of the film check has the shape"):
        build_film_check(arrays(basis=np.zeros((CHANNELS, 0), np.float32)), CHANNELS)


@pytest.mark.parametrize("name", list(arrays()))
@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_a_number_that_is_none_is_refused(name, value):
    spoilt = np.array(arrays()[name], np.float32)
    spoilt.flat[-1] = value
    with pytest.raises(ManifestError, match=f"{name} of the film check holds what is no number"):
        build_film_check(arrays(**{name: spoilt}), CHANNELS)


@pytest.mark.parametrize(
    ("name", "array", "words"),
    [
        ("variances", np.array([1, 0, 1]), "variances of the film check must be above 0"),
        ("basis", 2 * np.eye(CHANNELS, COMPONENTS), "not orthonormal"),
        ("basis", np.ones((CHANNELS, COMPONENTS)), "not orthonormal"),
        ("gates", np.array([[10, 0], [2, 1]]), "gates of the film check refuse the usual film"),
        ("gates", np.array([[0, 10], [1, 2]]), "gates of the film check refuse the usual film"),
        ("gates", np.array([[0, 10], [2, -1]]), "gates of the film check refuse the usual film"),
    ],
)
def test_values_that_contradict_each_other_are_refused(name, array, words):
    with pytest.raises(ManifestError, match=words):
        build_film_check(arrays(**{name: array}), CHANNELS)


def test_features_are_pooled_over_the_whole_map_and_over_each_place():
    features = np.random.default_rng(0).random((7, 7, 5), np.float32)
    means = pool(features)
    assert means.shape == (1 + GRID * GRID, 5)
    np.testing.assert_allclose(means[0], features.mean(axis=(0, 1)), rtol=1e-5)
    for place, (row, column) in enumerate(itertools.product((0, 2, 4), repeat=2), 1):
        own = features[row : row + 3, column : column + 3]
        np.testing.assert_allclose(means[place], own.mean(axis=(0, 1)), rtol=1e-5)
