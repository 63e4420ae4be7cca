"""The paper's published F1 figures as a test of our own."""

import pytest
from cxrtrain.evaluate.decisions import average_decisions, sample_weights
from cxrtrain.evaluate.paper_f1 import ACTUAL, NONE, PUBLISHED, STATED, paper_decisions, weighted_f1
from train_command import run_cxrtrain


def test_the_counts_are_of_the_papers_validation_films():
    truth, called = paper_decisions()
    assert len(truth) == 10_351 and truth.sum() == 1_056 and called.sum() == 3_485


def test_the_actual_weights_reproduce_every_published_figure():
    ours = weighted_f1(ACTUAL)
    assert {average: round(ours[average], 3) for average in PUBLISHED} == PUBLISHED


@pytest.mark.parametrize("weights", [STATED, NONE])
def test_neither_the_stated_weights_nor_none_reproduce_one_of_them(weights):
    ours = weighted_f1(weights)
    assert all(round(ours[average], 3) != figure for average, figure in PUBLISHED.items())


@pytest.mark.parametrize("weights", [ACTUAL, STATED, NONE])
def test_with_one_answer_a_film_samples_and_micro_are_the_same(weights):
    ours = weighted_f1(weights)
    assert ours["samples"] == ours["micro"]


def test_the_stated_weights_are_those_of_equation_1_1():
    truth, called = paper_decisions()
    weights = sample_weights(truth)
    assert weights[truth == 1][0] == pytest.approx(STATED[1], abs=2e-3)
    assert weights[truth == 0][0] == pytest.approx(STATED[0], abs=3e-4)
    by_equation = average_decisions(truth, called, weights)["f1"]
    assert by_equation == pytest.approx(weighted_f1(STATED), abs=1e-3)


def test_the_command_prints_published_and_reproduced_figures_side_by_side():
    done = run_cxrtrain("paper-f1")
    assert done.returncode == 0, done.stderr
    lines = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
    assert lines["binary"][1:] == ["0.384", "0.384", "0.626", "0.277"]
    assert lines["macro"][1:3] == ["0.582", "0.582"]
