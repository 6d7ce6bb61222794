"""A stand-in for Cloudflare's API, in memory: enough REST for tests that have to see and to spoil each call."""

import json
import re
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

TOKEN = "stand-in-token"  # noqa: S105
ACCOUNT = "0" * 32

Json = dict[str, Any]


@dataclass
class Call:
    method: str
    path: str
    query: dict[str, str]
    body: Any

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class _Kind:
    """A collection: the field of its ids, the field that has to be unique, and the key of its list (newest first)."""

    pattern: str
    id_field: str
    unique: str = ""
    list_key: str = ""


_KINDS = [
    _Kind(r"d1/database", "uuid", "name"),
    _Kind(r"storage/kv/namespaces", "id", "title"),
    _Kind(r"queues", "queue_id", "queue_name"),
    _Kind(r"queues/[^/]+/consumers", "consumer_id"),
    _Kind(r"workers/workers", "id", "name"),
    _Kind(r"workers/workers/[^/]+/versions", "id"),
    _Kind(r"workers/scripts/[^/]+/deployments", "id", list_key="deployments"),
]


@dataclass
class StandInApi:
    """`objects` maps an item's path to it; `calls` lists every call. `fault` may answer a call instead of the API.

    A fault gives (status, message), or None to let the call through. `after` runs once a call has taken effect and
    before it is answered; when it gives True the connection is dropped instead.
    """

    objects: dict[str, Json] = field(default_factory=dict[str, Json])
    calls: list[Call] = field(default_factory=list[Call])
    fault: Callable[[Call], tuple[int, str] | None] = lambda _call: None
    after: Callable[[Call], bool] = lambda _call: False

    def __post_init__(self) -> None:
        self._lock = threading.Lock()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        self._thread.start()

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/client/v4"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def changes(self) -> list[str]:
        """Give the calls that are not reads, as `METHOD path`, and forget them all."""
        made = [str(call) for call in self.calls if call.method != "GET"]
        self.calls.clear()
        return made

    def bodies(self, part: str) -> list[Any]:
        return [call.body for call in self.calls if part in str(call) and call.method != "GET"]

    def find(self, part: str) -> Json:
        return next(item for path, item in self.objects.items() if part in path)

    def _answer(self, call: Call) -> tuple[int, Any]:
        with self._lock:
            self.calls.append(call)
        fault = self.fault(call)
        if fault:
            return fault
        with self._lock:
            return self._apply(call)

    def _apply(self, call: Call) -> tuple[int, Any]:
        if call.path.endswith("/schedules"):
            return self._schedules(call)
        kind = next((kind for kind in _KINDS if re.fullmatch(kind.pattern, call.path)), None)
        if kind:
            return self._collection(call, kind)
        path = self._canonical(call.path)
        if call.method == "PUT" and re.fullmatch(r"workflows/[^/]+", path):  # creates it as well
            self.objects.setdefault(path, {"name": path.rpartition("/")[2], "instances": {}})
        if path not in self.objects:
            return 404, "not found"
        if call.method == "DELETE":
            for inner in [key for key in self.objects if key == path or key.startswith(f"{path}/")]:
                del self.objects[inner]
            return 200, None
        if call.method == "PUT":
            self.objects[path] |= call.body
        return 200, self.objects[path]

    def _collection(self, call: Call, kind: _Kind) -> tuple[int, Any]:
        inside = [item for path, item in self.objects.items() if path.rpartition("/")[0] == call.path]
        if call.method == "GET" and kind.list_key:
            return 200, {kind.list_key: inside[::-1]}
        if call.method == "GET":
            return 200, [
                i for i in inside if not kind.unique or i[kind.unique] == call.query.get("name", i[kind.unique])
            ]
        if kind.unique and any(item[kind.unique] == call.body[kind.unique] for item in inside):
            return 400, f"{call.body[kind.unique]} is taken"
        identity = str(uuid.uuid4())
        made: Json = {**call.body, kind.id_field: identity, "created_on": datetime.now(UTC).isoformat()}
        if "subdomain" in made:
            made["subdomain"] = made["subdomain"] | {"url": f"http://127.0.0.1/{made['name']}"}
        self.objects[f"{call.path}/{identity}"] = made
        return 200, made

    def _schedules(self, call: Call) -> tuple[int, Any]:
        if call.method == "PUT":
            self.objects[call.path] = {"schedules": call.body}
        found = self.objects.get(call.path)
        return (200, found) if found else (404, "not found")

    def _canonical(self, path: str) -> str:
        """Give the path by id of a Worker that is addressed by its name."""
        parent, _, name = path.rpartition("/")
        if parent == "workers/workers":
            return next((key for key, item in self.objects.items() if item.get("name") == name), path)
        return path

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_any(self) -> None:
                url = urlsplit(self.path)
                text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                query = {key: values[0] for key, values in parse_qs(url.query).items()}
                path = url.path.removeprefix(f"/client/v4/accounts/{ACCOUNT}/")
                call = Call(self.command, path, query, json.loads(text) if text else None)
                allowed = self.headers.get("Authorization") == f"Bearer {TOKEN}"
                status, result = api._answer(call) if allowed else (401, "Authentication error")  # pyright: ignore[reportPrivateUsage]
                if api.after(call):
                    self.close_connection = True
                    return
                ok = status < 400
                errors = [] if ok else [{"code": 1000 + status, "message": result}]
                reply = json.dumps({"success": ok, "errors": errors, "messages": [], "result": result if ok else None})
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("x-should-retry", "false")
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply.encode())

            do_GET = do_POST = do_PUT = do_DELETE = handle_any  # noqa: N815

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
                pass

        return Handler
