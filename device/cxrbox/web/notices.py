"""What is wrong with the box now, as sentences above every page: never silent, and the same for people and programs."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, Response, render_template, request

from cxrbox.clock import clock_trusted
from cxrbox.retention import disk_status
from cxrbox.settings import Settings
from cxrbox.web.context import STORE_ERRORS, page_seconds, the_settings, the_store
from cxrbox.web.words import local_time, sentence

routes = Blueprint("notices", __name__)
FAULT, WARNING = "fault", "warning"
# The reader gives a sign of life every 10 s, but not while it reads a film.
SILENT_SECONDS = 30.0
# Intake gives one as often, but not while it copies what is large from a slow stick.
INTAKE_SECONDS = 180.0


@dataclass(frozen=True)
class Notice:
    """One thing that is wrong.

    Attributes
    ----------
    code : str
    level : str
        "fault" where films are not taken in or not read, else "warning".
    sentence : str
    """

    code: str
    level: str
    sentence: str


def find_notices(settings: Settings, statuses: dict[str, dict[str, Any]], page_seconds: float = 0) -> list[Notice]:
    """Return what is wrong, the worst first; the page has run for so long."""
    reader = statuses.get("reader")
    of_the_reader = _of_a_reader(reader, settings) if reader else _of_no_reader(settings, page_seconds)
    of_intake = _of_intake(statuses.get("intake"), page_seconds)
    found = [*_of_the_disk(settings), *of_the_reader, *of_intake, *_of_the_clock()]
    return sorted(found, key=lambda notice: notice.level != FAULT)


def reader_answers(status: dict[str, Any] | None, settings: Settings) -> bool:
    """Return whether the reader gave a sign of life of late."""
    return status is not None and silent_seconds(status) < settings.film_seconds + SILENT_SECONDS


def silent_seconds(status: dict[str, Any]) -> float:
    """Return how many seconds lie between a sign of life and now; a clock that was set back makes it no younger."""
    return abs((datetime.now(UTC) - datetime.fromisoformat(status["at"])).total_seconds())


def _of_no_reader(settings: Settings, page_seconds: float) -> list[Notice]:
    if page_seconds < settings.film_seconds + SILENT_SECONDS:
        return []
    return [Notice("reader_silent", FAULT, "Films are not read: the reader has not started. They wait in the queue.")]


def _of_a_reader(status: dict[str, Any], settings: Settings) -> list[Notice]:
    if not reader_answers(status, settings):
        since = f"Films are not read: the reader has not answered since {local_time(status['at'])}."
        return [Notice("reader_silent", FAULT, f"{since} They wait in the queue until it runs again.")]
    if status.get("unfit"):
        return [Notice("reader_unfit", FAULT, f"Films are not read: {status['unfit'].rstrip('.')}.")]
    notices = [Notice("degraded", WARNING, sentence(status["reason"]))] if status.get("degraded") else []
    golden = status.get("golden")
    if golden and not golden["passed"]:
        text = (
            f"{golden['backend']} failed the golden films at {local_time(golden['when'])}"
            " and reads no film until it passes them."
        )
        notices.append(Notice("golden_failed", WARNING, text))
    return notices


def _of_intake(status: dict[str, Any] | None, page_seconds: float) -> list[Notice]:
    """Say that nobody takes films in, or that some cannot be taken in."""
    if status is None:
        text = "Nothing is taken in from folders, sticks and the camera: the intake has not started. Uploads are taken."
        return [Notice("intake_silent", FAULT, text)] if page_seconds > INTAKE_SECONDS else []
    if silent_seconds(status) < INTAKE_SECONDS:
        return _of_troubles(status.get("troubles", []))
    since = f"Nothing is taken in from folders, sticks and the camera since {local_time(status['at'])}"
    return [Notice("intake_silent", FAULT, f"{since}. Films stay where they are; uploads are taken.")]


def _of_troubles(troubles: list[str]) -> list[Notice]:
    if not troubles:
        return []
    text = f"Some films are not taken in yet: {troubles[0]}. The box tries again; check the drive and who may read it."
    return [Notice("intake_trouble", WARNING, text)]


def _of_the_disk(settings: Settings) -> list[Notice]:
    disk = disk_status(settings)
    free, reserve = f"{disk['free_mb']:,} MiB", f"{disk['reserve_mb']:,} MiB"
    texts = {
        "full": f"The disk is full ({free} free): no film can be taken in. Free some space on it.",
        "reserve": f"The disk has only {free} left: the originals of the oldest films are being removed. Results stay.",
        "low": f"The disk is filling up ({free} free). Below {reserve} the originals of the oldest films are removed.",
    }
    level = FAULT if disk["level"] == "full" else WARNING
    return [Notice(f"disk_{disk['level']}", level, texts[disk["level"]])] if disk["level"] in texts else []


def _of_the_clock() -> list[Notice]:
    if clock_trusted() is not False:
        return []
    return [Notice("clock", WARNING, "The clock of this box is not set by a time server: the times may be wrong.")]


def current_notices() -> list[Notice]:
    """Return what is wrong now, also where the store cannot be asked."""
    return find_notices(the_settings(), _statuses(), page_seconds())


def current_sticks() -> list[str]:
    """Return a sentence about each stick that is plugged in: who waits for it must know when to pull it."""
    intake = _statuses().get("intake")
    return tell_sticks(intake.get("sticks", [])) if intake and silent_seconds(intake) < INTAKE_SECONDS else []


def tell_sticks(sticks: list[dict[str, Any]]) -> list[str]:
    """Return a sentence about each stick, as `cxrbox.sticks.Sticks.progress` tells of it."""
    sentences = []
    for stick in sticks:
        films = stick["films"]
        known = "Films are being taken in from it: leave it plugged in."
        if films is not None:
            known = f"{films or 'No'} {'film' if films == 1 else 'films'} on it, all taken in. You may pull it."
        sentences.append(f"Stick {stick['name']}: {known}")
    return sentences


def _statuses() -> dict[str, dict[str, Any]]:
    try:
        return the_store().statuses()
    except STORE_ERRORS:
        return {}


@routes.get("/notices")
def show_notices() -> Response:
    """Show the notices alone; 304 where they are still the same, so that every open page may ask."""
    response = Response(render_template("_notices.html"))
    response.add_etag()
    return response.make_conditional(request)
