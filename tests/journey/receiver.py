"""A server on this machine that answers each request with what it got, and of a callback with its headers."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class _Echo(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        reply = f"{self.command} {self.path} {self.headers['Content-Type']} {body}".encode()
        if "webhook-id" in self.headers:
            told = [self.headers[f"webhook-{name}"] for name in ("id", "timestamp", "signature")]
            reply += f"\n{json.dumps(told)}".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 the base class's name
        """Keep the tests' output quiet."""


@contextmanager
def receiver() -> Generator[int]:
    """Run the server; give its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Echo)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
