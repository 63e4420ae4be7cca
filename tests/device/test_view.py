"""What the page makes of a reading."""

import pytest
from cxrbox.web.view import bar_length, finding_rows, verdict


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
