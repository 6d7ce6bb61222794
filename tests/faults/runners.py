"""Deployed task runners, one of each store and of each engine, and what their clients were promised."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from ops.client import TaskRunnerClient
from ops.errors import TaskNotFoundError, TaskRunnerError
from ops.task import Status
from tests.faults.ledger import Ledger

HANDLERS = {
    "doomed.js": """
import { PermanentError } from 'task-runner';
export default async function () { throw new PermanentError('as promised'); }
"""
}
"""What the project of a runner has beside the built-in handlers."""

DOOMED_EVERY = 5

_POLL_SECONDS = 0.1


@dataclass
class Runner:
    """A deployed task runner."""

    stack: str
    url: str
    ledger: Ledger
    promises: dict[str, Status] = field(default_factory=dict[str, Status])
    """How each acknowledged task has to end."""

    @property
    def kind(self) -> str:
        """The ledger's name for its tasks."""
        return f"task of {self.stack}"

    def submit(self, number: int) -> bool:
        """Submit a task; whether it was acknowledged."""
        is_doomed = number % DOOMED_EVERY == 0
        self.ledger.begin(self.kind)
        try:
            with TaskRunnerClient(self.url) as client:
                task_id = client.submit({"number": number}, handler="doomed" if is_doomed else None).task_id
        except TaskRunnerError:
            return False
        self.promises[task_id] = Status.FAILED if is_doomed else Status.COMPLETED
        self.ledger.acknowledge(self.kind, task_id)
        return True

    def look(self, number: int) -> bool:
        """Read one of the last tasks: whatever was acknowledged is there at any time, and has not ended otherwise."""
        task_ids = self.ledger.names(self.kind)
        if not task_ids:
            return False
        task_id = task_ids[-1 - number % min(10, len(task_ids))]
        try:
            with TaskRunnerClient(self.url) as client:
                status = client.get(task_id).status
        except TaskNotFoundError:
            self.ledger.complain(f"{self.kind} {task_id} was acknowledged and is not there")
        except TaskRunnerError:
            return False
        else:
            if status.has_ended and status != self.promises[task_id]:
                self.ledger.complain(f"{self.kind} {task_id} is {status}, and was to be {self.promises[task_id]}")
        return True

    def unkept(self, seconds: float) -> dict[str, Status | None]:
        """Wait for all tasks; give those that did not end as promised: their status, None for one that is not there."""
        unkept: dict[str, Status | None] = dict.fromkeys(self.promises)
        deadline = time.monotonic() + seconds
        with TaskRunnerClient(self.url) as client:
            while unkept and time.monotonic() < deadline:
                for task_id in list(unkept):
                    unkept[task_id] = status = _status(client, task_id)
                    if status == self.promises[task_id]:
                        del unkept[task_id]
                time.sleep(_POLL_SECONDS if unkept else 0)
        return unkept


def _status(client: TaskRunnerClient, task_id: str) -> Status | None:
    try:
        return client.get(task_id).status
    except TaskNotFoundError:
        return None
