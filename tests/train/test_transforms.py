"""What the presets of random changes do to films."""

import argparse
from typing import get_args

import cv2
import numpy as np
import pytest
import torch
from cxrbundle.phantom import draw_phantom
from cxrbundle.preprocess import resize_film
from cxrbundle.preprocess import stretch_levels as contract_levels
from cxrtrain.errors import RecipeError
from cxrtrain.recipe import TransformSettings
from cxrtrain.transforms.film import rectify
from cxrtrain.transforms.levels import stretch_levels
from cxrtrain.transforms.photograph import photograph, shoot
from cxrtrain.transforms.presets import PRESETS, build_transform
from cxrtrain.transforms.transforms_command import add_transforms_command

RANDOM = tuple(preset for preset in PRESETS if preset != "none")
SIDE = 128


def draw_films(n: int) -> torch.Tensor:
    return torch.from_numpy(np.stack([resize_film(draw_phantom(seed), SIDE) for seed in range(n)]))


def correlation(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return the correlation of each film with its counterpart: shape (n,)."""
    both = [films.flatten(1) - films.flatten(1).mean(dim=1, keepdim=True) for films in (first, second)]
    return (both[0] * both[1]).sum(dim=1) / (both[0].norm(dim=1) * both[1].norm(dim=1))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize(("n", "size"), [(1, 64), (5, 96), (2, 160)])
def test_changed_films_stay_films(preset, n, size):
    films = draw_films(n)
    torch.manual_seed(3)
    changed = build_transform(preset, size)(films)
    assert changed.shape == (n, size, size) and changed.dtype == torch.float32
    assert changed.isfinite().all() and changed.min() >= 0 and changed.max() <= 255
    assert changed.std(dim=(1, 2)).min() > 10
    assert torch.equal(films, draw_films(n))


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("grey", [0, 255])
def test_a_blank_film_has_no_nan(preset, grey):
    blank = torch.full((4, SIDE, SIDE), grey, dtype=torch.uint8)
    changed = build_transform(preset, 64)(blank)
    assert changed.isfinite().all() and changed.min() >= 0 and changed.max() <= 255


@pytest.mark.parametrize("preset", RANDOM)
def test_changes_are_those_of_the_seed_and_differ_within_a_batch(preset):
    films = draw_films(1).expand(4, -1, -1)
    transform = build_transform(preset, 64)
    torch.manual_seed(7)
    first, second = transform(films), transform(films)
    torch.manual_seed(7)
    assert torch.equal(first, transform(films))
    assert not torch.equal(first, second)
    assert len({film.numpy().tobytes() for film in first}) == 4


@pytest.mark.parametrize("preset", RANDOM)
def test_a_fork_of_the_generator_keeps_the_changes_to_itself(preset):
    films, transform = draw_films(2), build_transform(preset, 64)
    torch.manual_seed(5)
    state = torch.get_rng_state()
    with torch.random.fork_rng():
        inside = transform(films)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(transform(films), inside)


def test_none_is_the_resize_of_the_contract():
    films = draw_films(3)
    resized = build_transform("none", 112)(films).numpy()
    contract = np.stack([resize_film(film.numpy(), 112) for film in films])
    assert np.abs(resized - contract).mean() < 1
    assert torch.equal(build_transform("none", SIDE)(films).round(), films.float())


def test_the_presets_are_those_of_a_recipe():
    assert set(PRESETS) == set(get_args(TransformSettings.model_fields["preset"].annotation))
    with pytest.raises(RecipeError, match=r"transforms\.preset sepia"):
        build_transform("sepia", 64)


def bar_films(n: int) -> torch.Tensor:
    """Return films with an upright bright bar: uint8, shape (n, 128, 128)."""
    film = torch.full((SIDE, SIDE), 60, dtype=torch.uint8)
    film[:, SIDE // 2 - 10 : SIDE // 2 + 10] = 200
    return film.expand(n, -1, -1)


def measure_bar(film: np.ndarray) -> tuple[float, float]:
    """Return the bar's degrees from upright and its width, in pixels, seen within a disc around the middle."""
    y, x = np.mgrid[: len(film), : len(film)] - (len(film) - 1) / 2
    disc = np.hypot(x, y) < len(film) * 0.35
    bright = disc & (film > (film[disc].min() + film[disc].max()) / 2)
    _, axes = np.linalg.eigh(np.cov(x[bright], y[bright]))
    long_x, long_y = axes[:, 1] * np.sign(axes[1, 1])
    return float(np.degrees(np.arctan2(long_x, long_y))), bright.sum() / (2 * len(film) * 0.35)


def test_the_papers_preset_turns_up_to_30_degrees_and_zooms_half_of_the_films_by_1_3():
    torch.manual_seed(1)
    changed = build_transform("paper", SIDE)(bar_films(400)).numpy()
    angles, widths = np.transpose([measure_bar(film) for film in changed])
    assert -30.5 < angles.min() < -27 and 27 < angles.max() < 30.5 and abs(angles.mean()) < 3
    zoomed = widths > 1.15 * np.median(widths[widths < np.mean(widths)])
    assert 0.43 < zoomed.mean() < 0.57
    assert 1.27 < widths[zoomed].mean() / widths[~zoomed].mean() < 1.33
    assert max(widths[zoomed].std(), widths[~zoomed].std()) < 0.6


def test_the_papers_preset_changes_brightness_and_contrast_of_the_logits_within_its_ranges():
    torch.manual_seed(1)
    greys = torch.tensor([64, 191], dtype=torch.uint8).repeat_interleave(300)
    changed = build_transform("paper", 8)(greys.view(-1, 1, 1).expand(-1, 8, 8))[:, 4, 4] / 255
    dark, bright = changed.double().logit().view(2, 300)
    # Mid grey has the logit 0, so dark and bright say what the greys' own logits of -1.09 and 1.09 became.
    assert dark.min() > (-1.0949 - 0.8473) / 0.6 and bright.max() < (1.0949 + 0.8473) / 0.6
    assert dark.max() < 0 < bright.min()
    assert dark.std() > 0.3 and bright.std() > 0.3


def test_levels_are_stretched_as_the_contract_does():
    films = (draw_films(4).float() * 0.4 + 70).round()
    stretched = stretch_levels(films).numpy()
    contract = np.stack([contract_levels(film.byte().numpy()) for film in films])
    assert np.abs(stretched - contract).max() <= 1
    assert np.ptp(contract, axis=(1, 2)).min() == 255


def test_a_photographed_film_is_recognised_after_rectification_and_not_before():
    films = draw_films(32)
    flat = build_transform("none", 96)(films)
    torch.manual_seed(2)
    read = correlation(flat, build_transform("film", 96)(films))
    raw = correlation(flat, photograph(films, 96).mean(dim=1))
    assert read.mean() > 0.88 and read.min() > 0.6
    assert raw.mean() < 0.5


def test_a_photograph_has_colour_a_surround_and_the_film_where_it_says():
    films = draw_films(16)
    torch.manual_seed(4)
    photos = photograph(films, 128)
    assert photos.shape == (16, 3, 128, 128) and photos.dtype == torch.float32
    assert photos.isfinite().all() and photos.min() >= 0 and photos.max() <= 255
    assert ((photos[:, 0] - photos[:, 2]).abs().mean(dim=(1, 2)) > 1).float().mean() > 0.5
    shot = shoot(torch.ones(16, 1, SIDE, SIDE), 128)
    assert shot.corners.min() >= -0.5 and shot.corners.max() <= 127.5
    for photo, corners in zip(shot.photos, shot.corners.numpy(), strict=True):
        inside = cv2.fillConvexPoly(np.zeros((128, 128), np.uint8), corners.round().astype(np.int32), 1)
        sure = cv2.erode(inside, np.ones((9, 9), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=0) > 0
        assert photo.numpy()[:, sure].min() > 0.35
        assert 0.25 < inside.mean() < 0.97


def test_the_true_corners_are_those_of_the_film_in_their_order():
    films = torch.zeros(12, 1, SIDE, SIDE)
    films[:, :, : SIDE // 2, : SIDE // 2] = 1
    torch.manual_seed(6)
    read = rectify(shoot(films, 128), 64).squeeze(1)
    quarters = [read[:, y : y + 24, x : x + 24].mean(dim=(1, 2)) for y in (4, 36) for x in (4, 36)]
    assert quarters[0].min() > 0.7 and max(quarter.max() for quarter in quarters[1:]) < 0.5


def run_transforms(*arguments) -> None:
    parser = argparse.ArgumentParser()
    add_transforms_command(parser.add_subparsers())
    parsed = parser.parse_args(["transforms", *map(str, arguments)])
    parsed.run(parsed)


def test_the_command_draws_a_figure_of_each_preset_the_same_each_time(prepared_films, tmp_path):
    run_transforms(prepared_films, "-o", tmp_path / "all")
    stems = {f"transforms-{preset}" for preset in PRESETS}
    assert {path.name for path in (tmp_path / "all").iterdir()} == {
        f"{s}.{end}" for s in stems for end in ("png", "svg")
    }
    for stem in stems:
        height, width, _ = cv2.imread(str(tmp_path / "all" / f"{stem}.png")).shape
        assert width == 2160 and height > 1000
    run_transforms(prepared_films, "-o", tmp_path / "one", "--preset", "paper")
    assert [path.name for path in sorted((tmp_path / "one").iterdir())] == [
        "transforms-paper.png",
        "transforms-paper.svg",
    ]
    for name in ("transforms-paper.png", "transforms-paper.svg"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "all" / name).read_bytes()
