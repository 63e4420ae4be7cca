"""A film out of a photograph is looked at in several ways, and read from the mean of them."""

import cv2
import numpy as np
import pytest
from cxrbox.looks import mean_features, other_looks
from cxrbox.reading import Again, Reader, open_reader
from cxrbox.settings import Settings
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import to_input
from photographed import photograph


@pytest.fixture(scope="module")
def reader():
    return open_reader(Settings())


def test_a_film_is_seen_softer_sharper_nearer_farther_and_turned():
    film = np.zeros((224, 224, 3), np.uint8)
    cv2.circle(film, (112, 112), 60, (200, 200, 200), -1)
    cv2.rectangle(film, (180, 104), (223, 120), (200, 200, 200), -1)  # to the right of the middle
    soft, sharp, near, far, left, right = looks = other_looks(film)
    assert all(look.shape == film.shape and look.dtype == np.uint8 for look in looks)
    steps = [np.abs(np.diff(look[112, :, 0].astype(int))).max() for look in (soft, film, sharp)]
    assert steps[0] < steps[1] < steps[2]
    areas = [int((look[:, :178, 0] > 100).sum()) for look in (far, film, near)]
    assert areas[0] == pytest.approx(areas[1] * 0.95**2, rel=0.02)
    assert areas[2] == pytest.approx(areas[1] * 1.05**2, rel=0.02)
    heights = [np.flatnonzero(look[:, 205, 0] > 100).mean() for look in (left, film, right)]
    assert np.diff(heights) == pytest.approx(93 * np.tan(np.radians(6)), abs=1)


def test_a_film_that_grows_smaller_is_surrounded_by_its_border():
    far = other_looks(np.full((64, 64, 3), 77, np.uint8))[3]
    assert (far == 77).all()


def test_what_is_seen_is_the_mean_of_all_looks():
    film = to_input(draw_phantom(5), 224)
    seen = []

    def body(pixels):
        seen.append(pixels)
        return np.full((7, 7, 2), len(seen), np.float32)

    mean = mean_features(body, film, np.zeros((7, 7, 2), np.float32))
    assert mean.dtype == np.float32 and (mean == np.mean(range(7))).all() and len(seen) == 6
    assert all((pixels[0] == look).all() for pixels, look in zip(seen, other_looks(film[0]), strict=True))


def test_a_photograph_is_read_from_several_looks_and_a_flat_film_from_one(reader, tmp_path):
    flat, photo = tmp_path / "flat.png", tmp_path / "photo.png"
    cv2.imwrite(str(flat), draw_phantom(6))
    cv2.imwrite(str(photo), photograph(draw_phantom(6), np.random.default_rng(6), scene="box").photo)
    for path, looks in ((flat, 1), (photo, 7)):
        reading = reader.read(path, "upload", override=True)
        assert reading.source == ("camera" if looks > 1 else "scanner")
        films = [reading.film.pixels, *(look[np.newaxis] for look in other_looks(reading.film.pixels[0]))][:looks]
        outputs = [reader.bundle.head(reader.body(film)) for film in films]
        np.testing.assert_allclose(reading.logits, np.mean([o.logits for o in outputs], axis=0), atol=1e-4)
        np.testing.assert_allclose(reading.maps, np.mean([o.maps for o in outputs], axis=0), atol=1e-3)


def test_a_photograph_that_is_moved_is_looked_at_in_the_same_ways(reader):
    film, seen = to_input(draw_phantom(7), 224), []

    def body(pixels):
        seen.append(pixels)
        return reader.body(pixels)

    counting = Reader(reader.bundle, body, reader.trust, reader.points)
    for source, looks in (("scanner", 1), ("camera", 7)):
        seen.clear()
        counting.find_unstable(Again(film[0, ..., 0], source))
        assert len(seen) == 5 * looks
