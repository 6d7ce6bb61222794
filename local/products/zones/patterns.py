"""Patterns of routes: checks and normalises them.

https://developers.cloudflare.com/workers/configuration/routing/routes/#validity; code 10022 and its texts were once
documented there ("Invalid Route Pattern").
"""

import re

from local.api.envelope import ApiError
from local.products.zones.zones import HOSTNAME, includes

_PARTS = re.compile(r"(?P<scheme>https?://)?(?P<host>[^/]*)(?P<path>/.*)?", re.IGNORECASE)


def host_of(pattern: str) -> str:
    """Return the host name in a pattern, without its wildcard."""
    return _split(pattern)[1].removeprefix("*").removeprefix(".")


def normalized(pattern: str, zone_name: str) -> str:
    """Normalise a pattern, so that equivalent patterns are equal. Raises ApiError 10022 for an invalid one."""
    scheme, host, path = _split(pattern)
    name = host_of(pattern)
    if "?" in pattern:
        raise _invalid(f"Route pattern should not have query parameters {pattern}")
    if "*" in name or "*" in path.removesuffix("*"):
        where = "at the beginning of the hostname and the end of the path"
        raise _invalid(f"Route pattern may only contain wildcards {where}: {pattern}")
    if not includes(zone_name, name):
        raise _invalid(f"Route pattern must include zone name: {pattern}")
    if not HOSTNAME.fullmatch(name) or re.search(r"[\s#]", path):
        raise _invalid(f"Could not understand route pattern {pattern}, please try a different pattern")
    return f"{scheme}{host}{path}"


def _split(pattern: str) -> tuple[str, str, str]:
    match = _PARTS.match(pattern)
    assert match is not None  # noqa: S101 it matches anything
    return (match["scheme"] or "").lower(), match["host"].lower(), match["path"] or "/"


def _invalid(message: str) -> ApiError:
    return ApiError(400, 10022, message)
