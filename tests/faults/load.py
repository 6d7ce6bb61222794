"""Clients that go on while everything around them dies: tasks, KV keys, D1 rows and messages."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import httpx

from local.credentials import LOCAL_ACCOUNT_ID, LOCAL_API_TOKEN
from ops.client import TaskRunnerClient
from ops.errors import TaskNotFoundError, TaskRunnerError
from tests.faults.ledger import Ledger

TASK, KEY, ROW, MESSAGE = "task", "KV key", "D1 row", "message"

LEASE_MS = 2_000
"""A pull whose answer was lost keeps its messages from others for so long."""

_CALL_SECONDS = 30
_PAUSE_SECONDS = 0.02  # two cores are shared with what is under test
_ERROR_PAUSE_SECONDS = 0.05


class Cloud:
    """The account's REST API; every answer is Cloudflare's envelope, an error's too."""

    def __init__(self, base_url: str, ledger: Ledger) -> None:
        self.ledger = ledger
        self._http = httpx.Client(
            base_url=f"{base_url}/accounts/{LOCAL_ACCOUNT_ID}",
            headers={"Authorization": f"Bearer {LOCAL_API_TOKEN}"},
            timeout=_CALL_SECONDS,
            trust_env=False,
        )

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request; None when it was refused or nobody answered."""
        answer = self.envelope(method, path, body)
        return answer["result"] if answer is not None and answer["success"] else None

    def accepts(self, method: str, path: str, body: Any = None) -> bool:
        """Send a request, and tell whether it was acknowledged."""
        answer = self.envelope(method, path, body)
        return answer is not None and answer["success"]

    def envelope(self, method: str, path: str, body: Any = None) -> dict[str, Any] | None:
        """Send a request and give the whole envelope; None when nobody answered."""
        try:
            reply = self._http.request(method, path, json=body)
        except httpx.TransportError:
            return None
        try:
            answer: dict[str, Any] = reply.json()
            has_errors = bool(answer["errors"])
        except (ValueError, KeyError, TypeError):
            self.ledger.complain(f"{method} {path}: {reply.status_code} {reply.text[:200]!r} is no envelope")
            return None
        if has_errors == reply.is_success or answer["success"] != reply.is_success:
            self.ledger.complain(f"{method} {path}: {reply.status_code} {reply.text[:200]!r} contradicts itself")
        return answer

    def must(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request that must be answered with success."""
        answer = self.envelope(method, path, body)
        assert answer is not None, f"nobody answered {method} {path}"
        assert answer["success"], f"{method} {path}: {answer}"
        return answer["result"]


