"""Compares the ledger with what is there after the faults."""

from __future__ import annotations

import time
from collections import Counter

from ops.client import TaskRunnerClient
from ops.errors import TaskNotFoundError
from ops.task import Status
from tests.faults.ledger import Ledger
from tests.faults.load import KEY, MESSAGE, ROW, TASK, Load

PATIENCE_SECONDS = 200
"""A task that was stored and could not be sent is sent by the sweeper, which waits a minute (`SWEEP_GRACE_SECONDS`) and
runs once a minute."""

_POLL_SECONDS = 0.2


def audit(load: Load, kills: Counter[str]) -> None:
    """Print the counts, and fail when anything acknowledged is lost, an id is used twice, or a task has not ended."""
    ledger = load.ledger
    load.drain(PATIENCE_SECONDS)
    unfinished = unfinished_tasks(load.url, ledger.names(TASK))
    rows = [row["name"] for row in load.query("SELECT name FROM written")]
    lost = {
        TASK: [task_id for task_id, status in unfinished.items() if status is None],
        KEY: sorted(set(ledger.names(KEY)) - load.keys()),
        ROW: sorted(set(ledger.names(ROW)) - set(rows)),
        MESSAGE: sorted(set(ledger.names(MESSAGE)) - set(ledger.pulled)),
    }
    print_counts(ledger, kills, lost)
    assert ledger.unexpected == []
    assert lost == {TASK: [], KEY: [], ROW: [], MESSAGE: []}
    assert unfinished == {}
    assert ledger.after_settled == 0, "a message came again after its acknowledgement was taken"
    for kind in (TASK, ROW):
        names = ledger.names(kind)
        assert len(names) == len(set(names)), f"an id of a {kind} was used twice"
    assert len(rows) == len(set(rows)), "a write took effect twice"


def unfinished_tasks(url: str, task_ids: list[str]) -> dict[str, Status | None]:
    """Wait for tasks; give those that did not complete with their status, None for one that is not there."""
    unfinished: dict[str, Status | None] = dict.fromkeys(task_ids)
    deadline = time.monotonic() + PATIENCE_SECONDS
    with TaskRunnerClient(url) as client:
        while unfinished and time.monotonic() < deadline:
            for task_id in list(unfinished):
                unfinished[task_id] = _status(client, task_id)
            unfinished = {task_id: status for task_id, status in unfinished.items() if status != Status.COMPLETED}
            time.sleep(_POLL_SECONDS if unfinished else 0)
    return unfinished


def print_counts(ledger: Ledger, kills: Counter[str], lost: dict[str, list[str]]) -> None:
    """Print a run's counts, a line each."""
    killed = ", ".join(f"{name} {count}" for name, count in sorted(kills.items())) or "none"
    print(f"\nkills: {kills.total()} ({killed})")
    for kind, names in lost.items():
        acknowledged = len(ledger.names(kind))
        print(f"{kind}s: {ledger.sent[kind]} sent, {acknowledged} acknowledged, lost: {len(names)}")
    print(f"messages: {len(ledger.pulled)} delivered, {ledger.duplicates} delivered again,", end=" ")
    print(f"{ledger.after_settled} of them after their acknowledgement")


def _status(client: TaskRunnerClient, task_id: str) -> Status | None:
    try:
        return client.get(task_id).status
    except TaskNotFoundError:
        return None
