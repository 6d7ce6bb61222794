"""Priorities on a deployed stack: who overtakes whom, and what becomes of the queues when the setting is turned off."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from local.pulumi.outputs import read_outputs
from ops.client import TaskRunnerClient
from ops.task import NewTask, Priority, Status, Submission
from tests.journey.project import Project, local_cloudflare

STACK = "walk"
NAP = "export default () => scheduler.wait(1_000);"
BUSY: dict[str, Any] = {"batch_size": 1, "max_concurrency": 1}
"""One task of each priority at a time."""
DELAY_SECONDS = 40
"""More than a deployment takes, and less than a test has patience for."""
PATIENCE_SECONDS = 300
"""Until a sweep finds what is due since a minute, and what it sends is done."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    project = Project(tmp_path_factory.mktemp("project"), tmp_path_factory.mktemp("cloudflare"), {"nap.js": NAP})
    project.configure(STACK, env="dev", priorities=True, **BUSY)
    with local_cloudflare(project.state):
        project.deploy("up", STACK)
        yield project


@pytest.fixture
def client(project: Project) -> Iterator[TaskRunnerClient]:
    with TaskRunnerClient(str(read_outputs(project.state, STACK)["url"])) as client:
        yield client


def test_high_does_not_wait_for_a_backlog_and_low_goes_on(client: TaskRunnerClient) -> None:
    normal, low = submit(client, "normal", 15), submit(client, "low", 5)
    [high] = submit(client, "high", 1)
    assert client.wait(high, timeout_seconds=10).status is Status.COMPLETED
    assert client.wait(low[0], timeout_seconds=10).status is Status.COMPLETED
    assert sum(client.get(each).status is Status.PENDING for each in normal) >= 5
    assert all(client.wait(each, timeout_seconds=60).status is Status.COMPLETED for each in (*normal, *low))


def test_what_is_in_the_queues_of_priorities_is_done_when_they_are_gone(
    project: Project, client: TaskRunnerClient
) -> None:
    tasks = [task for priority in ("high", "low") for task in submit(client, priority, 3, delay_seconds=DELAY_SECONDS)]
    queue = client.stats().queue
    assert queue is not None
    assert queue.priorities is not None
    assert (queue.backlog, queue.priorities.high.backlog, queue.priorities.low.backlog) == (6, 3, 3)
    project.configure(STACK, env="dev", **BUSY)
    project.deploy("up", STACK, "--delete-data")
    outputs = read_outputs(project.state, STACK)
    assert not {"high_queue_ids", "low_queue_ids"} & outputs.keys()
    assert {client.get(each).status for each in tasks} == {Status.PENDING}
    deadline = time.monotonic() + PATIENCE_SECONDS
    ended = [client.wait(each, timeout_seconds=max(0, deadline - time.monotonic())) for each in tasks]
    assert [(task.status, task.priority) for task in ended] == [(Status.COMPLETED, "high")] * 3 + [
        (Status.COMPLETED, "low")
    ] * 3
    assert "nothing changed" in project.deploy("up", STACK)


def submit(client: TaskRunnerClient, priority: Priority, count: int, *, delay_seconds: int | None = None) -> list[str]:
    task = NewTask(handler="nap", priority=priority, delay_seconds=delay_seconds)
    submitted = client.submit_many([task] * count)
    return [each.task_id for each in submitted if isinstance(each, Submission)]
