"""The application: put together from what it serves."""

import time
from functools import cache
from importlib.metadata import version

from cxrbundle.labels import readable
from flask import Flask, Response

from cxrbox.settings import Settings
from cxrbox.web import exports, films, health, notices, records, scan, texts, upload
from cxrbox.web.context import close_store
from cxrbox.web.failures import handle_failures
from cxrbox.web.notices import current_notices, current_sticks
from cxrbox.web.own_name import require_own_name
from cxrbox.web.own_origin import require_own_origin
from cxrbox.web.shown_bundle import read_shown_bundle
from cxrbox.web.view import finding_rows, verdict
from cxrbox.web.words import duration, local_time, percent, sentence

# Nothing comes from elsewhere and nothing goes there, whatever a page might contain.
SECURITY_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    # With "no-referrer" browsers hide from the box itself which page a form was sent from.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def create_app(settings: Settings) -> Flask:
    """Return the application for one box."""
    app = Flask(__name__)
    app.config.update(SETTINGS=settings, STARTED=time.monotonic())
    # Read at the first request that asks: the reader, not the page, ends a box whose bundle is refused.
    app.extensions["bundle"] = cache(lambda: read_shown_bundle(settings))
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.jinja_env.globals.update(
        release=version("cxrbox"),
        readable=readable,
        verdict=verdict,
        finding_rows=finding_rows,
        current_notices=current_notices,
        current_sticks=current_sticks,
        settings=settings,
    )
    app.jinja_env.filters.update(local_time=local_time, percent=percent, sentence=sentence, duration=duration)
    for part in (films, records, upload, scan, health, notices, exports, texts):
        app.register_blueprint(part.routes)
    app.before_request(require_own_name)
    app.before_request(require_own_origin)
    app.after_request(add_headers)
    app.teardown_appcontext(close_store)
    handle_failures(app)
    return app


def add_headers(response: Response) -> Response:
    """Add the security headers; results must never be shown from a cache."""
    response.headers.update(SECURITY_HEADERS)
    response.headers.setdefault("Cache-Control", "no-cache")
    return response
