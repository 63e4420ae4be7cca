"""Only the box's own pages may change anything: whoever else a browser works for is turned away."""

from urllib.parse import urlsplit

from flask import abort, request

SAFE = {"GET", "HEAD", "OPTIONS"}


def require_own_origin() -> None:
    """Refuse a change that was not sent from a page of this box (a request forged by another site).

    Browsers say where a form or script was loaded from in `Origin`, and, over TLS, in `Sec-Fetch-Site`. The scheme is
    not compared: behind a proxy the box does not know its own.
    """
    if request.method in SAFE:
        return
    site = request.headers.get("Sec-Fetch-Site", "same-origin")
    origin = urlsplit(request.headers.get("Origin", ""))
    if site != "same-origin" or not origin.netloc or origin.netloc != request.host:
        abort(403, "This can only be sent from the box's own page; open it there and try again.")
