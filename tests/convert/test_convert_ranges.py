"""Which films set the ranges of the activations: chosen by measuring."""

import numpy as np
import pytest
from cxrbundle.head import PoolLinearHead
from cxrconvert.channels import measure_reach
from cxrconvert.integer import ALIKE, FIGURES, Ranges, best_of, candidates, choose_ranges
from tiny_run import CHANNELS, SIZE, tiny_body

SCALING = 1 / 128, 127


def test_ranges_that_rest_on_too_few_films_are_no_candidates():
    assert candidates(18) == [Ranges(18, 1.0)]
    assert candidates(40) == [Ranges(40, 1.0), Ranges(40, 0.95)]
    assert candidates(400) == [Ranges(400, 1.0), Ranges(100, 1.0), Ranges(400, 0.99), Ranges(400, 0.95)]


@pytest.mark.parametrize(("errors", "place"), [([2, 1, 1], 1), ([1.04, 1.0], 0), ([1.0, 1.04], 0), ([1.1, 1.0], 1)])
def test_the_plainest_of_what_errs_alike_is_best(errors, place):
    assert ALIKE == 1.05 and best_of(errors) == place


@pytest.fixture(scope="module")
def with_a_stray_film():
    """Dim films, of which one is far brighter, the reach of a tiny body on them, and other dim films."""
    films = np.random.default_rng(4).integers(110, 145, (30, SIZE, SIZE, 1), np.uint8).repeat(3, axis=3)
    films[7] = np.random.default_rng(5).integers(0, 256, films[7].shape)
    return films[:24], measure_reach(tiny_body(), films[:24], *SCALING), films[24:]


def test_the_candidate_that_errs_least_is_chosen_and_all_are_told(with_a_stray_film):
    films, reach, held_out = with_a_stray_film
    weight = np.random.default_rng(6).normal(size=(14, CHANNELS)).astype(np.float32)
    head = PoolLinearHead(weight, np.zeros(14, np.float32))
    chosen, table = choose_ranges(tiny_body(), reach, head, films, held_out, *SCALING)
    assert [(row["films"], row["share"]) for row in table] == [(24, 1.0), (24, 0.95)]
    assert all(set(row) == {"films", "share", "seconds", *FIGURES} for row in table)
    errors = [row["logit_rms_difference"] for row in table]
    assert chosen == Ranges(table[best_of(errors)]["films"], table[best_of(errors)]["share"])


def test_one_stray_film_sets_the_range_of_all_or_of_none(with_a_stray_film):
    _, reach, _ = with_a_stray_film
    everything, most = (reach.bounds(share)[1] for share in (1.0, 0.95))
    np.testing.assert_array_equal(everything, reach.high.max(axis=0))
    assert (most <= everything).all() and most.sum() < 0.9 * everything.sum()
