"""A main queue and a dead-letter queue of their own for each test, on the real local Cloudflare."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypedDict

from local.cli.instance import Instance
from ops.client import TaskRunnerClient
from ops.dead_letter_queue import DeadLetterQueue
from ops.errors import TaskNotFoundError
from ops.json_object import JsonObject
from ops.task import Task
from tests.local.rest import Rest
from tests.ops.stand_in import TASK


class Tasks(TaskRunnerClient):
    """A task runner that knows every task, but for those that are gone; each has failed in its first run.

    Args:
        gone: the tasks that are not there.
        others: what else is true of some tasks, by id: ``{"t1": {"run": 2}}``.
    """

    def __init__(self, gone: set[str] | None = None, others: Mapping[str, dict[str, Any]] | None = None) -> None:
        super().__init__("http://127.0.0.1:9")
        self.gone = gone or set()
        self.others = dict(others or {})

    def get(self, task_id: str, *, wait: float = 0) -> Task:
        assert wait == 0
        if task_id in self.gone:
            raise TaskNotFoundError("task_not_found", 404, "not found")
        facts = TASK | {"taskId": task_id, "status": "failed"} | self.others.get(task_id, {})
        return Task.read(JsonObject(facts, "task"))


class Ids(TypedDict):
    """What a stack's queues are found by."""

    account_id: str
    queue_id: str
    dlq_id: str


@dataclass(frozen=True)
class Queues:
    """The two queues."""

    rest: Rest
    cloud: Instance
    queue_id: str
    dlq_id: str

    @classmethod
    def create(cls, rest: Rest, cloud: Instance, **settings: Any) -> Queues:
        """Create them; the settings are those of the pull consumer."""
        dlq_id = rest.queue()["queue_id"]
        rest.result("POST", f"/queues/{dlq_id}/consumers", {"type": "http_pull", "settings": settings})
        return cls(rest, cloud, rest.queue()["queue_id"], dlq_id)

    def dead_letters(self, priority_queue_ids: Mapping[str, str] | None = None) -> DeadLetterQueue:
        """Give what is tested."""
        return DeadLetterQueue(*self.arguments()[:2], **self.ids(), priority_queue_ids=priority_queue_ids)

    def ids(self) -> Ids:
        return {"account_id": self.cloud.account_id, "queue_id": self.queue_id, "dlq_id": self.dlq_id}

    def arguments(self) -> list[str]:
        return [self.cloud.base_url, self.cloud.api_token, *map(str, self.ids().values())]

    def bury(self, *bodies: Any) -> None:
        """Put dead letters there; a string is a message of text."""
        messages = [{"body": body, "content_type": "text" if isinstance(body, str) else "json"} for body in bodies]
        for start in range(0, len(messages), 100):
            path = f"/queues/{self.dlq_id}/messages/batch"
            self.rest.result("POST", path, {"messages": messages[start : start + 100]})

    def redriven(self, queue_id: str | None = None) -> list[Any]:
        """Look at the main queue, or at another one."""
        return [json.loads(base64.b64decode(message["body"])) for message in self._peek(queue_id or self.queue_id)]

    def letters(self) -> list[str]:
        """Look at the dead letters' bodies."""
        return [
            message["body"]
            if message["metadata"]["CF-Content-Type"] == "text"
            else base64.b64decode(message["body"]).decode()
            for message in self._peek(self.dlq_id)
        ]

    def pullable(self) -> int:
        """Pull what can be pulled, and tell how much it is."""
        pulled = self.rest.result("POST", f"/queues/{self.dlq_id}/messages/pull", {"batch_size": 100})["messages"]
        return len(pulled)

    def attempts(self) -> set[int]:
        return {message["attempts"] for message in self._peek(self.dlq_id)}

    def _peek(self, queue_id: str) -> list[dict[str, Any]]:
        return self.rest.result("POST", f"/queues/{queue_id}/messages/peek", {"batch_size": 100})["messages"]


def letter(task_id: str, run: int = 1) -> dict[str, Any]:
    """Make the message of a task."""
    return {"taskId": task_id, "run": run}
