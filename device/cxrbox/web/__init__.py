"""The page: a Flask application over the store, served by waitress. It decodes no film and needs no device."""

from cxrbox.web.app import create_app
from cxrbox.web.server import run_web

__all__ = ["create_app", "run_web"]
