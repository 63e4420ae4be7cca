"""The frame of the empty light box: what is refused, what is kept, and that it makes a still even."""

import cv2
import numpy as np
import photographed
import pytest
from cxrbox.cameras.flat_field import WHITE, load_flat_field, measure_flat_field
from cxrbox.errors import BoxError, FlatFieldError
from cxrbundle.phantom import draw_phantom

SIZE = 480, 640
CAMERA, EXPOSURE = "a camera", {"exposure": 156.0}


def tones(light: np.ndarray, random: np.random.Generator, level: float = 220, noise: float = 2) -> np.ndarray:
    """Return light, (h, w) of at most 1, as a camera with a colour cast gives it."""
    seen = light[..., np.newaxis] ** (1 / photographed.GAMMA) * level * (0.85, 1.0, 0.93)
    return (seen + noise * random.standard_normal(seen.shape)).clip(0, 255).round().astype(np.uint8)


def lamp(random: np.random.Generator) -> np.ndarray:
    light = photographed._lamp(random, SIZE)
    return light / light.max()


def lay_film(light: np.ndarray, random: np.random.Generator) -> np.ndarray:
    film = draw_phantom(5)
    corners = photographed.see_corners(film.shape, random, SIZE)
    on_film = photographed.inside(corners, SIZE)
    return light * (1 - on_film + on_film * photographed._see_film(film, corners, random, SIZE))


@pytest.fixture
def random():
    return np.random.default_rng(3)


@pytest.mark.parametrize("seed", range(10))
def test_an_uneven_empty_box_becomes_even_and_white(seed):
    random = np.random.default_rng(seed)
    light = lamp(random)
    field = measure_flat_field((tones(light, random) for _ in range(4)), CAMERA, EXPOSURE)
    before = tones(light, random)
    after = field.apply(before)
    assert after.dtype == np.uint8 and after.shape == before.shape
    places = cv2.resize(after, (32, 24), interpolation=cv2.INTER_AREA).astype(float)
    assert np.abs(places - WHITE).max() < 3
    assert np.ptp(cv2.resize(before, (32, 24), interpolation=cv2.INTER_AREA)) > 20


def test_what_a_film_lets_through_is_the_same_wherever_it_lies(random):
    light = lamp(random)
    field = measure_flat_field([tones(light, random)], CAMERA, EXPOSURE)
    places = cv2.resize(field.apply(tones(light * 0.3, random)), (32, 24), interpolation=cv2.INTER_AREA)
    assert np.ptp(places.astype(int)) <= 8
    assert abs(places.mean() - WHITE * 0.3 ** (1 / photographed.GAMMA)) < 3


def test_light_beyond_the_empty_box_is_clipped_and_does_not_wrap(random):
    field = measure_flat_field([np.full((*SIZE, 3), 120, np.uint8)], CAMERA, EXPOSURE)
    assert field.apply(np.full((*SIZE, 3), 255, np.uint8)).min() == 255


def refusal(stills) -> str:
    with pytest.raises(FlatFieldError) as refused:
        measure_flat_field(stills, CAMERA, EXPOSURE)
    return str(refused.value)


def test_a_box_that_is_off_is_refused(random):
    assert refusal([tones(lamp(random), random, level=20)]).startswith("the light box is dark; clear the light box")


def test_a_box_that_burns_the_picture_out_is_refused(random):
    assert "too bright for the camera; dim it" in refusal([tones(lamp(random), random, level=400)])


def test_a_box_that_does_not_fill_the_picture_is_refused(random):
    light = np.full(SIZE, 0.02)
    light[60:420, 100:540] = 1
    assert refusal([tones(light, random)]).startswith("parts of the picture are dark; ")


def test_a_lamp_of_one_colour_is_refused(random):
    still = tones(lamp(random), random)
    still[..., 0] = 3
    assert refusal([still]).startswith("parts of the picture are dark; ")


@pytest.mark.parametrize("seed", range(10))
def test_a_film_left_on_the_box_is_refused(seed):
    random = np.random.default_rng(seed)
    assert "let it fill the picture" in refusal([tones(lay_film(lamp(random), random), random)])


@pytest.mark.parametrize("seed", range(10))
def test_a_hand_before_the_box_is_refused(seed):
    random = np.random.default_rng(seed)
    light, place = lamp(random), random.integers(80, 400, 2).tolist()
    hand = cv2.circle(np.zeros(SIZE), place, 20, 0.6, -1)
    assert refusal([tones(light * (1 - hand), random)]).startswith("something lies on the light box")


def test_stills_of_two_sizes_are_refused(random):
    assert "changed the size" in refusal([tones(lamp(random), random), np.full((480, 600, 3), 200, np.uint8)])


def test_a_flat_field_is_kept_small_and_is_the_same_when_it_is_read_again(tmp_path, random):
    path = tmp_path / "flat-field.npz"
    assert load_flat_field(path, CAMERA) is None
    still = cv2.resize(tones(lamp(random), random), (3280, 2464))
    field = measure_flat_field([still], CAMERA, EXPOSURE)
    field.save(path)
    assert path.stat().st_size < 400_000 and [entry.name for entry in tmp_path.iterdir()] == [path.name]
    again = load_flat_field(path, CAMERA)
    assert (again.camera, again.exposure, again.size) == (CAMERA, EXPOSURE, (2464, 3280))
    assert np.abs(again.apply(still).astype(int) - field.apply(still)).max() <= 1


def test_a_flat_field_of_another_camera_is_refused(tmp_path, random):
    measure_flat_field([tones(lamp(random), random)], CAMERA, EXPOSURE).save(tmp_path / "flat")
    with pytest.raises(FlatFieldError, match="is of the a camera, not of the other; take it again"):
        load_flat_field(tmp_path / "flat", "other")


def test_a_flat_field_of_another_size_is_refused(random):
    field = measure_flat_field([tones(lamp(random), random)], CAMERA, EXPOSURE)
    with pytest.raises(FlatFieldError, match="is of 640 x 480 pixels and the camera's stills have 800 x 600"):
        field.apply(np.zeros((600, 800, 3), np.uint8))


@pytest.mark.parametrize("content", [b"", b"PK", b"no npz", b"PK\x03\x04" + bytes(100)])
def test_a_damaged_flat_field_is_refused_in_a_sentence(tmp_path, content):
    (tmp_path / "flat").write_bytes(content)
    with pytest.raises(FlatFieldError, match="cannot be read; take it again"):
        load_flat_field(tmp_path / "flat", CAMERA)


def test_a_truncated_flat_field_is_refused_in_a_sentence(tmp_path, random):
    path = tmp_path / "flat"
    measure_flat_field([tones(lamp(random), random)], CAMERA, EXPOSURE).save(path)
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(FlatFieldError, match="cannot be read; take it again"):
        load_flat_field(path, CAMERA)


def test_the_error_is_of_the_box_and_of_a_value():
    assert issubclass(FlatFieldError, BoxError) and issubclass(FlatFieldError, ValueError)
