"""The path from a grey film to the body's input."""

import numpy as np
import pytest
from cxrbundle.errors import BlankFilmError
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import resize_film, stretch_levels, to_input


def test_the_input_has_the_shape_of_the_body():
    pixels = to_input(draw_phantom(1), 224)
    assert pixels.shape == (1, 224, 224, 3) and pixels.dtype == np.uint8
    assert (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all()


def test_gain_and_offset_of_the_digitiser_do_not_matter():
    film = draw_phantom(2).astype(int)
    dimmed = (film * 0.5 + 60).astype(np.uint8)
    difference = np.abs(to_input(film.astype(np.uint8), 224).astype(int) - to_input(dimmed, 224))
    assert difference.mean() < 2


def test_a_bright_marker_does_not_set_the_scale():
    film = np.clip(draw_phantom(3) * 0.6, 0, 255).astype(np.uint8)
    marked = film.copy()
    marked[5:25, 5:25] = 255  # 0.15 % of the film
    assert np.abs(stretch_levels(film)[100:].astype(int) - stretch_levels(marked)[100:]).mean() < 3


def test_the_whole_film_is_kept_whatever_its_sides():
    film = np.zeros((300, 900), np.uint8)
    film[:, 850:] = 255
    square = resize_film(film, 90)
    assert square.shape == (90, 90) and (square[:, 86:] == 255).all() and (square[:, :84] == 0).all()


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_blank_film_is_refused(grey):
    with pytest.raises(BlankFilmError, match="blank"):
        to_input(np.full((300, 300), grey, np.uint8), 224)


def test_a_phantom_is_the_same_film_for_the_same_seed():
    assert (draw_phantom(5) == draw_phantom(5)).all()
    assert (draw_phantom(5) != draw_phantom(6)).any()
