"""Cloudflare's envelope: what every answer is wrapped in, and the errors that end a request."""

from collections.abc import AsyncIterable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import ceil
from typing import Any

from starlette.responses import JSONResponse, Response, StreamingResponse

Json = Any  # what json.loads gives

# The provider repeats 409, 429 and 5xx for minutes unless it is told not to; none of ours gets better by repeating.
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
        self.also = also or []  # further messages, errors of the same code


@dataclass(frozen=True)
class Page:
    """Which part of a list this is. Pages count from 1; a page past the end is empty."""

    number: int
    size: int
    total: int

    def cut(self, items: list[Json]) -> list[Json]:
        """Take this page's items out of the whole list."""
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
    """A successful answer: 200, as Cloudflare does for creates and deletes alike, unless a route is known to differ."""

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
    """A successful answer that is bytes, at once or as they come, outside of the envelope."""

    content: bytes | AsyncIterable[bytes]
    headers: dict[str, str]
    content_type: str = "application/octet-stream"
    status: int = 200

    def response(self) -> Response:
        """Send the bytes as they are."""
        # As a header, and not as a media type, to which a charset would be added.
        headers = {"content-type": self.content_type, **self.headers}
        if isinstance(self.content, bytes):
            return Response(self.content, self.status, headers)
        return StreamingResponse(self.content, self.status, headers)


def error_response(error: ApiError) -> JSONResponse:
    """Wrap an error in the envelope: one short line of JSON, for clients print it as it is."""
    entry: dict[str, Json] = {"code": error.code, "message": error.message}
    if error.chain:
        entry["error_chain"] = [{"code": code, "message": message} for code, message in error.chain]
    if error.meta is not None:
        entry["meta"] = error.meta
    others = [{"code": error.code, "message": message} for message in error.also]
    body = {"result": None, "success": False, "errors": [entry, *others], "messages": []}
    return JSONResponse(body, status_code=error.status, headers=_NO_RETRY)


def now() -> str:
    """Tell the time as Cloudflare writes it: RFC 3339, UTC, microseconds."""
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
