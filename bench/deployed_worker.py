"""A task runner's Worker on the local Cloudflare, however it was deployed, known only by its name and the API."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import httpx

from bench.cloud import Json, LocalCloud
from bench.processes import cpu_seconds
from bench.system import Ability

COUNT_COMPLETED = "SELECT count(*) AS tasks FROM tasks WHERE status = 'completed'"
COUNT_ATTEMPTS = "SELECT coalesce(sum(attempts), 0) AS attempts FROM tasks WHERE status = 'completed'"


class DeployedWorker:
    """A Worker with its queues and databases."""

    durability = "task and message, with an fsync of each: a crash loses nothing"

    def __init__(self, name: str, cloud: LocalCloud, worker_name: str) -> None:
        self.name = name
        self.cloud = cloud
        self.worker_name = worker_name
        self.headers: Mapping[str, str] = {}
        self.abilities: frozenset[Ability] = frozenset()

    @property
    def url(self) -> str:
        """Its address."""
        return self.cloud.worker_url(self.worker_name)

    def version(self) -> dict[str, Json]:
        """Return its latest version, with the code."""
        return self.cloud.get(f"/workers/workers/{self.worker_name}/versions/latest?include=modules")

    @cached_property
    def queue_ids(self) -> list[str]:
        """The ids of the queues that it consumes."""
        queues = self.cloud.get("/queues?per_page=1000")
        return [
            queue["queue_id"]
            for queue in queues
            if any(consumer.get("script") == self.worker_name for consumer in queue["consumers"])
        ]

    @cached_property
    def database_ids(self) -> list[str]:
        """The ids of the D1 databases that it binds."""
        return [binding["database_id"] for binding in self.version()["bindings"] if binding["type"] == "d1"]

    def look_again(self) -> None:
        """Forget its queues and databases, after a deployment that may have changed them."""
        for name in ("queue_ids", "database_ids"):
            self.__dict__.pop(name, None)

    def hold(self) -> None:
        """Pause the delivery of its queues."""
        self._pause(is_paused=True)

    def release(self) -> None:
        """Resume the delivery of its queues."""
        self._pause(is_paused=False)

    def backlog(self) -> int:
        """Count messages in its queues: a message stays until its batch has been worked off."""
        metrics = [self.cloud.get(f"/queues/{queue_id}/metrics") for queue_id in self.queue_ids]
        return sum(each["backlog_count"] for each in metrics)

    def completed(self) -> int:
        """Count completed tasks, in the databases or page by page through the API."""
        if self.database_ids:
            return sum(self.query(each, COUNT_COMPLETED)[0]["tasks"] for each in self.database_ids)
        count, cursor = 0, ""
        while cursor is not None:
            query = {"status": "completed", "limit": "100", **({"cursor": cursor} if cursor else {})}
            reply = httpx.get(f"{self.url}/tasks", params=query, headers=dict(self.headers), trust_env=False)
            page = reply.raise_for_status().json()
            count, cursor = count + len(page["tasks"]), page["cursor"]
        return count

    def attempts(self) -> int | None:
        """Count attempts, if its databases have them."""
        if not self.database_ids or "batches" not in self.abilities:
            return None
        return sum(self.query(each, COUNT_ATTEMPTS)[0]["attempts"] for each in self.database_ids)

    def memory_bytes(self) -> int:
        """Measure the memory of the whole local Cloudflare, in bytes."""
        return self.cloud.memory_bytes()

    def cpu_seconds(self) -> dict[str, float]:
        """Measure the CPU time of the whole local Cloudflare, by process."""
        return cpu_seconds(self.cloud.instance.pid)

    def query(self, database_id: str, sql: str) -> list[dict[str, Json]]:
        """Run one statement on a database; return its rows."""
        return self.cloud.post(f"/d1/database/{database_id}/query", {"sql": sql})[0]["results"]

    def _pause(self, *, is_paused: bool) -> None:
        for queue_id in self.queue_ids:
            self.cloud.patch(f"/queues/{queue_id}", {"settings": {"delivery_paused": is_paused}})
