"""The films: the list, one film, its pictures, and both as JSON."""

import sqlite3
from contextlib import suppress
from pathlib import Path

from flask import Blueprint, Response, abort, jsonify, render_template, request, send_file

from cxrbox.remarks import find_remarks
from cxrbox.web.context import bundle_digest, film_or_404, the_settings, the_store
from cxrbox.web.rows import list_rows
from cxrbox.web.view import finding_rows, may_override

routes = Blueprint("films", __name__)
# Characters of a text that is looked for.
LONGEST_SEARCH = 120
# Films in an answer to a program.
API_LENGTH = 100


def _list() -> dict:
    """Return what the list shows; a page further back where `before` asks for it."""
    before, version = request.args.get("before", type=int), the_store().version()
    text = request.args.get("q", "").strip()[:LONGEST_SEARCH]
    each = "each" in request.args or bool(text)
    films, older = list_rows(the_store(), before, each, text)
    return {
        "films": films,
        # What leads to the same list once more.
        "same": {"q": text or None, "each": "" if each and not text else None},
        "other_names": the_store().other_names(*(film["id"] for film in films)),
        "counts": the_store().counts(),
        "older": older,
        "before": before,
        "version": version,
    }


@routes.get("/")
def show_list() -> str:
    """Show the films, the newest first."""
    folder = the_settings().films.resolve()
    return render_template("list.html", **_list(), folder=folder, missing=_is_missing(folder))


def _is_missing(folder: Path) -> bool:
    try:
        return not folder.is_dir()
    except PermissionError:  # the notices say so
        return False


@routes.get("/rows")
def show_rows() -> Response:
    """Return the rows of the list alone; 304 where nothing changed, so that an open page may ask often."""
    response = Response(status=304)
    etag = f"{the_store().version()}"
    if not request.if_none_match.contains(etag):
        response = Response(render_template("_rows.html", **_list()))
    response.set_etag(etag)
    return response


@routes.get("/films/<int:film_id>")
def show_film(film_id: int) -> str:
    """Show one film: its findings against their thresholds, the heat map of the chosen one, and where it came from."""
    film, store = film_or_404(film_id), the_store()
    rows = finding_rows(film["reading"]["findings"]) if film["reading"] else []
    chosen = request.args.get("finding")
    if rows and chosen not in [row.name for row in rows]:
        chosen = rows[0].name
    return render_template(
        "film.html",
        film=film,
        rows=rows,
        chosen=chosen,
        without_heat=_findings_without_heat(film) if rows else set(),
        remarks=find_remarks(film["reading"] or {}),
        other_names=store.other_names(film_id).get(film_id, []),
        identities=store.identities(film_id),
        drawn=_is_drawn(film),
        undrawable=_is_undrawable(film),
        withdrawn=store.was_withdrawn(film_id),
        note=store.override_note(film_id),
        bundle_sha256=bundle_digest(),
        photographed=_photograph(film).exists(),
        may_override=may_override(film),
    )


def _findings_without_heat(film: dict) -> set[str]:
    """Return the findings of a film that was read for which nothing in it speaks, so that their heat maps are empty."""
    from cxrbox.maps import unpack_maps

    maps = unpack_maps(the_store().maps(film["id"]))
    return {name for name, one in zip(film["reading"]["findings"], maps, strict=True) if one.max() <= 0}


def _is_drawn(film: dict) -> bool:
    """Return whether a film's picture is drawn; the reader is asked for one that waits for its turn."""
    drawn = the_store().has_picture(film["sha256"] or "none")
    if not drawn and film["state"] == "read" and film["original_at"]:
        # A full disk has no room for the question: what is known of the film is shown all the same.
        with suppress(sqlite3.OperationalError):
            the_store().ask("picture", {"film": film["id"]})
    return drawn


def _is_undrawable(film: dict) -> bool:
    """Return whether the reader found that a film's picture cannot be drawn any more."""
    return film["id"] in the_store().statuses().get("pictures", {}).get("undrawable", [])


def _picture(film: dict) -> Path:
    """Return where the film as it was read is drawn."""
    return the_store().picture_path(film["sha256"] or "none")


def _photograph(film: dict) -> Path:
    """Return where the photograph is drawn out of which the film was cut."""
    return the_store().photograph_path(film["sha256"] or "none")


@routes.get("/films/<int:film_id>/picture.jpg")
def send_picture(film_id: int) -> Response:
    """Send the picture of a film."""
    film = film_or_404(film_id)
    if not _is_drawn(film):
        abort(404, "The film's picture is not drawn yet; ask again in a moment.")
    return _send(_picture(film), "The film's picture is not there any more.")


@routes.get("/films/<int:film_id>/photo.jpg")
def send_photograph(film_id: int) -> Response:
    """Send the photograph of a film, as it came."""
    return _send(_photograph(film_or_404(film_id)), "There is no photograph of this film.")


@routes.get("/films/<int:film_id>/original")
def send_original(film_id: int) -> Response:
    """Send the file that came, for a program that shows films; a browser must not try to."""
    film = film_or_404(film_id)
    path = the_store().original_path(film["sha256"] or "none")
    if film["original_at"] is None or not path.is_file():
        abort(404, "The original of this film is not kept.")
    name = f"film-{film_id} {film['name'].rsplit('/')[-1]}"
    return send_file(path.resolve(), mimetype="application/octet-stream", as_attachment=True, download_name=name)


def _send(path: Path, otherwise: str) -> Response:
    if not path.exists():
        abort(404, otherwise)
    return send_file(path.resolve(), mimetype="image/jpeg")


@routes.get("/films/<int:film_id>/heat/<finding>.png")
def send_heat(film_id: int, finding: str) -> Response:
    """Send the heat map of one finding as a transparent PNG, to be laid over the picture."""
    from cxrbox.maps import unpack_maps
    from cxrbox.web.heat import draw_heat

    film, maps = film_or_404(film_id), the_store().maps(film_id)
    names = list(film["reading"]["findings"]) if film["reading"] else []
    if maps is None or finding not in names:
        abort(404, "There is no heat map of that finding for this film.")
    return Response(draw_heat(unpack_maps(maps)[names.index(finding)]), mimetype="image/png")


@routes.get("/api/films")
def api_films() -> Response:
    """Return the newest films as JSON."""
    return jsonify(films=the_store().list_films(API_LENGTH, request.args.get("before", type=int)))


@routes.get("/api/films/<int:film_id>")
def api_film(film_id: int) -> Response:
    """Return one film as JSON."""
    film = film_or_404(film_id)
    return jsonify(film | {"drawn": _is_drawn(film), "undrawable": _is_undrawable(film)})
