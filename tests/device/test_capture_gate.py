"""The capture gate and the coach: what is wrong with a photograph, where, and what to do about it."""

import cv2
import numpy as np
import pytest
from cxrbox.capture.coach import READY, coach
from cxrbox.capture.corners import find_film
from cxrbox.capture.gate import Fault, check_capture, check_lungs
from cxrbox.capture.photograph import read_photograph
from cxrbox.capture.upright import Hanging
from cxrbox.errors import RefusedError
from cxrbox.refusals import CAPTURE_ADVICE as ADVICE
from cxrbundle.phantom import draw_phantom
from photographed import photograph

SIZE = 720, 960


def shoot(fault=None, seed=1, scene="box"):
    return photograph(draw_phantom(seed), np.random.default_rng(seed), SIZE, scene, fault).photo


def codes(fault, count=6) -> list[str | None]:
    photos = [shoot(fault, seed) for seed in range(count)]
    faults = [check_capture(photo, find_film(photo)) for photo in photos]
    return [None if fault is None else fault.code for fault in faults]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("blur", "blurred"),
        ("glare", "glare"),
        ("burnt", "overexposed"),
        ("far", "film_far"),
        ("several", "several_films"),
    ],
)
def test_a_bad_photograph_is_refused_by_the_name_of_its_fault(fault, code):
    said = codes(fault)
    assert said.count(None) == 0
    assert said.count(code) >= 4, said


def test_a_dark_photograph_is_refused():
    assert set(codes("dark")) <= {"underexposed", "no_film"}


def test_good_photographs_pass():
    assert codes(None) == [None] * 6


def test_a_picture_without_a_film_is_refused_even_where_the_gate_is_overridden():
    with pytest.raises(RefusedError, match="no film is seen; hold the camera straight") as refused:
        read_photograph(np.full((480, 640, 3), 190, np.uint8), override=True)
    assert refused.value.code == "no_film"


@pytest.mark.parametrize(("place", "words"), [((0.2, 0.2), "top left"), ((0.5, 0.5), "middle"), ((0.85, 0.5), "right")])
def test_glare_is_refused_with_the_place_where_it_is(place, words):
    shot = photograph(draw_phantom(1), np.random.default_rng(11), SIZE, "box")
    across = cv2.getPerspectiveTransform(np.float32([[0, 0], [1, 0], [1, 1], [0, 1]]), shot.corners)
    x, y = cv2.perspectiveTransform(np.float32([[place]]), across)[0, 0]
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
    spot = np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 2 / 55**2)[..., None]
    light = (shot.photo / 255) ** 2.2 + 1.8 * spot
    photo = (light.clip(0, 1) ** (1 / 2.2) * 255).astype(np.uint8)
    fault = check_capture(photo, find_film(photo))
    assert fault.reason == f"glare hides the film ({words})"


def test_a_refused_photograph_is_read_where_somebody_overrides_and_the_fault_is_kept():
    photo = shoot("blur", 3)
    with pytest.raises(RefusedError):
        read_photograph(photo)
    assert read_photograph(photo, override=True).overridden.code in ADVICE


def test_lungs_that_the_picture_cut_are_told_from_lungs_that_the_film_lacks():
    photo = shoot()
    found = find_film(photo)
    cut = Hanging(0, "no", False, True, 9.0, -9.0, 9.0)
    assert check_lungs(found, cut).code == "lungs_cut"
    at_left = type(found)(found.points, (False, False, False, True), 1, found.glare)
    assert check_lungs(at_left, cut).sentence == f"the film runs out of the picture (left); {ADVICE['film_cut']}"


@pytest.mark.parametrize("code", ADVICE)
def test_every_refusal_says_what_to_do(code):
    refusal = Fault(code, "something is wrong").refusal()
    assert refusal.code == code
    assert str(refusal) == f"something is wrong; {ADVICE[code]}"


def test_the_coach_marks_the_film_in_the_pixels_of_the_frame():
    shot = photograph(draw_phantom(2), np.random.default_rng(2), (960, 1280), "box")
    said = coach(shot.photo)
    reach = 0.015 * np.linalg.norm(shot.corners[2] - shot.corners[0])
    assert np.abs(said.corners - shot.corners).max() < reach


def test_the_coach_says_what_the_gate_would_refuse():
    assert coach(shoot("blur")).code == "blurred"
    nothing = coach(np.full((480, 640, 3), 190, np.uint8))
    assert (nothing.code, nothing.corners) == ("no_film", None)


def test_the_coach_is_content_with_a_good_frame_of_a_real_film(shared_films):
    films = sorted((shared_films / "fullres").glob("*.png"))[:5]
    random = np.random.default_rng(6)
    said = [
        coach(photograph(cv2.imread(str(path), cv2.IMREAD_GRAYSCALE), random, SIZE, "box").photo).code for path in films
    ]
    assert said.count(READY) >= 4, said
