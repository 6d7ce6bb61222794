"""Refuses requests of web pages: only programs on this computer may use the API.

A page can make a browser send requests to the loopback address. If the page's own host name resolves to 127.0.0.1 (DNS
rebinding), the Host header shows it. A request from another site has an Origin header and, in browsers since 2023,
Sec-Fetch-Site.
"""

from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from local.api.envelope import ApiError

_LOOPBACK_HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})
_HTTP_PORT = 80  # of an address without a port


def check_origin(request: HTTPConnection) -> None:
    """Accept a request to the loopback address and this port that no other site's page sent. Raises ApiError."""
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
    """Return host and port of a URL; no host if it is not a URL, such as the `null` of a page without an origin."""
    try:
        parts = urlsplit(url)
        return parts.hostname, parts.port or _HTTP_PORT
    except ValueError:
        return None, _HTTP_PORT
