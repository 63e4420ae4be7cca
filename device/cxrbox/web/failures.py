"""Errors: in one JSON shape for programs, as a page with one sentence for people."""

import logging
import sqlite3

from flask import Flask, jsonify, render_template, request
from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound, ServiceUnavailable

from cxrbox.errors import ConfigError
from cxrbox.retention import disk_status
from cxrbox.web.context import STORE_ERRORS, the_settings

log = logging.getLogger(__name__)


class InsufficientStorage(HTTPException):
    """The disk of the box is full."""

    code = 507
    description = "The disk of the box is full, so nothing was kept. Free some space on it, then send it again."


# Instead of the sentences of the library, which speak of URLs.
PLAIN = {
    NotFound.description: "There is no such page on this box.",
    MethodNotAllowed.description: "This address is no page of its own; go back to the one you came from.",
}


def handle_failures(app: Flask) -> None:
    """Have an application show every error so."""
    app.register_error_handler(HTTPException, show_error)
    app.register_error_handler(OverflowError, show_no_such_number)
    for kind in (*STORE_ERRORS, sqlite3.DatabaseError, OSError):
        app.register_error_handler(kind, show_store_failure)


def show_error(error: HTTPException):
    """Show an error."""
    if error.description in PLAIN:
        error.description = PLAIN[error.description]
    # RFC 9110 15.5.6.
    headers = {"Allow": ", ".join(error.valid_methods)} if getattr(error, "valid_methods", None) else {}
    if request.path.startswith("/api/"):
        return jsonify(error={"code": error.code, "message": error.description}), error.code, headers
    return render_template("error.html", error=error), error.code, headers


def show_no_such_number(_: OverflowError):
    """Show that a number is larger than any that SQLite keeps."""
    return show_error(NotFound("There is no such film on this box."))


def show_store_failure(err: sqlite3.OperationalError | ConfigError | OSError):
    """Show that the state folder could not be used; what was being kept is not half kept.

    A full disk has many errors, from its own to SQLite's that a file cannot be opened: the disk is asked.
    """
    # Not SQLite's own words: of a damaged database they may quote what it holds of a patient.
    why = (
        err
        if isinstance(err, ConfigError)
        else getattr(err, "strerror", None) or getattr(err, "sqlite_errorname", None)
    )
    log.warning("a request failed on the state folder: %s", why or type(err).__name__)
    if disk_status(the_settings())["level"] == "full":
        return show_error(InsufficientStorage())
    return show_error(ServiceUnavailable("The state folder of the box cannot be used now; try again in a moment."))
