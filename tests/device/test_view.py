"""What the page makes of a reading."""

import cv2
import numpy as np
import pytest
from cxrbox.web.heat import draw_heat
from cxrbox.web.view import bar_length, finding_rows, may_override, verdict
from cxrbox.web.words import duration, local_time


def finding(likelihood, state, threshold=0.2):
    return {"likelihood": likelihood, "state": state, "threshold": threshold}


def test_the_threshold_stands_in_the_middle_of_every_bar():
    assert bar_length(0.02, 0.02) == bar_length(0.7, 0.7) == 50
    assert bar_length(0, 0.3) == 0 and bar_length(1, 0.001) > 99
    assert bar_length(0.4, 0.2) - 50 == pytest.approx(50 - bar_length(0.1, 0.2))
    assert bar_length(0, 0) == 50


def test_the_finding_furthest_above_its_threshold_comes_first():
    rows = finding_rows(
        {"Mass": finding(0.3, "below", 0.5), "Hernia": finding(0.02, "above", 0.01), "Edema": finding(0.25, "above")}
    )
    assert [row.name for row in rows] == ["Hernia", "Edema", "Mass"]


@pytest.mark.parametrize(
    ("states", "expected"),
    [(["below", "below"], "clear"), (["below", "uncertain"], "uncertain"), (["uncertain", "above"], "flagged")],
)
def test_the_verdict_is_that_of_the_worst_finding(states, expected):
    assert verdict({str(number): finding(0.1, state) for number, state in enumerate(states)}) == expected


def film(code, original_at="2026-11-23", overridden=0):
    return {"refusal_code": code, "original_at": original_at, "overridden": overridden}


def test_only_what_the_capture_gate_refused_may_be_read_all_the_same_once():
    assert may_override(film("glare")) and may_override(film("lungs_cut"))
    assert not may_override(film("damaged")) and not may_override(film(None))
    assert not may_override(film("no_film")) and not may_override(film("glare", overridden=1))
    assert not may_override(film("glare", original_at=None))


def test_a_map_on_which_nothing_speaks_for_the_finding_is_drawn_empty():
    against = np.random.default_rng(1).uniform(-9, -0.01, (7, 7))
    assert not cv2.imdecode(np.frombuffer(draw_heat(against), np.uint8), cv2.IMREAD_UNCHANGED)[..., 3].any()
    against[3, 3] = 2.0
    opacity = cv2.imdecode(np.frombuffer(draw_heat(against), np.uint8), cv2.IMREAD_UNCHANGED)[..., 3]
    assert opacity[224, 224] == 255 and not opacity[:100].any()


@pytest.mark.parametrize(
    ("seconds", "words"), [(59, "0 min"), (3_900, "1 h 5 min"), (90_000, "1 day 1 h"), (400_000, "4 days 15 h")]
)
def test_spans_of_time_are_written_for_people(seconds, words):
    assert duration(seconds) == words


def test_times_are_shown_as_the_boxs_local_time():
    assert local_time("2026-11-23T02:00:00.000+00:00") == local_time(1795399200.0)
    assert local_time(None) == ""
