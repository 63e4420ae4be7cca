"""`cxrbox compare OLD NEW`: what another bundle would change on the films this box keeps, before it is switched to."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from cxrbundle.labels import FINDINGS, readable
from cxrbundle.operating_point import ABOVE
from cxrbundle.package import read_package

from cxrbox.errors import RefusedError
from cxrbox.operating_points import made_for
from cxrbox.originals import whole_original
from cxrbox.reading import Reader, open_reader
from cxrbox.settings import Settings
from cxrbox.store import Store, open_store

# Of a film's findings; None where the film is refused.
States = dict[str, str] | None


def run_compare(settings: Settings, old: Path, new: Path, as_json: bool) -> int:
    """Read all kept films with both bundles and print what would change; return 0."""
    store = open_store(settings.state)
    report = compare(store, *_open_readers(settings, old, new))
    print(json.dumps(report) if as_json else describe(report))
    return 0


def _open_readers(settings: Settings, old: Path, new: Path) -> tuple[Reader, Reader]:
    """Return a reader for each bundle; the site's thresholds go with the one they were made for."""
    path = settings.thresholds
    for_new = path is not None and made_for(path) == read_package(new).digest
    return (
        open_reader(replace(settings, bundle=old, thresholds=None if for_new else path)),
        open_reader(replace(settings, bundle=new, thresholds=path if for_new else None)),
    )


def compare(store: Store, old: Reader, new: Reader) -> dict[str, Any]:
    """Return what `compare` says, for JSON."""
    read = dict(_read_kept(store, old, new))
    kept = {film: states for film, states in read.items() if states}
    pairs = {film: states for film, states in kept.items() if None not in states}
    before, after = ([film for film, states in pairs.items() if ABOVE in states[at].values()] for at in (0, 1))
    changed = {
        finding: [film for film, (was, is_now) in pairs.items() if was[finding] != is_now[finding]]
        for finding in FINDINGS
    }
    return {
        "old": _named(old),
        "new": _named(new),
        "films": len(pairs),
        "not_kept": sum(film["state"] == "read" and film["original_at"] is None for film in store.all_films()),
        "damaged": [film for film, states in read.items() if not states],
        "refused": {
            "newly": [film for film, (was, is_now) in kept.items() if was and not is_now],
            "no_more": [film for film, (was, is_now) in kept.items() if is_now and not was],
        },
        "referred": {
            "before": len(before),
            "after": len(after),
            "no_more": sorted(set(before) - set(after)),
            "newly": sorted(set(after) - set(before)),
        },
        "findings": {
            finding: {
                "changed": len(films),
                "above_before": sum(states[0][finding] == ABOVE for states in pairs.values()),
                "above_after": sum(states[1][finding] == ABOVE for states in pairs.values()),
            }
            for finding, films in changed.items()
        },
        "changed_films": sorted(set().union(*changed.values())),
    }


def _named(reader: Reader) -> dict[str, Any]:
    site = [source for source in reader.points.site if reader.points.site[source]]
    return {
        "bundle": reader.bundle.title,
        "bundle_sha256": reader.bundle.digest,
        "trust": reader.trust,
        "site_thresholds": site,
    }


def _read_kept(store: Store, old: Reader, new: Reader) -> Iterator[tuple[int, tuple[States, States] | None]]:
    """Yield each finished film whose original is kept, and the states of its findings with either bundle.

    None where the original is damaged or gone.
    """
    for film in store.all_films():
        if film["state"] in ("read", "refused") and film["original_at"]:
            path = whole_original(store, film)
            yield film["id"], path and (_states(old, film, path), _states(new, film, path))


def _states(reader: Reader, film: dict[str, Any], path: Path) -> States:
    """Return the states of a film's findings, read as it was: also all the same, where a person wanted that."""
    try:
        reading = reader.read(path, film["source"], film["overridden"])
    except RefusedError:
        return None
    return {name: of["state"] for name, of in reading.findings.items()}


def describe(report: dict[str, Any]) -> str:
    """Return a report for people."""
    films, referred = report["films"], report["referred"]
    switched = len(referred["no_more"]) + len(referred["newly"])
    lines = [
        f"{report['old']['bundle']} -> {report['new']['bundle']} on {films} stored films",
        f"{switched} of {films} referrals would change: {_rate(referred['before'], films)} -> "
        f"{_rate(referred['after'], films)} referred, {len(referred['newly'])} newly,"
        f" {len(referred['no_more'])} no more",
        f"{'finding':<20}{'changed':>8}{'above before':>14}{'above after':>13}",
    ]
    for name, of in report["findings"].items():
        lines.append(f"{readable(name):<20}{of['changed']:>8}{of['above_before']:>14}{of['above_after']:>13}")
    if report["changed_films"]:
        lines.append(f"films that change: {', '.join(map(str, report['changed_films']))}")
    refused = report["refused"]
    if refused["newly"]:
        lines.append(f"films that are read and would be refused: {', '.join(map(str, refused['newly']))}")
    if refused["no_more"]:
        lines.append(f"films that are refused and would be read: {', '.join(map(str, refused['no_more']))}")
    if report["damaged"]:
        lines.append(f"films whose originals are damaged or gone: {', '.join(map(str, report['damaged']))}")
    if report["not_kept"]:
        lines.append(f"{report['not_kept']} more were read, but their originals are not kept")
    return "\n".join(lines)


def _rate(count: int, films: int) -> str:
    return f"{count / films:.1%}" if films else "none"
