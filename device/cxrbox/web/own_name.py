"""The page answers under its own names alone: another site cannot have its name point here and read what is shown.

Whoever runs a public DNS server may give a name of theirs the address of this box (DNS rebinding); the browser of
somebody in the clinic then takes the box for that site, and hands its films over.
"""

import socket
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import abort, request

from cxrbox.web.context import the_settings

# No public DNS server answers for these: RFC 6762, RFC 6761, RFC 8375, ICANN 2024-07-29, and two that routers use.
LOCAL = (".local", ".localhost", ".home.arpa", ".internal", ".lan", ".localdomain")


def require_own_name() -> None:
    """Refuse a request that was sent to a name which may be somebody else's."""
    if not is_own(request.host, the_settings().dns_name):
        abort(403, "The page is not known under this name. Open it by the box's address, or have dns_name set to it.")


def is_own(host: str, dns_name: str | None) -> bool:
    """Return whether a name is an address, one that only the local network resolves, the machine's, or `dns_name`.

    Parameters
    ----------
    host : str
        As a browser sends it (RFC 9110 7.2), with or without a port.
    dns_name : str or None
        The name that a DNS server has for the page.
    """
    try:
        name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return False
    known = {own.lower().rstrip(".") for own in (socket.gethostname(), dns_name) if own}
    return bool(name) and ("." not in name or name.endswith(LOCAL) or name in known or _is_address(name))


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
