"""Cloudflare's envelope: the JSON around every answer, and the errors that end a request."""

from collections.abc import AsyncIterable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Any

from starlette.responses import JSONResponse, Response, StreamingResponse

Json = Any  # what json.loads returns

# The provider repeats 409, 429 and 5xx for minutes unless told not to; for our errors repeating is useless.
_NO_RETRY = {"x-should-retry": "false"}


class ApiError(Exception):
    """A request that Cloudflare refuses: HTTP status, Cloudflare's code, and its text."""

    def __init__(
        self,
        status: int,
        code: int,
        message: str,
        *,
        chain: list[tuple[int, str]] | None = None,
        meta: dict[str, Json] | None = None,
        also: list[str] | None = None,
    ) -> None:
        super().__init__(f"{message} [code: {code}]")
        self.status = status
        self.code = code
        self.message = message
        self.chain = chain or []
        self.meta = meta
        self.also = also or []  # further messages, which are errors with the same code


@dataclass(frozen=True)
class Page:
    """A part of a list. Pages count from 1; a page past the end is empty."""

    number: int
    size: int
    total: int

    def cut(self, items: list[Json]) -> list[Json]:
        """Return this page's items of the whole list."""
        start = (self.number - 1) * self.size
        return items[start : start + self.size]

    def info(self, count: int) -> dict[str, int]:
        """Describe the page as `result_info`."""
        return {
            "page": self.number,
            "per_page": self.size,
            "count": count,
            "total_count": self.total,
            "total_pages": ceil(self.total / self.size),
        }


@dataclass(frozen=True)
class Reply:
    """A successful answer. Its status is 200, for creates and deletes too, unless a route is known to differ."""

    result: Json
    info: dict[str, Json] | None = None
    messages: tuple[dict[str, Json], ...] = ()
    status: int = 200

    def response(self) -> JSONResponse:
        """Wrap the result in the envelope."""
        body: dict[str, Json] = {"result": self.result, "success": True, "errors": [], "messages": list(self.messages)}
        if self.info is not None:
            body["result_info"] = self.info
        return JSONResponse(body, status_code=self.status)


@dataclass(frozen=True)
class RawReply:
    """A successful answer without the envelope: bytes, complete or as a stream."""

    content: bytes | AsyncIterable[bytes]
    headers: dict[str, str]
    content_type: str = "application/octet-stream"
    status: int = 200

    def response(self) -> Response:
        """Send the bytes as they are."""
        # Set as a header, because a charset would be added to a media type.
        headers = {"content-type": self.content_type, **self.headers}
        if isinstance(self.content, bytes):
            return Response(self.content, self.status, headers)
        return StreamingResponse(self.content, self.status, headers)


def error_response(error: ApiError) -> JSONResponse:
    """Wrap an error in the envelope: one short line of JSON, because clients print it unchanged."""
    entry: dict[str, Json] = {"code": error.code, "message": error.message}
    if error.chain:
        entry["error_chain"] = [{"code": code, "message": message} for code, message in error.chain]
    if error.meta is not None:
        entry["meta"] = error.meta
    others = [{"code": error.code, "message": message} for message in error.also]
    body = {"result": None, "success": False, "errors": [entry, *others], "messages": []}
    return JSONResponse(body, status_code=error.status, headers=_NO_RETRY)


def now() -> str:
    """Return the present time as Cloudflare writes it: RFC 3339, UTC, microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
