"""`cxrbox selftest`: does this machine read the golden films as on the day the bundle was made?"""

import json
import math
import platform
from dataclasses import replace
from statistics import median
from typing import Any

from cxrbox.bodies.tpu import OPEN_SECONDS
from cxrbox.reading import GOLDEN_TOLERANCE, LEAST_GOLDEN_CORRELATION, GoldenAnswer, Reader, make_reader
from cxrbox.settings import Settings

# The first reading warms the caches up; the median of five leaves it out.
ROUNDS = 5


def run_selftest(settings: Settings, as_json: bool) -> int:
    """Read the golden films of a bundle and print how; return 0 if all are within the tolerances, else 1.

    Raises
    ------
    BundleError
        If the bundle is damaged or not trusted.
    BackendError
        If its body does not run here.
    """
    reader = make_reader(replace(settings, threads=1))
    reader.body.wait_until_tried(OPEN_SECONDS)
    report = make_report(reader)
    reader.body.close()
    print(json.dumps(report) if as_json else describe(report))
    return 0 if report["passed"] else 1


def make_report(reader: Reader) -> dict[str, Any]:
    """Return what `selftest` says, for JSON; every figure is of this machine now."""
    rounds = [reader.read_golden_films() for _ in range(ROUNDS)]
    films = [_film(answers) for answers in zip(*rounds, strict=True)]
    return {
        **reader.provenance(),
        "trust": reader.trust,
        "remark": reader.body.status().reason,
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
        "tolerance": {"difference": GOLDEN_TOLERANCE, "map_correlation": LEAST_GOLDEN_CORRELATION},
        "films": films,
        "milliseconds": median(film["milliseconds"] for film in films),
        "passed": all(film["passed"] for film in films),
    }


def _film(answers: tuple[GoldenAnswer, ...]) -> dict[str, Any]:
    """Return what is said of one golden film that was read several times."""
    last = answers[-1]
    return {
        "seed": last.seed,
        "difference": _number(last.difference),
        "map_correlation": _number(last.map_correlation),
        "milliseconds": round(median(answer.milliseconds for answer in answers), 2),
        "passed": all(answer.passed for answer in answers),
    }


def _number(value: float | None) -> float | None:
    """Return a number for JSON: four digits, None where there is none or NaN."""
    return None if value is None or math.isnan(value) else round(value, 4)


def describe(report: dict[str, Any]) -> str:
    """Return a report for people."""
    tolerance = report["tolerance"]
    failed = [str(film["seed"]) for film in report["films"] if not film["passed"]]
    verdict = f"FAILED: golden film {', '.join(failed)}" if failed else "passed"
    return "\n".join(
        [
            f"{report['bundle']} ({report['trust']}), SHA-256 {report['bundle_sha256'][:16]}",
            f"on {report['backend']}, {report['machine']}, cxrbox {report['code']}",
            *([report["remark"]] if report["remark"] else []),
            "golden film   logit difference   map correlation   ms",
            *(_line(film) for film in report["films"]),
            f"allowed       {tolerance['difference']:<18} {tolerance['map_correlation']}",
            f"median {report['milliseconds']:.1f} ms a film; {verdict}",
        ]
    )


def _line(film: dict[str, Any]) -> str:
    shown = ["-" if film[key] is None else f"{film[key]:.4f}" for key in ("difference", "map_correlation")]
    return f"{film['seed']:<13} {shown[0]:<18} {shown[1]:<17} {film['milliseconds']:.1f}"
