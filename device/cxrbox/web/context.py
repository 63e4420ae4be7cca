"""What a request works with: the settings, a connection to the store, the bundle."""

import sqlite3
import time

from cxrbundle.errors import BundleError
from flask import abort, current_app, g

from cxrbox.errors import ConfigError
from cxrbox.settings import Settings
from cxrbox.web.queries import PageStore
from cxrbox.web.shown_bundle import ShownBundle
from cxrbox.web.words import sentence

# What the store raises when its disk is full, gone or broken.
STORE_ERRORS = (sqlite3.OperationalError, ConfigError)


def the_settings() -> Settings:
    """Return the settings of this box."""
    return current_app.config["SETTINGS"]


def page_seconds() -> float:
    """Return for how long the page has run."""
    return time.monotonic() - current_app.config["STARTED"]


def the_store() -> PageStore:
    """Return this request's connection to the store."""
    if "store" not in g:
        g.store = PageStore(the_settings().state)
    return g.store


def the_bundle() -> ShownBundle:
    """Return what is said of the bundle; an error page where it is refused."""
    try:
        return current_app.extensions["bundle"]()
    except BundleError as err:
        abort(503, sentence(str(err)))


def bundle_digest() -> str | None:
    """Return the hash of the bundle; None where it is refused, as results of another one are shown all the same."""
    try:
        return current_app.extensions["bundle"]().digest
    except BundleError:
        return None


def close_store(_error: BaseException | None) -> None:
    """Close the request's connection."""
    if store := g.pop("store", None):
        store.close()


def film_or_404(film_id: int) -> dict:
    """Return a film; an error page where there is none."""
    film = the_store().film(film_id)
    if film is None:
        abort(404, "There is no such film on this box.")
    return film
