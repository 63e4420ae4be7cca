"""The health of the box as Prometheus text, written by hand: a table of what is told, and how it is spelt."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Health = dict[str, Any]


@dataclass(frozen=True)
class Metric:
    """One metric.

    Attributes
    ----------
    name : str
    kind : str
        "gauge" or "counter".
    help : str
    key : str
        Where its value stands in the health, as "reader.resets"; "" for one that is always 1 and tells labels. A
        truth counts as 0 or 1, a text as 1 unless it is empty, a list by its length; None is not told.
    scale : float
        From the unit of the health to the metric's.
    label : str
        Where the value is a table: what its keys are.
    told : tuple of str
        Where the labels of one that is always 1 stand in the health.
    """

    name: str
    kind: str
    help: str
    key: str = ""
    scale: float = 1
    label: str = ""
    told: tuple[str, ...] = ()


MIB = 1 << 20
METRICS = (
    Metric("cxrbox_info", "gauge", "Always 1; says what is installed.", told=("release", "bundle", "bundle_trust")),
    Metric("cxrbox_backend_info", "gauge", "Always 1; says what reads.", told=("reader.backend", "reader.wanted")),
    Metric("cxrbox_films", "gauge", "Films in each state.", "films", label="state"),
    Metric("cxrbox_film_seconds_p50", "gauge", "Median time of the last 200 films.", "milliseconds.p50", 1e-3),
    Metric("cxrbox_film_seconds_p95", "gauge", "95th percentile of that time.", "milliseconds.p95", 1e-3),
    Metric("cxrbox_reader_up", "gauge", "Whether the reader gave a sign of life.", "reader.answers"),
    Metric("cxrbox_reader_unfit", "gauge", "Whether the golden films forbid reading.", "reader.unfit"),
    Metric("cxrbox_degraded", "gauge", "Whether another backend reads than should.", "reader.degraded"),
    Metric("cxrbox_device_resets_total", "counter", "Times the accelerator was lost.", "reader.resets"),
    Metric("cxrbox_golden_passed", "gauge", "Whether the golden films passed last time.", "reader.golden.passed"),
    Metric("cxrbox_golden_timestamp_seconds", "gauge", "When they were read, since 1970.", "reader.golden.when"),
    Metric("cxrbox_disk_free_bytes", "gauge", "Free space of the state folder's disk.", "disk.free_mb", MIB),
    Metric("cxrbox_disk_reserve_bytes", "gauge", "Below it, originals are removed.", "disk.reserve_mb", MIB),
    Metric("cxrbox_clock_trusted", "gauge", "Whether the clock is synchronised.", "clock.trusted"),
    Metric("cxrbox_backup_timestamp_seconds", "gauge", "When the newest backup was written.", "last_backup"),
    Metric("cxrbox_temperature_celsius", "gauge", "Of the hottest sensor.", "temperature_celsius"),
    Metric("cxrbox_camera_working", "gauge", "Whether the camera sends pictures.", "camera.working"),
    Metric("cxrbox_uptime_seconds", "gauge", "Since the machine was started.", "uptime_seconds"),
    Metric("cxrbox_notices", "gauge", "Sentences in the banner of the page.", "notices"),
)


def prometheus_text(health: Health) -> str:
    """Return the text of all metrics that have a value (text exposition format 0.0.4).

    Parameters
    ----------
    health : dict
        From `cxrbox.web.health.gather_health`.
    """
    return "".join(f"{line}\n" for metric in METRICS for line in _lines(metric, health))


def _lines(metric: Metric, health: Health) -> Iterator[str]:
    samples = list(_samples(metric, health))
    if samples:
        yield f"# HELP {metric.name} {metric.help}"
        yield f"# TYPE {metric.name} {metric.kind}"
    for labels, value in samples:
        number = (float(value) if isinstance(value, bool | int | float) else len(value)) * metric.scale
        yield f"{metric.name}{_spell(labels)} {number:.10g}"


def _samples(metric: Metric, health: Health) -> Iterator[tuple[dict[str, str], Any]]:
    """Yield labels and values."""
    if metric.told:
        labels = {key.rpartition(".")[2]: _find(health, key) for key in metric.told}
        if all(labels.values()):
            yield labels, 1
        return
    value = _find(health, metric.key)
    if isinstance(value, str):
        value = bool(value)
    if metric.label:
        yield from (({metric.label: key}, one) for key, one in value.items())
    elif value is not None:
        yield {}, value


def _find(health: Health, key: str) -> Any:
    """Return what stands in the health under a key, None where a part of the way is missing."""
    value: Any = health
    for name in key.split("."):
        value = (value or {}).get(name)
    return value


def _spell(labels: dict[str, str]) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escape(value)}"' for name, value in labels.items()) + "}"


def _escape(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
