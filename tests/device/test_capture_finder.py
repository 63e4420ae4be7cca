"""The film finder: where a film is in a photograph, to a fraction of a pixel where its edges are seen."""

import csv
import subprocess
import sys
from importlib.resources import files

import cv2
import numpy as np
import onnx
import pytest
from cxrbox.capture.corners import find_film, meet, order_corners
from cxrbox.capture.edges import move_to_edge, move_to_film, strips_input
from cxrbox.capture.networks import STRIP_COLUMNS, STRIP_PLACES, finder_input, upright_input
from cxrbox.capture.rectify import crop_margins, rectify, true_aspect
from cxrbundle.phantom import draw_phantom
from photographed import SCENES, inside, photograph


def off_by(found, truth) -> float:
    """Return the largest distance of a corner from the truth, in shares of the diagonal."""
    return float(np.linalg.norm(found - truth, axis=1).max() / np.linalg.norm(truth[2] - truth[0]))


def draw_sheet(corners: np.ndarray, size=(480, 640), film=60, box=220) -> np.ndarray:
    on_film = inside(corners.astype(np.float32), size)
    return (box + (film - box) * on_film).round().astype(np.uint8)


@pytest.mark.parametrize("scene", [scene for scene in SCENES if scene != "fills"])
def test_a_film_is_found_wherever_it_hangs(scene):
    random = np.random.default_rng(4)
    shots = [photograph(draw_phantom(seed), random, (720, 960), scene) for seed in range(6)]
    errors = sorted(off_by(find_film(shot.photo).points, shot.corners) for shot in shots)
    assert errors[-2] < 0.01, errors


def test_a_grey_photograph_gives_the_corners_of_the_coloured_one():
    shot = photograph(draw_phantom(3), np.random.default_rng(8), (720, 960), "box")
    grey = cv2.cvtColor(shot.photo, cv2.COLOR_BGR2GRAY)
    assert off_by(find_film(grey).points, find_film(shot.photo).points) < 0.004


def test_an_edge_is_found_to_a_fraction_of_a_pixel():
    truth = np.array([[100.3, 80.7], [520.6, 95.2], [500.1, 400.4], [90.9, 380.5]])
    photo = draw_sheet(truth)
    rough = truth + np.array([[2, -3], [-3, 2], [3, 1], [-2, 2]])
    for side, (start, end) in enumerate(move_to_edge(photo, rough, 10.0)):
        along = (end - start) / np.linalg.norm(end - start)
        for corner in (truth[side], truth[(side + 1) % 4]):
            offset = corner - start
            assert abs(offset[0] * along[1] - offset[1] * along[0]) < 0.25


def test_a_side_without_an_edge_stays_where_it_was():
    corners = np.array([[100.0, 80], [520, 80], [520, 400], [100, 400]])
    noise = np.random.default_rng(2).normal(120, 3, (480, 640)).astype(np.uint8)
    for side, line in enumerate(move_to_edge(noise, corners, 10.0)):
        assert np.array_equal(line, [corners[side], corners[(side + 1) % 4]])


def test_the_films_edge_is_told_from_the_clearer_edge_of_the_box_around_it():
    film = np.array([[120.0, 80], [520, 80], [520, 400], [120, 400]])
    box = film + np.array([[-16, -16], [16, -16], [16, 16], [-16, 16]])
    photo = draw_sheet(box, film=235, box=15).astype(np.float32)
    inner = cv2.getPerspectiveTransform(np.float32([[0, 0], [512, 0], [512, 512], [0, 512]]), film.astype(np.float32))
    seen = cv2.warpPerspective(cv2.resize(draw_phantom(3), (512, 512)), inner, (640, 480)).astype(np.float32)
    on_film = inside(film.astype(np.float32), (480, 640))
    photo = (photo * (1 - on_film) + 0.8 * seen * on_film).round().astype(np.uint8)
    moved = meet(*move_to_film(photo, (film + box) / 2, 50.0))
    assert off_by(moved, film) < 0.01


def test_corners_are_ordered_clockwise_from_the_top_left():
    square = np.array([[10.0, 10], [90, 14], [85, 80], [5, 70]])
    for order in ([2, 0, 3, 1], [3, 2, 1, 0], [1, 2, 3, 0]):
        assert np.array_equal(order_corners(square[order]), square)


def look_at(width: float, height: float, tilt: tuple[float, float], focal: float, shape: tuple[int, int]) -> np.ndarray:
    """Return the corners of a sheet of WIDTH by HEIGHT that a pinhole camera sees; TILT in degrees."""
    sheet = np.array([[-width, -height, 0], [width, -height, 0], [width, height, 0], [-width, height, 0]]) / 2
    turned = sheet @ cv2.Rodrigues(np.radians([tilt[0], tilt[1], 0.0]))[0].T + (0, 0, 2.5)
    return turned[:, :2] / turned[:, 2:] * focal * max(shape) + np.array(shape[::-1]) / 2


@pytest.mark.parametrize("aspect", [0.8, 1.0, 1.25])
@pytest.mark.parametrize("tilt", [(0, 0), (18, 11), (-20, 15)])
def test_a_film_keeps_its_true_proportions(aspect, tilt):
    corners = look_at(aspect, 1.0, tilt, 1.0, (960, 1280))
    assert true_aspect(corners, (960, 1280)) == pytest.approx(aspect, rel=0.02)


def test_a_rectified_film_is_the_film(phantom_png):
    film = draw_phantom(5)
    random = np.random.default_rng(0)
    shot = photograph(film, random, (960, 1280), "mask")
    straight = rectify(shot.photo, shot.corners.astype(float), 512)
    flat = cv2.resize(film, straight.shape[::-1])
    assert max(straight.shape) == 512
    assert np.corrcoef(straight.ravel(), flat.ravel())[0, 1] > 0.97


def test_flat_margins_are_cropped_and_nothing_else():
    film = draw_phantom(2)
    framed = cv2.copyMakeBorder(film, 20, 35, 0, 12, cv2.BORDER_CONSTANT, value=3)
    cropped, margins = crop_margins(framed)
    assert margins == (20, 12, 35, 0)
    assert np.array_equal(cropped, film)


def test_the_real_photographs_of_light_boxes_are_found(shared_films):
    with (shared_films / "photos" / "manifest.csv").open() as file:
        paths = [shared_films / row["path"] for row in csv.DictReader(file)]
    for path in paths:
        photo = cv2.imread(str(path))
        corners = find_film(photo).points
        # Both fill their pictures but for a thin margin.
        assert cv2.contourArea(corners.astype(np.float32)) > 0.85 * photo.shape[0] * photo.shape[1]


def test_the_finder_needs_neither_torch_nor_a_box():
    code = (
        "import sys, cxrbox.capture.photograph, cxrbox.capture.coach;"
        "assert not {'torch', 'flask', 'cxrtrain', 'ai_edge_litert'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_networks_take_what_they_are_given():
    # OpenCV 5 runs a network on an input of another shape without a word, the OpenCV of the box raises an error.
    shapes = {}
    for name in ("finder", "sides", "upright"):
        model = onnx.load(str(files("cxrbox.capture").joinpath(f"{name}.onnx")))
        shapes[name] = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim][1:]
    strips = strips_input(*np.zeros((2, 4, STRIP_PLACES, STRIP_COLUMNS), np.float32))
    given = {
        "finder": finder_input(np.zeros((480, 640, 3), np.uint8)).shape[-3:],
        "sides": strips.shape[1:],
        "upright": upright_input(np.eye(300, dtype=np.uint8) * 200).shape[-3:],
    }
    assert {name: list(shape) for name, shape in given.items()} == shapes
