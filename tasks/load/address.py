"""An address that load is sent to: which texts are one, before anything is asked."""

from __future__ import annotations

from urllib.parse import urlsplit

from tasks.base.addresses import forbidden_host


def address_problem(text: str) -> str | None:
    """Why *text* is not ``http://HOST[:PORT]``, as a sentence; None: it is. No name is looked up."""
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return "it is no address: http://HOST[:PORT]"
    if parts.scheme not in ("http", "https") or not host or port == 0 or not text.isprintable() or " " in text:
        return "it is no address: http://HOST[:PORT]"
    if parts.username is not None or parts.password is not None:
        return "an address with a login in it is refused: logins are `accounts`"
    if parts.path.strip("/") or parts.query or parts.fragment:
        return "paths stand in the journeys: http://HOST[:PORT] is enough"
    if forbidden_host(host):
        return "the metadata service of a cloud is never loaded"
    return None
