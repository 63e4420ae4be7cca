"""Schedules, the learning-rate range test and the scan of weight decays."""

import json

import numpy as np
import pytest
from cxrtrain.learn.lr_find import smooth, steepest_rate
from cxrtrain.learn.schedule import (
    MOMENTUM_HIGH,
    MOMENTUM_LOW,
    one_cycle_momentum,
    one_cycle_rate,
    range_test_rate,
    warm_cosine,
)
from train_command import TINY, run_cxrtrain

PROGRESS = np.linspace(0, 1, 1001)


def test_the_warm_cosine_rises_and_falls():
    values = [warm_cosine(progress) for progress in PROGRESS]
    assert max(values) == 1.0 and values[0] < 0.2 and values[-1] < 0.02


def test_in_one_cycle_rate_and_momentum_go_against_each_other():
    rates = np.array([one_cycle_rate(progress) for progress in PROGRESS])
    momenta = np.array([one_cycle_momentum(progress) for progress in PROGRESS])
    assert rates.argmax() == momenta.argmin() == 300
    assert rates[0] == pytest.approx(1 / 25) and rates.max() == pytest.approx(1)
    assert rates[-1] == pytest.approx(1 / 25 / 1e4)
    assert (momenta.max(), momenta.min()) == pytest.approx((MOMENTUM_HIGH, MOMENTUM_LOW))
    assert (np.sign(np.diff(rates)) == -np.sign(np.diff(momenta))).all()


def test_the_range_test_multiplies_the_rate_by_the_same_factor_each_step():
    rates = [range_test_rate(step, 50, 1e-7, 10) for step in range(51)]
    assert rates[0] == pytest.approx(1e-7) and rates[-1] == pytest.approx(10)
    assert np.ptp(np.diff(np.log(rates))) < 1e-12


def test_the_smoothed_loss_starts_at_the_first_loss_and_keeps_a_constant():
    assert smooth([2.0, 2.0, 2.0]) == pytest.approx([2.0, 2.0, 2.0])
    assert smooth([3.0, 0.0])[0] == pytest.approx(3.0)


def test_the_steepest_rate_is_found_where_the_loss_falls_fastest():
    rates = [range_test_rate(step, 100, 1e-6, 10) for step in range(100)]
    losses = [1 / (1 + (rate / 1e-2) ** 2) for rate in rates]
    assert steepest_rate(rates, losses) == pytest.approx(1e-2, rel=0.3)
    assert steepest_rate(rates, [1.0 + rate for rate in rates]) is None


def test_lr_find_stops_on_divergence_and_draws_its_curve(prepared_films, tmp_path):
    search = ["--steps", 30, "--highest", 1e6, "--network.weights", "none"]
    done = run_cxrtrain("lr-find", "--films", prepared_films, "-o", tmp_path, *TINY, *search)
    assert done.returncode == 0, done.stderr
    result = json.loads((tmp_path / "lr-find" / "lr-find.json").read_text())
    assert result["diverged"] and len(result["rates"]) == len(result["losses"]) < 30
    assert (tmp_path / "lr-find" / "lr-find.png").stat().st_size > 10_000


def test_the_scan_really_varies_the_weight_decay(prepared_films, tmp_path):
    search = ["--steps", 20, "--lowest", 1e-3, "--highest", 0.1, "--decays", 0, 100]
    plain = ["--network.weights", "none", "--transforms.preset", "none", "--transforms.mixup", 0]
    done = run_cxrtrain("wd-scan", "--films", prepared_films, "-o", tmp_path, *TINY, *search, *plain)
    assert done.returncode == 0, done.stderr
    curves = json.loads((tmp_path / "wd-scan" / "wd-scan.json").read_text())["curves"]
    assert [curve["weight_decay"] for curve in curves] == [0, 100]
    assert curves[0]["losses"][0] == curves[1]["losses"][0]
    assert abs(curves[0]["losses"][-1] - curves[1]["losses"][-1]) > 1e-3


def test_too_few_steps_are_refused(prepared_films, tmp_path):
    done = run_cxrtrain("lr-find", "--films", prepared_films, "-o", tmp_path, "--steps", 3)
    assert done.returncode == 1 and "--steps 3 are too few" in done.stderr
