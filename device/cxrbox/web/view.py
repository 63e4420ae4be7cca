"""What the page makes of a reading: order, bars and words."""

from dataclasses import dataclass

from cxrbundle.operating_point import ABOVE, UNCERTAIN

from cxrbox.refusals import OVERRIDABLE


@dataclass(frozen=True)
class FindingRow:
    """One finding as the page shows it.

    Attributes
    ----------
    bar : float
        Where the likelihood lies on a scale of 0..100 with the threshold always at 50.
    unstable : bool
        Whether a small shift of the film changes its state.
    """

    name: str
    likelihood: float
    threshold: float
    state: str
    bar: float
    unstable: bool = False


def bar_length(likelihood: float, threshold: float) -> float:
    """Return where a likelihood lies on a scale of 0..100 that has its threshold at 50.

    Thresholds differ twentyfold between findings; on this scale all of them stand in one line, and twice the
    threshold is as far to its right as half of it is to its left.
    """
    both = likelihood + threshold
    return 100 * likelihood / both if both else 50.0


def finding_rows(findings: dict[str, dict]) -> list[FindingRow]:
    """Return the findings, the one furthest above its threshold first."""
    rows = [
        FindingRow(
            name,
            of["likelihood"],
            of["threshold"],
            of["state"],
            bar_length(of["likelihood"], of["threshold"]),
            bool(of.get("unstable")),
        )
        for name, of in findings.items()
    ]
    return sorted(rows, key=lambda row: -row.bar)


def verdict(findings: dict[str, dict]) -> str:
    """Return "flagged", "uncertain" or "clear" for a whole film."""
    states = {of["state"] for of in findings.values()}
    if ABOVE in states:
        return "flagged"
    return "uncertain" if UNCERTAIN in states else "clear"


def may_override(film: dict) -> bool:
    """Return whether a person may have a refused film read all the same: once, and only what can be judged by eye."""
    return film["refusal_code"] in OVERRIDABLE and film["original_at"] is not None and not film["overridden"]
