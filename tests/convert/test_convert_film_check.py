"""The film check is made of films and pictures: drawn chests through the shipped body stand for the films."""

import cv2
import numpy as np
import pytest
from cxrbundle.bundle import load_bundle
from cxrbundle.film_check import FRONTAL, INSIDE, KINDS, TURNED_LEFT, build_film_check, describe, pool
from cxrbundle.labels import FINDINGS
from cxrbundle.phantom import draw_phantom
from cxrbundle.shipped import shipped_bundle
from cxrconvert import bodies
from cxrconvert.errors import FilmsError
from cxrconvert.film_check import make
from cxrconvert.film_check.fit import COMPONENTS, choose_gates, fit_kinds, fit_spread, log_odds_inside
from cxrconvert.film_check.kinds import MIRRORED_FILM, SEEN, UNSEEN
from cxrconvert.film_check.measure import measure_film_check
from cxrconvert.film_check.spoilt import as_it_comes, blurred, scrambled, tilted, turned
from cxrconvert.films import Film

PARTS = {"train": range(20), "validation": range(40, 56), "test": range(60, 76)}
SORTS = {**SEEN, **UNSEEN, "mirrored": MIRRORED_FILM}


@pytest.fixture(scope="module")
def films(tmp_path_factory):
    """A folder of drawn films and the rows that name them."""
    root, rows = tmp_path_factory.mktemp("films"), []
    for part, seeds in PARTS.items():
        for seed in seeds:
            cv2.imwrite(str(root / f"{seed}.png"), cv2.resize(draw_phantom(seed), (320, 320)))
            rows.append(Film(f"{seed}.png", f"{seed}.png", f"patient {seed}", part, (0,) * len(FINDINGS)))
    return root, rows


@pytest.fixture(scope="module")
def eye():
    bundle = load_bundle(shipped_bundle())
    entry = bundle.manifest.input
    return make.Eye(bodies.TfliteBody(bundle.body, entry.scale, entry.zero_point), entry.height)


@pytest.fixture(scope="module")
def check(films, eye):
    return make.make_film_check(eye.body, films[1], films[0], eye.size)


def test_the_arrays_of_a_check_give_the_same_check_again_and_are_small(check, eye, tmp_path):
    np.savez(tmp_path / "film-check.npz", **make.to_arrays(check))
    assert (tmp_path / "film-check.npz").stat().st_size < 400_000
    again = build_film_check(dict(np.load(tmp_path / "film-check.npz")), len(check.mean))
    features = eye.features(draw_phantom(1))
    assert again.score(features) == check.score(features)


def test_made_twice_it_is_the_same(check, films, eye):
    again = make.make_film_check(eye.body, films[1], films[0], eye.size)
    for name, array in vars(check).items():
        np.testing.assert_array_equal(array, getattr(again, name))


def test_films_of_unseen_patients_pass_and_all_else_is_refused(check, films, eye):
    measured = measure_film_check(check, eye, films[1], films[0], most=8)
    assert measured["films"] == len(PARTS["test"])
    assert measured["refused"] <= 1 / len(PARTS["test"])
    assert measured["auroc"] > 0.97
    assert set(measured["pictures"]) == {*SEEN, *UNSEEN}
    assert {name for name, of in measured["pictures"].items() if of["seen"]} == set(SEEN)
    assert all(measured["pictures"][name]["refused"] == 1 for name in ("text", "noise", "checks", "upside_down"))


def test_golden_films_pass(check, eye):
    assert not any(check.score(eye.features(draw_phantom(seed))).refused for seed in range(6))


def test_a_film_on_its_side_is_called_so(check, eye):
    lying = [check.score(eye.features(turned(draw_phantom(seed), 1))) for seed in range(80, 90)]
    assert all(score.refused for score in lying)
    assert np.mean([score.kind == TURNED_LEFT for score in lying]) >= 0.8


def test_too_few_films_are_refused(films, eye):
    few = [film for film in films[1] if film.part != "validation"]
    with pytest.raises(FilmsError, match="20 training and 0 validation films are too few"):
        make.make_film_check(eye.body, few, films[0], eye.size)


def test_a_damaged_film_is_named(films, eye, tmp_path):
    (tmp_path / "0.png").write_bytes(b"no picture")
    with pytest.raises(FilmsError, match=r"0\.png cannot be decoded"):
        make.make_film_check(eye.body, films[1][:1], tmp_path, eye.size)


