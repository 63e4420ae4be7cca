"""Likelihoods and states."""

import numpy as np
import pytest
from cxrbundle.operating_point import Calibration, Thresholds, state
from cxrbundle.scores import likelihoods, sigmoid


def test_sigmoid_does_not_overflow():
    with np.errstate(over="raise", invalid="raise"):
        assert sigmoid(np.array([-800.0, 0.0, 800.0])).tolist() == [0.0, 0.5, 1.0]


def test_platt_scaling_keeps_the_ranking():
    logits = np.linspace(-5, 5, 11)[:, None]
    values = likelihoods(logits, [Calibration(slope=0.7, intercept=-2.0)])[:, 0]
    assert (np.diff(values) > 0).all()
    assert values[5] == pytest.approx(1 / (1 + np.exp(2.0)))


@pytest.mark.parametrize(
    ("likelihood", "expected"), [(0.1, "below"), (0.2, "uncertain"), (0.49, "uncertain"), (0.5, "above")]
)
def test_a_state_lies_between_its_thresholds(likelihood, expected):
    assert state(likelihood, Thresholds(uncertain=0.2, above=0.5)) == expected
