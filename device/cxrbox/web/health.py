"""How the box is: as a page, as JSON and as Prometheus text, all from one gathering."""

import math
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, render_template

from cxrbox.clock import clock_trusted
from cxrbox.retention import disk_status
from cxrbox.web.context import page_seconds, the_bundle, the_settings, the_store
from cxrbox.web.metrics import prometheus_text
from cxrbox.web.notices import find_notices, reader_answers

routes = Blueprint("health", __name__)
# Over so many of the newest films the times are told.
FILMS = 200
SENSORS = Path("/sys/class/thermal")
UPTIME = Path("/proc/uptime")
# https://prometheus.io/docs/instrumenting/exposition_formats/
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"


@routes.get("/health")
def show_health() -> str:
    """Show how the box is."""
    return render_template("health.html", health=gather_health())


@routes.get("/health/now")
def show_health_now() -> str:
    """Show how the box is, for a page that is open."""
    return render_template("_health.html", health=gather_health())


@routes.get("/api/health")
def api_health() -> Response:
    """Return how the box is, as JSON."""
    return jsonify(gather_health())


@routes.get("/metrics")
def show_metrics() -> Response:
    """Return how the box is, for Prometheus."""
    return Response(prometheus_text(gather_health()), content_type=PROMETHEUS)


def gather_health() -> dict[str, Any]:
    """Return how the box is; device/README.md says what each key means."""
    settings, store, bundle = the_settings(), the_store(), the_bundle()
    statuses = store.statuses()
    reader = statuses.get("reader")
    return {
        "release": version("cxrbox"),
        "bundle": bundle.title,
        "bundle_trust": bundle.trust,
        "films": store.counts(),
        "milliseconds": percentiles(store.last_milliseconds(FILMS)),
        "reader": (reader or {}) | {"answers": reader_answers(reader, settings)},
        "intake": statuses.get("intake"),
        "camera": statuses.get("camera") if settings.from_camera else None,
        "disk": disk_status(settings),
        "clock": {"trusted": clock_trusted(), "now": datetime.now(UTC).isoformat(timespec="seconds")},
        "last_backup": last_backup(settings.state.parent / "backups"),
        "temperature_celsius": read_temperature(SENSORS),
        "uptime_seconds": float(UPTIME.read_text().split()[0]),
        "notices": [
            {"code": notice.code, "level": notice.level, "sentence": notice.sentence}
            for notice in find_notices(settings, statuses, page_seconds())
        ],
    }


def percentiles(milliseconds: list[float]) -> dict[str, Any]:
    """Return the 50th and 95th percentile (nearest rank), None where there are no films, and of how many films."""
    ordered = sorted(milliseconds)
    ranked = {
        f"p{share}": ordered[math.ceil(share / 100 * len(ordered)) - 1] if ordered else None for share in (50, 95)
    }
    return ranked | {"films": len(ordered)}


def last_backup(folder: Path) -> float | None:
    """Return when the newest backup in a folder was written, in seconds since 1970; None where there is none."""
    written = []
    for backup in folder.glob("*.tar.age"):
        # Older ones are removed meanwhile.
        with suppress(OSError):
            written.append(backup.stat().st_mtime)
    return max(written, default=None)


def read_temperature(sensors: Path) -> float | None:
    """Return the temperature of the hottest sensor of this machine, in degrees Celsius; None where there is none.

    Parameters
    ----------
    sensors : Path
        A folder as the kernel's thermal zones are (Documentation/driver-api/thermal/sysfs-api.rst): millidegrees.
    """
    readings = []
    for sensor in sensors.glob("thermal_zone*/temp"):
        try:
            readings.append(int(sensor.read_text()) / 1000)
        except (OSError, ValueError):
            # A zone that is switched off answers with an error.
            continue
    return max(readings, default=None)
