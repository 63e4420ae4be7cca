"""All films as a file, written while it is sent: however many there are, none is held in memory."""

from collections.abc import Iterable, Iterator
from itertools import chain
from threading import BoundedSemaphore

from flask import Blueprint, Response, abort, request

from cxrbox.command_export import BYTE_ORDER_MARK, csv_lines, export_rows, json_lines, parse_since
from cxrbox.errors import ConfigError
from cxrbox.store import Store
from cxrbox.web.context import the_settings
from cxrbox.web.words import sentence

routes = Blueprint("exports", __name__)
# A client that does not read on keeps the thread that answers it, and the server has eight: the page needs the others.
MOST_AT_ONCE = 3
_sending = BoundedSemaphore(MOST_AT_ONCE)


@routes.get("/export.csv")
def export_csv() -> Response:
    """Send one row a film."""
    return _attachment(chain([BYTE_ORDER_MARK], csv_lines(_rows())), "text/csv", "csv")


@routes.get("/export.json")
def export_json() -> Response:
    """Send an array of one object a film."""
    return _attachment(_json_array(json_lines(_rows())), "application/json", "json")


def _rows() -> Iterator[dict]:
    """Return the rows asked for; the store is open as long as they are drawn."""
    try:
        since = parse_since(request.args.get("since"))
    except ConfigError as err:
        abort(400, sentence(str(err)))
    return _draw(since, the_settings().state)


def _draw(since: str, state) -> Iterator[dict]:
    # The request's own connection is closed before the answer is sent.
    store = Store(state)
    try:
        yield from export_rows(store, since)
    finally:
        store.close()


def _json_array(lines: Iterable[str]) -> Iterator[str]:
    """Yield an array made of objects that stand one a line."""
    separator = "[\n"
    for line in lines:
        yield separator + line.rstrip("\n")
        separator = ",\n"
    yield "\n]\n" if separator == ",\n" else "[]\n"


def _attachment(lines: Iterator[str], mimetype: str, suffix: str) -> Response:
    if not _sending.acquire(blocking=False):
        abort(503, "Films are being exported to others now; try again in a moment.")
    headers = {"Content-Disposition": f'attachment; filename="cxrbox-films.{suffix}"'}
    response = Response(lines, mimetype=mimetype, headers=headers)
    response.call_on_close(_sending.release)
    return response
