"""What a person says of a film: whom it shows, and that it is to be read all the same."""

from flask import Blueprint, abort, redirect, request, url_for
from werkzeug.wrappers import Response

from cxrbox.errors import FilmError
from cxrbox.web.context import film_or_404, the_store
from cxrbox.web.view import may_override
from cxrbox.web.words import sentence

routes = Blueprint("records", __name__)


@routes.post("/films/<int:film_id>/identity")
def set_identity(film_id: int) -> Response:
    """Keep whom the film shows: a code that was typed, or that nobody knows."""
    film_or_404(film_id)
    kind = request.form.get("kind", "typed")
    text = None if kind == "unknown" else request.form.get("code", "")
    if kind not in ("typed", "unknown"):
        abort(400, "A person types a code or says that it is unknown.")
    try:
        the_store().set_identity(film_id, text, kind)
    except FilmError as err:
        abort(400, sentence(str(err)))
    return redirect(url_for("films.show_film", film_id=film_id), 303)


@routes.post("/films/<int:film_id>/override")
def override(film_id: int) -> Response:
    """Queue a film again that the capture gate refused; the note says who wants it and why."""
    film, note = film_or_404(film_id), request.form.get("note", "").strip()
    if not may_override(film):
        abort(409, "This film cannot be read all the same; its page says what to do instead.")
    if not note:
        abort(400, "Say who wants the film read all the same, and why: it goes on record.")
    try:
        the_store().override(film_id, note)
    except FilmError as err:
        abort(409, sentence(str(err)))
    return redirect(url_for("films.show_film", film_id=film_id), 303)
