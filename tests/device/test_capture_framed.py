"""A grey photograph of a film is told from a film, and read as a photograph."""

import cv2
import numpy as np
import pytest
from cxrbox.capture.networks import framed_input, see_frame
from cxrbox.capture.photograph import PHOTOGRAPH, is_photograph
from cxrbox.decoding.film import decode_film
from cxrbox.errors import RefusedError
from cxrbox.operating_points import CAMERA
from cxrbox.reading import open_reader, photograph_of
from cxrbox.settings import Settings
from cxrbundle.phantom import draw_phantom
from photographed import photograph


@pytest.fixture(scope="module")
def reader(bundle_folder):
    return open_reader(Settings(bundle=bundle_folder, threads=1))


def grey_photograph(film: np.ndarray, seed: int, scene: str = "box", **options) -> np.ndarray:
    shot = photograph(film, np.random.default_rng(seed), scene=scene, **options)
    return cv2.cvtColor(shot.photo, cv2.COLOR_BGR2GRAY)


def test_a_grey_photograph_in_a_folder_is_read_as_a_photograph(reader, tmp_path):
    path = tmp_path / "phone.jpg"
    assert cv2.imwrite(str(path), grey_photograph(draw_phantom(3), 3))
    reading = reader.read(path, "folder", override=True)
    assert reading.captured is not None and reading.source == CAMERA


def test_films_are_read_as_they_are(tmp_path):
    for seed in range(6):
        path = tmp_path / f"{seed}.png"
        assert cv2.imwrite(str(path), draw_phantom(seed))
        assert photograph_of(decode_film(path), "folder") is None


def test_no_drawn_film_is_taken_for_a_photograph():
    """Benches, proofs and demonstrations are made with them."""
    assert max(see_frame(draw_phantom(seed)) for seed in range(100)) < PHOTOGRAPH


@pytest.mark.parametrize("scene", ["box", "mask", "table"])
def test_real_films_are_told_from_grey_photographs_of_them(shared_films, scene):
    paths = sorted((shared_films / "fullres").glob("*.png"))[:12]
    films = [cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in paths]
    assert not any(map(is_photograph, films))
    told = [is_photograph(grey_photograph(film, seed, scene)) for seed, film in enumerate(films)]
    assert sum(told) >= 10


def test_a_film_with_a_frame_of_one_tone_stays_a_film(shared_films):
    film = cv2.imread(str(next((shared_films / "fullres").glob("*.png"))), cv2.IMREAD_GRAYSCALE)
    for tone in (0, 255):
        for edges in ((0, 0, 150, 150), (150, 150, 0, 0), (60, 60, 60, 60)):
            framed = cv2.copyMakeBorder(film, *edges, cv2.BORDER_CONSTANT, value=tone)
            assert not is_photograph(framed)


def test_noise_is_refused_whatever_it_is_taken_for(reader, tmp_path):
    path = tmp_path / "noise.png"
    assert cv2.imwrite(str(path), np.random.default_rng(1).integers(0, 256, (300, 400), np.uint8))
    with pytest.raises(RefusedError):
        reader.read(path)


def test_a_large_film_is_told_by_some_of_its_pixels():
    film = draw_phantom(1)
    large = cv2.resize(film, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
    assert framed_input(large).shape == (1, 64, 64)
    assert see_frame(film) < PHOTOGRAPH and abs(see_frame(large) - see_frame(film)) < 1
