"""Who may ask: programs on this machine, and not the web pages that its user looks at.

A page can make a browser send requests to loopback. A name of its own that resolves to 127.0.0.1 (DNS rebinding) shows
in Host; a request from another site shows in Origin and, of browsers since 2023, in Sec-Fetch-Site.
"""

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from local.api.envelope import ApiError

_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_HTTP_PORT = 80  # of an address that names none


def check_origin(request: HTTPConnection) -> None:
    """Let in who asks for loopback and this very port, and is no page of another site. Raises ApiError."""
    headers = request.headers
    _, port = request.scope["server"]
    origin = headers.get("origin")
    if (
        _address(f"//{headers.get('host', '')}") not in {(host, port) for host in _LOOPBACK_HOSTS}
        or (origin is not None and _address(origin)[0] not in _LOOPBACK_HOSTS)
        or headers.get("sec-fetch-site") == "cross-site"
    ):
        raise ApiError(403, 10000, "Authentication error: the local Cloudflare answers callers on this machine only")


def _address(url: str) -> tuple[str | None, int]:
    """Read host and port of an URL; no host when it is none, as the `null` of a page without an origin."""
    try:
        parts = urlsplit(url)
        return parts.hostname, parts.port or _HTTP_PORT
    except ValueError:
        return None, _HTTP_PORT
