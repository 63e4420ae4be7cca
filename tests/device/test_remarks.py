"""What is to be known before one relies on a result."""

import pytest
from cxrbox.remarks import describe_age, find_remarks

FINE = {"capture": None, "corrections": [], "film_check": {"kind": "film", "margin": 2.0}, "age": None}


@pytest.mark.parametrize("reading", [{}, FINE, FINE | {"capture": {"mirrored": "no", "overridden": None}}])
def test_nothing_is_remarked_where_nothing_was_special(reading):
    assert find_remarks(reading) == []


@pytest.mark.parametrize(
    ("reading", "words"),
    [
        ({"capture": {"mirrored": "ask"}}, "Left and right could not be told"),
        ({"capture": {"mirrored": "yes"}}, "The film was mirrored"),
        ({"capture": {"mirrored": "no", "overridden": "glare"}}, "refused this photograph (glare)"),
        (
            {"corrections": ["turned half round", "inverted"]},
            "was read: turned half round; inverted.",
        ),
        ({"film_check": {"kind": "mirrored", "margin": 1.0}}, "may lie on its face"),
        ({"film_check": {"kind": "film", "margin": -0.5}}, "does not look like a frontal chest film"),
        ({"age": 0.5}, "The patient is 6 months old"),
    ],
)
def test_each_thing_that_was_special_is_remarked(reading, words):
    [remark] = find_remarks(FINE | reading)
    assert words in remark


def test_a_film_that_was_mirrored_back_does_not_lie_on_its_face():
    told = find_remarks(FINE | {"capture": {"mirrored": "yes"}, "film_check": {"kind": "mirrored", "margin": 1.0}})
    assert len(told) == 1


def test_an_age_is_told_in_months_below_two_years():
    assert [describe_age(age) for age in (0.25, 1.5, 2, 17.4)] == ["3 months", "18 months", "2 years", "17 years"]
