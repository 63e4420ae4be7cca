"""What whoever relies on a result must know of how it came about; page, exports and `cxrbox read` say it alike."""

from typing import Any

CHECK_SIDES = "Check its side marker before you rely on sides."


def find_remarks(reading: dict[str, Any]) -> list[str]:
    """Return sentences about a reading, as `Reader.describe` gives it; none where nothing was special."""
    capture, check = reading.get("capture") or {}, reading.get("film_check") or {}
    mirrored, corrections, age = capture.get("mirrored"), reading.get("corrections"), reading.get("age")
    all_the_same = "a person wanted it read all the same."
    remarks = []
    if mirrored == "ask":
        remarks.append(f"Left and right could not be told from the film. {CHECK_SIDES}")
    if mirrored == "yes":
        why = "The film was mirrored because the heart stood on the wrong side."
        remarks.append(f"{why} Check its side marker: a heart may lie on the right.")
    if fault := capture.get("overridden"):
        remarks.append(f"The capture gate would have refused this photograph ({fault}); {all_the_same}")
    if corrections:
        done = f"The film lay wrongly and was set right before it was read: {'; '.join(corrections)}."
        remarks.append(f"{done} The original is kept as it came.")
    if check.get("kind") == "mirrored" and mirrored in (None, "no"):
        remarks.append(f"The film may lie on its face. {CHECK_SIDES}")
    if check.get("margin", 0) < 0:
        remarks.append(f"This does not look like a frontal chest film; {all_the_same}")
    if age is not None:
        remarks.append(f"The patient is {describe_age(age)} old, and the box was made for adults; {all_the_same}")
    return remarks


def describe_age(years: float) -> str:
    """Return an age for people: in months below two years."""
    return f"{years:.0f} years" if years >= 2 else f"{12 * years:.0f} months"
