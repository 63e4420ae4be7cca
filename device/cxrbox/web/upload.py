"""Films sent to the page, from a computer or a phone: their bytes are stored here and decoded by the reader alone."""

import re
from dataclasses import dataclass

from flask import Blueprint, Response, abort, jsonify, redirect, render_template, request, url_for
from werkzeug.datastructures import FileStorage

from cxrbox.decoding.limits import MAX_BYTES
from cxrbox.errors import RefusedError
from cxrbox.taking import take_film
from cxrbox.web.context import the_settings, the_store

routes = Blueprint("upload", __name__)
FIELD = "film"
# Characters that are kept of a file's name.
LONGEST_NAME = 120


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes
    ----------
    name : str
    film : int or None
        The film it is on this box; None where it was refused.
    new : bool
        False where the box had it already.
    refusal : RefusedError or None
    """

    name: str
    film: int | None = None
    new: bool = False
    refusal: RefusedError | None = None


@routes.get("/upload")
def show_upload() -> str:
    """Show the form."""
    return render_template("upload.html", outcomes=[], most=MAX_BYTES)


@routes.post("/upload")
def upload() -> str | Response:
    """Take the files of the form in; a single film leads to its page."""
    outcomes = _take_all()
    if len(outcomes) == 1 and outcomes[0].film:
        return redirect(url_for("films.show_film", film_id=outcomes[0].film), 303)
    return render_template("upload.html", outcomes=outcomes, most=MAX_BYTES)


@routes.post("/api/films")
def api_upload() -> Response:
    """Take films in and say what became of each, as JSON."""
    return jsonify(films=[_as_json(outcome) for outcome in _take_all()])


def _as_json(outcome: Outcome) -> dict:
    refusal = outcome.refusal and {"code": outcome.refusal.code, "reason": outcome.refusal.reason}
    return {"name": outcome.name, "film": outcome.film, "new": outcome.new, "refusal": refusal}


def _take_all() -> list[Outcome]:
    """Take in all files of the request."""
    if not the_settings().from_upload:
        abort(403, "This box takes no films from the page; its setting from_upload is off.")
    files = [file for file in request.files.getlist(FIELD) if file.filename]
    if not files:
        abort(400, "No film was sent; choose one and send it again.")
    return [_take(file) for file in files]


def _take(file: FileStorage) -> Outcome:
    name, store = _plain_name(file.filename), the_store()
    try:
        taken = take_film(store, file.stream, name, "upload")
    except RefusedError as refusal:
        return Outcome(name, refusal=refusal)
    return Outcome(name, store.film_with(taken.sha256), taken.new)


def _plain_name(name: str) -> str:
    """Return a file's name as text, without the folders that some browsers send along."""
    last = re.split(r"[/\\]", name)[-1]
    return "".join(character for character in last if character.isprintable()).strip()[-LONGEST_NAME:] or "film"
