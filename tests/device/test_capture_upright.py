"""Turning a film upright: rotation, mirror and negative, from what the film itself shows."""

import cv2
import numpy as np
import pytest
from cxrbox.capture.photograph import read_photograph
from cxrbox.capture.upright import Hanging, hang_upright, tell_hanging
from photographed import hang, photograph

WAYS = [(turns, mirrored) for turns in range(4) for mirrored in (False, True)]


@pytest.fixture(scope="module")
def films(shared_films) -> list[np.ndarray]:
    paths = sorted((shared_films / "fullres").glob("*.png"))[:6]
    return [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths]


@pytest.mark.parametrize(("turns", "mirrored"), WAYS)
@pytest.mark.parametrize("negative", [False, True])
def test_a_film_is_hung_back_as_it_was(turns, mirrored, negative):
    film = np.arange(12, dtype=np.uint8).reshape(3, 4)
    hanging = Hanging(turns, "yes" if mirrored else "no", negative, False, 0, 0, 0)
    assert np.array_equal(hang_upright(hang(film, turns, mirrored, negative), hanging), film)


def test_a_film_whose_sides_are_to_be_asked_for_stays_unmirrored():
    film = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(hang_upright(film, Hanging(0, "ask", False, False, 0, 0, 0)), film)


@pytest.mark.parametrize("negative", [False, True])
def test_real_films_are_turned_upright_from_all_four_sides(films, negative):
    for film in films:
        for turns in range(4):
            told = tell_hanging(hang(film, turns, False, negative))
            assert (told.turns, told.negative) == (turns, negative)


def test_a_mirrored_film_is_never_taken_for_a_straight_one_in_any_turn(films):
    for film in films:
        told = {tell_hanging(hang(film, turns, mirrored, False)).mirrored for turns, mirrored in WAYS if mirrored}
        assert told <= {"yes", "ask"}
        told = {tell_hanging(hang(film, turns, mirrored, False)).mirrored for turns, mirrored in WAYS if not mirrored}
        assert told <= {"no", "ask"}


def test_the_odds_do_not_depend_on_how_the_film_hangs(films):
    square = cv2.resize(films[0], (256, 256), interpolation=cv2.INTER_AREA)
    odds = [tell_hanging(hang(square, turns, mirrored, False)) for turns, mirrored in WAYS]
    assert np.ptp([told.turn_odds for told in odds]) < 0.05
    assert np.ptp([abs(told.mirror_odds) for told in odds]) < 0.05


def test_a_film_that_loses_a_lung_is_told(films):
    for film in films:
        assert not tell_hanging(film).lungs_cut
        assert tell_hanging(film[:, : film.shape[1] * 6 // 10]).lungs_cut


def test_a_photograph_of_a_turned_negative_comes_out_as_the_film(films):
    shot = photograph(films[1], np.random.default_rng(3), (960, 1280), "box", hanging=(1, False, True))
    captured = read_photograph(shot.photo)
    assert (captured.rotation, captured.negative) == (90, True)
    assert captured.mirrored in ("no", "ask")
    assert "inverted it, because bone was dark" in captured.steps
    flat = cv2.resize(films[1], captured.film.shape[::-1])
    assert np.corrcoef(captured.film.ravel(), flat.ravel())[0, 1] > 0.9
