"""Calibration and thresholds, also where there is next to nothing to fit them on."""

import numpy as np
import pytest
from cxrbundle.scores import likelihoods
from cxrconvert.operating_point import (
    choose_operating_point,
    choose_thresholds,
    expected_calibration_error,
    fit_calibrations,
    measure_operating_point,
)


def drawn(rates, films=600, slope=2.0, seed=0):
    """Logits and labels of findings with given rates; the true likelihood is sigmoid(slope * logit + offset)."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1, (films, len(rates)))
    offsets = np.log(np.array(rates) / (1 - np.array(rates)))
    return random.random(logits.shape) < 1 / (1 + np.exp(-slope * logits - offsets)), logits


def test_calibration_finds_the_true_slope_and_is_calibrated():
    labels, logits = drawn([0.2, 0.3, 0.4], films=4000)
    calibrations = fit_calibrations(labels, logits)
    assert [c.slope for c in calibrations] == pytest.approx([2, 2, 2], abs=0.3)
    chances = likelihoods(logits, calibrations)
    assert chances.mean(axis=0) == pytest.approx(labels.mean(axis=0), abs=0.01)
    assert max(map(expected_calibration_error, labels.T, chances.T)) < 0.03


def test_calibration_does_not_depend_on_the_unit_of_the_logits():
    labels, logits = drawn([0.2, 0.3])
    one, other = fit_calibrations(labels, logits), fit_calibrations(labels, 1000 * logits)
    assert [c.slope for c in other] == pytest.approx([c.slope / 1000 for c in one], rel=1e-3)


def test_a_finding_without_positives_gets_the_common_slope_and_a_low_likelihood():
    labels, logits = drawn([0.3, 0.3, 0.3])
    labels[:, 2] = False
    calibrations = fit_calibrations(labels, logits)
    assert calibrations[2].slope == pytest.approx(calibrations[0].slope, rel=0.4)
    assert likelihoods(logits, calibrations)[:, 2].mean() < 0.01


@pytest.mark.parametrize("case", ["reversed", "constant", "all", "none"])
def test_slopes_stay_positive(case):
    labels, logits = drawn([0.3, 0.3])
    if case == "reversed":
        logits = -logits
    if case == "constant":
        logits = np.zeros_like(logits)
    if case in ("all", "none"):
        labels = np.full_like(labels, case == "all")
    point = choose_operating_point(labels, logits)
    assert all(np.isfinite([c.slope, c.intercept]).all() and c.slope > 0 for c in point.calibrations)
    assert all(0 <= t.uncertain <= t.above <= 1 for t in point.thresholds)


def test_above_leaves_nine_in_ten_films_without_the_finding_below():
    labels, logits = drawn([0.1], films=2000)
    chance = 1 / (1 + np.exp(-logits[:, 0]))
    at, _ = choose_thresholds(labels[:, 0], chance)
    assert (chance[~labels[:, 0]] < at.above).mean() == pytest.approx(0.9, abs=0.01)


def test_uncertain_never_lies_above_the_threshold():
    chance = np.linspace(0, 1, 21)
    at, basis = choose_thresholds(chance > 0.5, chance)
    assert at.uncertain == at.above == pytest.approx(0.45)
    assert basis == "validation, 10 positives"


def test_uncertain_reaches_down_to_ninety_percent_sensitivity():
    labels, logits = drawn([0.3], films=2000, slope=1.0)
    chance = 1 / (1 + np.exp(-logits[:, 0]))
    at, _ = choose_thresholds(labels[:, 0], chance)
    assert at.uncertain < at.above
    assert (chance[labels[:, 0]] >= at.uncertain).mean() == pytest.approx(0.9, abs=0.01)


def test_few_positives_fall_back_on_the_negatives():
    chance = np.linspace(0, 1, 101)
    truth = np.arange(101) >= 99
    at, basis = choose_thresholds(truth, chance)
    assert basis == "fallback, 2 positives"
    assert (at.uncertain, at.above) == pytest.approx((0.588, 0.882))


def test_measured_on_other_films():
    labels, logits = drawn([0.3] * 14)
    figures = measure_operating_point(choose_operating_point(labels, logits), *drawn([0.3] * 14, seed=1))
    assert figures["calibration_error_mean"] < 0.1
    row = figures["findings"]["Effusion"]
    assert row["sensitivity"] + row["specificity"] > 1.3
    for shares in figures["films"].values():
        assert sum(shares.values()) == pytest.approx(1, abs=0.001)
