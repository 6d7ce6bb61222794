"""Routes and the calls they answer.

A path is split before it is decoded: a %2F stays within its segment.
"""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote

from local.control_plane.cloud import Cloud
from local.control_plane.envelope import Json, Page, RawReply, Reply
from local.control_plane.fields import Fields, Invalid


@dataclass(frozen=True)
class Call:
    """One request, already let in."""

    cloud: Cloud
    method: str
    url_path: str
    path: Mapping[str, str]
    query: Mapping[str, list[str]]
    body: bytes
    content_type: str
    user_agent: str

    @property
    def source(self) -> str:
        """Name the kind of client, as versions and deployments do; wrangler warns before it changes what is not its."""
        return "wrangler" if self.user_agent.startswith("wrangler/") else "api"

    def json(self, malformed: Invalid) -> Json:
        """Parse the body whatever its content type says: wrangler labels JSON text/plain.

        Raises what `malformed`, the product's own, makes of a body that is not JSON.
        """
        try:
            return json.loads(self.body or b"null", parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            raise malformed("", f"Request body is not valid JSON: {error}") from error

    def fields(self, invalid: Invalid, malformed: Invalid | None = None) -> Fields:
        """Parse the body as an object; `malformed` is for products that tell such a body from one that does not fit."""
        return Fields(self.json(malformed or invalid), invalid)

    def argument(self, name: str) -> str | None:
        """Read a query parameter; the last one wins when it comes twice."""
        values = self.query.get(name)
        return values[-1] if values else None

    def page(self, total: int, invalid: Invalid, *, size: int, largest: int) -> Page:
        """Read `page` and `per_page`."""
        return Page(self._count("page", 1, None, invalid), self._count("per_page", size, largest, invalid), total)

    def _count(self, name: str, default: int, largest: int | None, invalid: Invalid) -> int:
        text = self.argument(name)
        if text is None or text == "":
            return default
        if not text.isdecimal():
            raise invalid(name, "Expected number, received nan")
        if int(text) < 1:
            raise invalid(name, "Number must be greater than or equal to 1")
        return int(text) if largest is None else min(int(text), largest)


Handler = Callable[[Call], Awaitable[Reply | RawReply]]


@dataclass(frozen=True)
class Route:
    """One line of a product's table: method, path with {names}, and what answers it.

    With `takes_rest`, the last {name} is all that is left of the path, slashes included.
    """

    method: str
    path: str
    handler: Handler
    takes_rest: bool = False


class Router:
    """Finds the route of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = [(route, route.path.strip("/").split("/")) for route in routes]

    def find(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]] | None:
        """Match a percent-encoded path. A literal segment goes before a {name}, so order in a table does not matter."""
        path = raw_path.strip("/")
        matches = [
            (route, template, segments)
            for route, template in self._routes
            if route.method == method and _fits(template, segments := _segments(path, template, route))
        ]
        if not matches:
            return None
        route, template, segments = min(matches, key=lambda match: [_is_name(segment) for segment in match[1]])
        return route, {n[1:-1]: value for n, value in zip(template, segments, strict=True) if _is_name(n)}


def parse_query(raw: bytes) -> dict[str, list[str]]:
    """Decode a query string; a repeated name keeps all its values."""
    return parse_qs(raw.decode("latin-1"), keep_blank_values=True)


def _refuse_constant(name: str) -> None:
    """Refuse NaN and the infinities, which Python reads and JSON does not have."""
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def _segments(path: str, template: list[str], route: Route) -> list[str]:
    splits = len(template) - 1 if route.takes_rest else -1
    return [unquote(segment) for segment in path.split("/", splits)]


def _fits(template: list[str], segments: list[str]) -> bool:
    return len(template) == len(segments) and all(
        (bool(segment) if _is_name(part) else part == segment) for part, segment in zip(template, segments, strict=True)
    )


def _is_name(segment: str) -> bool:
    return segment.startswith("{")