class Load:
    """A KV namespace, a database and a queue of its own beside the deployed task runner, and clients for all four."""

    def __init__(self, cloud: Cloud, url: str, name: str) -> None:
        self.cloud = cloud
        self.ledger = cloud.ledger
        self.url = url
        self._stopping = threading.Event()
        self.namespace = cloud.must("POST", "/storage/kv/namespaces", {"title": name})["id"]
        self.database = cloud.must("POST", "/d1/database", {"name": name})["uuid"]
        self.queue = cloud.must("POST", "/queues", {"queue_name": name})["queue_id"]
        settings = {"max_retries": 100, "visibility_timeout_ms": LEASE_MS}
        cloud.must("POST", f"/queues/{self.queue}/consumers", {"type": "http_pull", "settings": settings})
        self.query("CREATE TABLE written (name TEXT)")

    @contextmanager
    def running(self) -> Generator[None]:
        """Keep the clients going; an exception in one of them is raised at the end."""
        clients = (self._submit, self._poll, self._put, self._insert, self._push, self._pull)
        self._stopping.clear()
        with ThreadPoolExecutor(len(clients)) as pool:
            futures = [pool.submit(self._repeat, client) for client in clients]
            try:
                yield
            finally:
                self._stopping.set()
        for future in futures:
            future.result()

    def query(self, sql: str, parameters: list[Any] | None = None) -> list[dict[str, Any]]:
        """Run a statement that must succeed."""
        body = {"sql": sql, "params": parameters or []}
        return self.cloud.must("POST", f"/d1/database/{self.database}/query", body)[0]["results"]

    def wait_until_served(self, seconds: float) -> None:
        """Wait until the data plane answers a query."""
        deadline = time.monotonic() + seconds
        while not self.cloud.accepts("POST", f"/d1/database/{self.database}/query", {"sql": "SELECT 1"}):
            assert time.monotonic() < deadline, f"no query was answered within {seconds} s"
            time.sleep(_PAUSE_SECONDS)

    def keys(self) -> set[str]:
        """List all keys."""
        names: set[str] = set()
        cursor = ""
        while True:
            path = f"/storage/kv/namespaces/{self.namespace}/keys?limit=1000&cursor={cursor}"
            answer = self.cloud.envelope("GET", path)
            assert answer is not None
            names |= {key["name"] for key in answer["result"]}
            cursor = answer["result_info"]["cursor"]
            if not cursor:
                return names

    def drain(self, seconds: float) -> None:
        """Pull until the queue is empty, those that were leased by the dead included."""
        deadline = time.monotonic() + seconds
        while self.cloud.must("GET", f"/queues/{self.queue}/metrics")["backlog_count"] > 0:
            assert time.monotonic() < deadline, "the queue does not empty"
            self._pull(0)
            time.sleep(_PAUSE_SECONDS)

    def _repeat(self, client: Callable[[int], bool]) -> None:
        number = 0
        while not self._stopping.is_set():
            number += 1
            time.sleep(_PAUSE_SECONDS if client(number) else _ERROR_PAUSE_SECONDS)

    def _write(self, kind: str, number: int, method: str, path: str, body: Callable[[str], Any]) -> bool:
        name = f"{kind}-{number}"
        self.ledger.begin(kind)
        accepted = self.cloud.accepts(method, path.format(name=name), body(name))
        if accepted:
            self.ledger.acknowledge(kind, name)
        return accepted

    def _submit(self, number: int) -> bool:
        self.ledger.begin(TASK)
        try:
            with TaskRunnerClient(self.url) as client:
                self.ledger.acknowledge(TASK, client.submit({"number": number}).task_id)
        except TaskRunnerError:
            return False
        return True

    def _poll(self, number: int) -> bool:
        """Read one of the last tasks: whatever was acknowledged is there at any time."""
        tasks = self.ledger.names(TASK)
        if not tasks:
            return False
        task_id = tasks[-1 - number % min(10, len(tasks))]
        try:
            with TaskRunnerClient(self.url) as client:
                client.get(task_id)
        except TaskNotFoundError:
            self.ledger.complain(f"task {task_id} was acknowledged and is not there")
        except TaskRunnerError:
            return False
        return True

    def _put(self, number: int) -> bool:
        path = f"/storage/kv/namespaces/{self.namespace}/bulk"
        return self._write(KEY, number, "PUT", path, lambda name: [{"key": name, "value": name}])

    def _insert(self, number: int) -> bool:
        sql = "INSERT INTO written VALUES (?)"
        path = f"/d1/database/{self.database}/query"
        return self._write(ROW, number, "POST", path, lambda name: {"sql": sql, "params": [name]})

    def _push(self, number: int) -> bool:
        path = f"/queues/{self.queue}/messages"
        return self._write(MESSAGE, number, "POST", path, lambda name: {"body": name, "content_type": "text"})

    def _pull(self, _number: int) -> bool:
        body = {"batch_size": 100, "visibility_timeout_ms": LEASE_MS}
        pulled = self.cloud.call("POST", f"/queues/{self.queue}/messages/pull", body)
        if not pulled or not pulled["messages"]:
            return False
        for message in pulled["messages"]:
            self.ledger.pull(message["body"])
        acks = [{"lease_id": message["lease_id"]} for message in pulled["messages"]]
        settled = self.cloud.call("POST", f"/queues/{self.queue}/messages/ack", {"acks": acks})
        if settled and settled["ackCount"] == len(acks) and not settled["warnings"]:  # else a lease was over by then
            self.ledger.settle([message["body"] for message in pulled["messages"]])
        return True
