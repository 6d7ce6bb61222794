"""A task runner that says what a test tells it to say, over real HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

TASK: dict[str, Any] = {
    "taskId": "t1",
    "status": "completed",
    "handler": "default",
    "run": 1,
    "attempts": 1,
    "crashes": 0,
    "maxRetries": 5,
    "group": None,
    "priority": "normal",
    "waitingFor": None,
    "tags": {},
    "progress": {"percent": 50, "note": "half"},
    "result": {"camelCase": 1, "snake_case": [2]},
    "error": None,
    "createdAt": "2026-11-22T10:00:00.000Z",
    "startedAt": "2026-11-22T10:00:01.000Z",
    "finishedAt": "2026-11-22T10:00:02.500Z",
    "nextAttemptAt": None,
    "expiresAt": "2026-11-23T10:00:00.000Z",
    "callback": None,
    "parent": None,
    "after": None,
}
PENDING = TASK | {"status": "pending", "progress": None, "result": None, "startedAt": None, "finishedAt": None}


@dataclass(frozen=True)
class Request:
    """What was asked."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """What to say: JSON, or a body as it is, or a stream in pieces."""

    json: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict[str, str])
    body: bytes | None = None
    pieces: list[bytes] | None = None
    is_cut: bool = False
    """Whether the stream ends before its end."""


class StandIn:
    """Answers each request with the next of its replies, the last one again and again."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.replies: list[Reply] = []
        self.requests: list[Request] = []

    def next_reply(self) -> Reply:
        """Take it."""
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@contextmanager
def stand_in() -> Generator[StandIn]:
    """Run one."""
    server = _Server(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.stand_in
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def event(task: Mapping[str, Any]) -> bytes:
    """Make an event of a task's stream."""
    return f"event: task\ndata: {json.dumps(task)}\n\n".encode()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.stand_in = StandIn(f"http://127.0.0.1:{self.server_port}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        runner = cast("_Server", self.server).stand_in
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = parse_qs(url.query, keep_blank_values=True)
        runner.requests.append(Request(self.command, url.path, query, dict(self.headers), body))
        reply = runner.next_reply()
        self.send_response(reply.status)
        for key, value in reply.headers.items():
            self.send_header(key, value)
        if reply.pieces is None:
            self._send_whole(reply)
        else:
            self._send_pieces(reply)

    do_GET = do_POST = do_PUT = do_DELETE = _answer  # noqa: N815 http.server's names

    def _send_whole(self, reply: Reply) -> None:
        content = json.dumps(reply.json).encode() if reply.body is None else reply.body
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _send_pieces(self, reply: Reply) -> None:
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in reply.pieces or []:
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
            self.wfile.flush()
        if reply.is_cut:
            self.close_connection = True
        else:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 http.server's names
        """Say nothing."""
