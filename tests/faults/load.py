"""Clients that go on while everything around them dies: tasks, and writes of every kind that an account has."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.faults.cloud import Cloud
from tests.faults.runners import Runner
from tests.local.rest import version

KEY, ROW, MESSAGE, COUNT, INSTANCE = "KV key", "D1 row", "message", "object's count", "workflow instance"

LEASE_MS = 2_000
"""A pull whose answer was lost keeps its messages from others for so long."""

WRITER = (Path(__file__).parent / "writer.js").read_text()

_CALL_SECONDS = 30
_PAUSE_SECONDS = 0.1  # two cores are shared with what is under test
_POLL_SECONDS = 0.02
_INSTANCES_POLL_SECONDS = 0.5


class Load:
    """A KV namespace, a database, a queue, an object and a workflow beside the deployed task runners, with clients."""

    def __init__(self, cloud: Cloud, runners: list[Runner], name: str) -> None:
        self.cloud = cloud
        self.ledger = cloud.ledger
        self.runners = runners
        self._stopping = threading.Event()
        self._workflow = name
        self.namespace = cloud.must("POST", "/storage/kv/namespaces", {"title": name})["id"]
        self.database = cloud.must("POST", "/d1/database", {"name": name})["uuid"]
        self.queue = cloud.must("POST", "/queues", {"queue_name": name})["queue_id"]
        settings = {"max_retries": 100, "visibility_timeout_ms": LEASE_MS}
        cloud.must("POST", f"/queues/{self.queue}/consumers", {"type": "http_pull", "settings": settings})
        self.query("CREATE TABLE written (name TEXT)")
        worker = cloud.must("POST", "/workers/workers", {"name": name, "subdomain": {"enabled": True}})
        body = version(
            WRITER,
            bindings=[{"type": "durable_object_namespace", "name": "COUNTER", "class_name": "Counter"}],
            exports={"Counter": {"type": "durable-object", "storage": "sqlite"}},
        )
        cloud.must("POST", f"/workers/workers/{worker['id']}/versions?deploy=true", body)
        cloud.must("PUT", f"/workflows/{name}", {"class_name": "Flow", "script_name": name})
        self._counter_url: str = worker["subdomain"]["url"]

    @contextmanager
    def running(self) -> Generator[None]:
        """Keep the clients going; an exception in one of them is raised at the end."""
        clients = [self._put, self._insert, self._push, self._pull, self._count, self._start_instance]
        clients += [client for runner in self.runners for client in (runner.submit, runner.look)]
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
            time.sleep(_POLL_SECONDS)

    def rows(self) -> list[str]:
        """List all rows."""
        return [row["name"] for row in self.query("SELECT name FROM written")]

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

    def count(self) -> int:
        """Read what the object has counted to."""
        return httpx.get(self._counter_url, timeout=_CALL_SECONDS, trust_env=False).raise_for_status().json()

    def incomplete_instances(self, seconds: float) -> dict[str, str | None]:
        """Wait for the workflow's instances; give those that did not complete: their status, None if it is lost."""
        deadline = time.monotonic() + seconds
        while True:
            statuses = self._instances()
            incomplete = {
                instance: statuses.get(instance)
                for instance in self.ledger.names(INSTANCE)
                if statuses.get(instance) != "complete"
            }
            if None in incomplete.values() or not incomplete or time.monotonic() > deadline:
                return incomplete
            time.sleep(_INSTANCES_POLL_SECONDS)

    def drain(self, seconds: float) -> None:
        """Pull until the queue is empty, those that were leased by the dead included."""
        deadline = time.monotonic() + seconds
        while self.cloud.must("GET", f"/queues/{self.queue}/metrics")["backlog_count"] > 0:
            assert time.monotonic() < deadline, "the queue does not empty"
            self._pull(0)
            time.sleep(_POLL_SECONDS)

    def dead_letters(self, expected: set[str], seconds: float) -> set[str]:
        """Name the tasks of all dead letters, once those expected are there or the time is up.

        A task has failed before its dead letter is written: where its process died in between, its message comes again.
        """
        deadline = time.monotonic() + seconds
        found = self._pulled_dead_letters()
        while not expected <= found and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            found |= self._pulled_dead_letters()
        return found

    def _pulled_dead_letters(self) -> set[str]:
        task_ids: set[str] = set()
        for queue in self.cloud.must("GET", "/queues?per_page=100"):
            path = f"/queues/{queue['queue_id']}/messages/pull"
            while "-dlq-" in queue["queue_name"] and (
                letters := self.cloud.must("POST", path, {"batch_size": 100})["messages"]
            ):
                task_ids |= {json.loads(base64.b64decode(letter["body"]))["taskId"] for letter in letters}
        return task_ids

    def _repeat(self, client: Callable[[int], bool]) -> None:
        number = 0
        while not self._stopping.is_set():
            number += 1
            client(number)
            time.sleep(_PAUSE_SECONDS)

    def _write(self, kind: str, number: int, method: str, path: str, body: Callable[[str], Any]) -> bool:
        name = f"{kind}-{number}"
        self.ledger.begin(kind)
        accepted = self.cloud.accepts(method, path.format(name=name), body(name))
        if accepted:
            self.ledger.acknowledge(kind, name)
        return accepted

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

    def _count(self, _number: int) -> bool:
        self.ledger.begin(COUNT)
        try:
            reply = httpx.post(self._counter_url, timeout=_CALL_SECONDS, trust_env=False)
        except httpx.TransportError:
            return False
        if reply.is_success:
            self.ledger.acknowledge(COUNT, reply.text)
        return reply.is_success

    def _start_instance(self, _number: int) -> bool:
        self.ledger.begin(INSTANCE)
        made = self.cloud.call("POST", f"/workflows/{self._workflow}/instances", {})
        if made is not None:
            self.ledger.acknowledge(INSTANCE, made["id"])
        return made is not None

    def _instances(self) -> dict[str, str]:
        """List all instances with their status."""
        statuses: dict[str, str] = {}
        page = 1
        while instances := self.cloud.must("GET", f"/workflows/{self._workflow}/instances?per_page=100&page={page}"):
            statuses |= {instance["id"]: instance["status"] for instance in instances}
            page += 1
        return statuses

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
