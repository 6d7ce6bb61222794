"""Routes and the calls that they answer.

A path is split before it is decoded: a key with an encoded "/" (%2F) stays one segment. A {name*} at the end of a
template matches all remaining segments with their slashes.
"""

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import parse_qs, unquote

from local.api import json_text
from local.api.envelope import Json, Page, RawReply, Reply
from local.api.fields import Fields, Invalid
from local.api.request_body import LARGEST_BODY_BYTES
from local.core.cloud import Cloud


@dataclass(frozen=True)
class Call:
    """One authenticated request."""

    cloud: Cloud
    method: str
    url_path: str
    path: Mapping[str, str]
    query: Mapping[str, list[str]]
    body: bytes
    headers: Mapping[str, str]

    @property
    def content_type(self) -> str:
        """The body's content type; empty if the request has none."""
        return self.headers.get("content-type", "")

    @property
    def bearer(self) -> str:
        """The token that the request sent."""
        return self.headers.get("authorization", "").removeprefix("Bearer ")

    @property
    def source(self) -> str:
        """The kind of client, as versions and deployments record it; wrangler warns before it changes others'."""
        return "wrangler" if self.headers.get("user-agent", "").startswith("wrangler/") else "api"

    def chosen_id(self, kind: str, form: re.Pattern[str], invalid: Invalid) -> str | None:
        """Read the id for a new resource, which only the local Cloudflare lets a client choose; None: a random one.

        Raises the product's error for an invalid id, and for one whose deleted resource's data may still be in use.
        """
        chosen = self.headers.get("cf-local-id")
        if chosen is not None and not form.fullmatch(chosen):
            raise invalid("id", f"Expected an id like {form.pattern}, received '{chosen}'")
        if chosen is not None and (kind, chosen) in self.cloud.deleted:
            problem = f"'{chosen}' was deleted since the start: stop the local Cloudflare, start it, and try again"
            raise invalid("id", problem)
        return chosen

    def json(self, malformed: Invalid) -> Json:
        """Parse the body, whatever its content type: wrangler labels JSON text/plain.

        If the body is not JSON, it raises the product's error that `malformed` returns.
        """
        try:
            return json_text.parse(self.body or b"null")
        except ValueError as error:
            raise malformed("", f"Request body is not valid JSON: {error}") from error

    def fields(self, invalid: Invalid, malformed: Invalid | None = None) -> Fields:
        """Parse the body as an object. Products with their own error for a body that is not JSON pass `malformed`."""
        return Fields(self.json(malformed or invalid), invalid)

    def argument(self, name: str) -> str | None:
        """Read a query parameter; if it is repeated, the last one counts."""
        values = self.query.get(name)
        return values[-1] if values else None

    def moment(self, name: str, invalid: Invalid) -> datetime | None:
        """Read a query parameter with a time in RFC 3339; without an offset it is in UTC."""
        text = self.argument(name)
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError as error:
            raise invalid(name, "Invalid datetime") from error
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)

    def page(self, total: int, invalid: Invalid, *, size: int, largest: int) -> Page:
        """Read `page` and `per_page`."""
        return Page(self._count("page", 1, None, invalid), self._count("per_page", size, largest, invalid), total)

    def _count(self, name: str, default: int, largest: int | None, invalid: Invalid) -> int:
        text = self.argument(name)
        if text is None or text == "":
            return default
        count = whole_number(text)
        if count is None:
            raise invalid(name, "Expected number, received nan")
        if count < 1:
            raise invalid(name, "Number must be greater than or equal to 1")
        return count if largest is None else min(count, largest)


Handler = Callable[[Call], Awaitable[Reply | RawReply]]


@dataclass(frozen=True)
class Route:
    """One line of a product's table: method, path with {names}, and the function that answers it."""

    method: str
    path: str
    handler: Handler
    largest_body_bytes: int = LARGEST_BODY_BYTES
    own_token: bool = False  # takes a bearer token of its own, not the API's, and checks it itself


class Router:
    """Finds the route of a request."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._routes = [(route, route.path.strip("/").split("/")) for route in routes]

    def find(self, method: str, raw_path: str) -> tuple[Route, dict[str, str]] | None:
        """Find the route for a percent-encoded path. A literal segment wins over a {name}, in whatever order."""
        segments = [unquote(segment) for segment in raw_path.lstrip("/").split("/")]
        matches = [
            (route, template, cut)
            for route, template in self._routes
            if route.method == method and _fits(template, cut := _cut(segments, template))
        ]
        if not matches:
            return None
        route, template, cut = min(matches, key=lambda match: [_is_name(segment) for segment in match[1]])
        return route, {n.strip("{*}"): value for n, value in zip(template, cut, strict=True) if _is_name(n)}


def whole_number(text: str) -> int | None:
    """Read digits; None for anything else, and for more digits than Python reads."""
    try:
        return int(text) if text.isdecimal() else None
    except ValueError:
        return None


def parse_query(raw: bytes) -> dict[str, list[str]]:
    """Decode a query string; a repeated name keeps all its values."""
    return parse_qs(raw.decode("latin-1"), keep_blank_values=True)


def _cut(segments: list[str], template: list[str]) -> list[str]:
    """Join the segments that a template's {name*} takes; elsewhere a trailing slash is ignored."""
    if template[-1].endswith("*}"):
        before = len(template) - 1
        return [*segments[:before], "/".join(segments[before:])]
    return segments[:-1] if segments[-1] == "" else segments


def _fits(template: list[str], segments: list[str]) -> bool:
    return len(template) == len(segments) and all(
        (bool(segment) if _is_name(part) else part == segment) for part, segment in zip(template, segments, strict=True)
    )


def _is_name(segment: str) -> bool:
    return segment.startswith("{")