@pytest.mark.parametrize("name", SORTS)
def test_every_sort_of_picture_is_grey_of_its_own_kind_and_drawn_alike_from_the_same_seed(name):
    film, picture = cv2.resize(draw_phantom(3), (320, 300)), SORTS[name]
    one, same, other = (picture.draw(film, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert picture.kind in KINDS
    assert one.dtype == np.uint8
    assert one.ndim == 2
    assert np.ptp(one) > 20
    np.testing.assert_array_equal(one, same)
    assert other.shape != film.shape or (other != film).any()


def test_good_films_come_changed_but_recognisable():
    film = cv2.resize(draw_phantom(3), (320, 320))
    random = np.random.default_rng(0)
    alike = [np.corrcoef(film.ravel(), as_it_comes(film, random).ravel())[0, 1] for _ in range(20)]
    assert min(alike) > 0.1
    assert np.median(alike) > 0.5
    assert max(alike) < 1


def test_a_scrambled_film_keeps_its_pixels_and_no_piece_its_place():
    film = np.arange(240 * 240, dtype=np.uint32).reshape(240, 240) % 251
    mixed = scrambled(film.astype(np.uint8), np.random.default_rng(0))
    assert sorted(mixed.ravel()) == sorted(film.ravel())
    assert (mixed != film).mean() > 0.9


def test_a_tilted_film_keeps_its_size_and_a_blurred_one_its_mean():
    film, random = draw_phantom(2), np.random.default_rng(0)
    assert tilted(film, random).shape == film.shape
    soft = blurred(film, random)
    assert soft.mean() == pytest.approx(film.mean(), abs=3)
    assert np.abs(np.diff(soft.astype(int))).max() < np.abs(np.diff(film.astype(int))).max() / 3


def drawn_places(random: np.random.Generator, kinds: np.ndarray) -> np.ndarray:
    """Places where each kind lies about a corner of its own, in units far apart."""
    centres = 6 * np.eye(len(KINDS), 10)
    return ((centres[kinds] + random.normal(size=(len(kinds), 10))) * np.logspace(-2, 2, 10)).astype(np.float32)


def test_kinds_that_lie_apart_are_told_apart_whatever_the_units():
    random = np.random.default_rng(0)
    kinds = random.integers(0, len(KINDS), 600)
    weight, bias = fit_kinds(drawn_places(random, kinds), kinds)
    fresh = random.integers(0, len(KINDS), 600)
    logits = drawn_places(random, fresh) @ weight.T + bias
    assert (logits.argmax(axis=1) == fresh).mean() > 0.97
    inside = log_odds_inside(logits) > 0
    assert (inside == (fresh < INSIDE)).mean() > 0.97


def test_the_spread_of_good_films_is_found_and_a_dead_channel_does_no_harm():
    random = np.random.default_rng(0)
    wide = random.normal(size=(500, 3)) * [5, 3, 2]
    turn = np.linalg.qr(random.normal(size=(99, 3)))[0]
    pooled = np.column_stack([wide @ turn.T + random.normal(size=(500, 99)) * 0.1 + 1, np.zeros(500)])
    mean, basis, variances = fit_spread(pooled.astype(np.float32))
    assert basis.shape == (100, COMPONENTS)
    np.testing.assert_allclose(np.sqrt(variances[:3]), [5, 3, 2], rtol=0.1)
    film = np.broadcast_to(pooled[0].astype(np.float32), (4, 4, 100))
    assert describe(pool(film), mean, basis, variances)[1] == pytest.approx(1, abs=0.3)


def test_the_gates_let_all_but_one_in_two_hundred_good_films_pass_each():
    random = np.random.default_rng(0)
    log_odds, distances = random.normal(10, 2, 1000), random.normal(1, 0.1, 1000)
    (least, usual), (most, usual_distance) = choose_gates(log_odds, distances)
    assert 0.003 <= (log_odds < least).mean() <= 0.005
    assert 0.003 <= (distances > most).mean() <= 0.005
    assert (usual, usual_distance) == pytest.approx((10, 1), rel=0.05)


def test_few_good_films_all_pass():
    log_odds, distances = np.array([3.0, 5.0, 9.0]), np.array([1.0, 1.1, 0.9])
    (least, _), (most, _) = choose_gates(log_odds, distances)
    assert least < 3
    assert most > 1.1


def test_the_first_kind_is_the_one_that_a_good_film_is_fitted_as():
    assert KINDS[0] == FRONTAL
