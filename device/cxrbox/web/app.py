"""The application: routes and what they show."""

from datetime import datetime
from functools import cache
from importlib.metadata import version

from cxrbundle.errors import BundleError
from cxrbundle.labels import readable
from flask import Flask, Response, abort, current_app, g, jsonify, render_template, request, send_file
from markdown_it import MarkdownIt
from markupsafe import Markup
from werkzeug.exceptions import HTTPException

from cxrbox.maps import unpack_maps
from cxrbox.settings import Settings
from cxrbox.store import Store
from cxrbox.web.heat import draw_heat
from cxrbox.web.shown_bundle import ShownBundle, read_shown_bundle
from cxrbox.web.view import finding_rows, verdict

PAGE_LENGTH = 100
# Nothing comes from elsewhere and nothing goes there, whatever a page might contain.
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def create_app(settings: Settings) -> Flask:
    """Return the application for one box."""
    app = Flask(__name__)
    app.config["SETTINGS"] = settings
    # Read at the first request that asks: the reader, not the page, ends a box whose bundle is refused.
    app.extensions["bundle"] = cache(lambda: read_shown_bundle(settings))
    app.jinja_env.globals.update(
        release=version("cxrbox"), readable=readable, verdict=verdict, finding_rows=finding_rows
    )
    app.jinja_env.filters.update(local_time=local_time, percent=percent, sentence=sentence)
    app.add_url_rule("/", view_func=show_list)
    app.add_url_rule("/rows", view_func=show_rows)
    app.add_url_rule("/films/<int:film_id>", view_func=show_film)
    app.add_url_rule("/films/<int:film_id>/picture.jpg", view_func=send_picture)
    app.add_url_rule("/films/<int:film_id>/heat/<finding>.png", view_func=send_heat)
    app.add_url_rule("/about", view_func=show_about)
    app.add_url_rule("/api/films", view_func=api_films)
    app.add_url_rule("/api/films/<int:film_id>", view_func=api_film)
    app.add_url_rule("/api/health", view_func=api_health)
    app.register_error_handler(HTTPException, show_error)
    app.after_request(add_headers)
    app.teardown_appcontext(close_store)
    return app


def _settings() -> Settings:
    return current_app.config["SETTINGS"]


def _store() -> Store:
    """Return this request's connection to the store."""
    if "store" not in g:
        g.store = Store(_settings().state)
    return g.store


def _bundle() -> ShownBundle:
    """Return what is said of the bundle; an error page where it is refused."""
    try:
        return current_app.extensions["bundle"]()
    except BundleError as err:
        abort(503, sentence(str(err)))


def close_store(_error: BaseException | None) -> None:
    """Close the request's connection."""
    if store := g.pop("store", None):
        store.close()


def add_headers(response: Response) -> Response:
    """Add the security headers; results must never be shown from a cache."""
    response.headers.update(SECURITY_HEADERS)
    response.headers.setdefault("Cache-Control", "no-cache")
    return response


def local_time(moment: str | None) -> str:
    """Return a stored UTC time as the box's local time."""
    return datetime.fromisoformat(moment).astimezone().strftime("%Y-%m-%d %H:%M:%S") if moment else ""


def percent(share: float) -> str:
    """Return a likelihood for people: a digit more where it is small."""
    if share < 0.001:
        return "< 0.1 %"
    return f"{share:.1%}".replace("%", " %") if share < 0.1 else f"{share:.0%}".replace("%", " %")


def sentence(reason: str) -> str:
    """Return a reason as a sentence of its own."""
    return f"{reason[:1].upper()}{reason[1:]}."


def _film_or_404(film_id: int) -> dict:
    film = _store().film(film_id)
    if film is None:
        abort(404, "There is no such film on this box.")
    return film


def _list() -> dict:
    """Return what the list shows; a page further back where `before` asks for it."""
    before = request.args.get("before", type=int)
    films = _store().list_films(PAGE_LENGTH + 1, before)
    older = films[PAGE_LENGTH - 1]["id"] if len(films) > PAGE_LENGTH else None
    return {"films": films[:PAGE_LENGTH], "counts": _store().counts(), "older": older, "before": before}


def show_list() -> str:
    """Show the films, the newest first."""
    return render_template("list.html", **_list(), folder=_settings().films.resolve())


def show_rows() -> Response:
    """Return the rows of the list alone; 304 where nothing changed, so that an open page may ask often."""
    response = Response(status=304)
    etag = f"{_store().version()}"
    if not request.if_none_match.contains(etag):
        response = Response(render_template("_rows.html", **_list()))
    response.set_etag(etag)
    return response


def show_film(film_id: int) -> str:
    """Show one film: its findings against their thresholds, and the heat map of the chosen one."""
    film = _film_or_404(film_id)
    rows = finding_rows(film["reading"]["findings"]) if film["reading"] else []
    chosen = request.args.get("finding")
    if rows and chosen not in [row.name for row in rows]:
        chosen = rows[0].name
    return render_template(
        "film.html",
        film=film,
        rows=rows,
        chosen=chosen,
        without_heat=_findings_without_heat(film),
        other_names=_store().other_names(film_id),
        drawn=film["sha256"] is not None and _store().picture_path(film["sha256"]).exists(),
    )


def _findings_without_heat(film: dict) -> set[str]:
    """Return the findings for which nothing in the film speaks, so that their heat maps are empty."""
    packed = _store().maps(film["id"])
    if packed is None:
        return set()
    maps = unpack_maps(packed)
    return {name for name, one in zip(film["reading"]["findings"], maps, strict=True) if one.max() <= 0}


def send_picture(film_id: int) -> Response:
    """Send the picture of a film."""
    film = _film_or_404(film_id)
    path = _store().picture_path(film["sha256"] or "none")
    if not path.exists():
        abort(404, "The film's picture is not drawn yet.")
    return send_file(path.resolve(), mimetype="image/jpeg", max_age=3600)


def send_heat(film_id: int, finding: str) -> Response:
    """Send the heat map of one finding as a transparent PNG, to be laid over the picture."""
    film, maps = _film_or_404(film_id), _store().maps(film_id)
    names = list(film["reading"]["findings"]) if film["reading"] else []
    if maps is None or finding not in names:
        abort(404, "There is no heat map of that finding for this film.")
    return Response(draw_heat(unpack_maps(maps)[names.index(finding)]), mimetype="image/png")


def show_about() -> str:
    """Show why the bundle is trusted, the model's card and the limits of the box."""
    bundle = _bundle()
    if bundle.card is None:
        abort(503, "The bundle has no card.")
    # What a bundle brings is text: its tags are shown, never obeyed.
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    return render_template("about.html", bundle=bundle, card=Markup(markdown.render(bundle.card)))


def api_films() -> Response:
    """Return the newest films as JSON."""
    return jsonify(films=_store().list_films(PAGE_LENGTH, request.args.get("before", type=int)))


def api_film(film_id: int) -> Response:
    """Return one film as JSON."""
    return jsonify(_film_or_404(film_id))


def api_health() -> Response:
    """Return what the box is doing, as JSON."""
    bundle = _bundle()
    return jsonify(release=version("cxrbox"), films=_store().counts(), bundle=bundle.title, bundle_trust=bundle.trust)


def show_error(error: HTTPException):
    """Show an error: in one JSON shape for programs, as a page for people."""
    if request.path.startswith("/api/"):
        return jsonify(error={"code": error.code, "message": error.description}), error.code
    return render_template("error.html", error=error), error.code
