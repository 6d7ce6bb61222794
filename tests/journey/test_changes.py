"""One stack through every change of store, engine and shards and back, with tasks in flight: none is lost."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from components.cloudflare_api import CloudflareApi
from local.cli.instance import Instance
from local.pulumi.outputs import read_outputs
from tests.commands.command import run
from tests.journey.project import Project, local_cloudflare

PATIENCE_SECONDS = 120
TASKS_A_STEP = 6
WAITING_TASKS = 40

SLOW_HANDLER = """
export default async function (payload) {
  await scheduler.wait(1_500); // so that a change finds tasks in flight
  return { did: payload };
}
"""

WALK = [
    ("d1", "queue", 1),
    ("d1", "queue", 3),
    ("d1", "queue", 2),
    ("kv", "queue", 1),
    ("durable-object", "queue", 2),
    ("d1", "queue", 1),
    ("durable-object", "workflow", 1),
    ("kv", "workflow", 1),
    ("d1", "workflow", 1),
    ("kv", "queue", 1),
    ("d1", "queue", 1),
]
"""Every store to every other; queue to workflow and back, alone and together with the store; more shards and fewer."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    state = tmp_path_factory.mktemp("cloudflare")
    with local_cloudflare(state):
        yield Project(tmp_path_factory.mktemp("project"), state, {"default.js": SLOW_HANDLER})


def test_no_task_is_lost_on_the_way(project: Project) -> None:
    submitted: list[str] = []
    url = ""
    for number, (store, engine, shards) in enumerate(WALK):
        project.configure("walk", state_store=store, engine=engine, shards=shards, **formers(WALK[: number + 1]))
        project.deploy("up", "walk")
        url = str(read_outputs(project.state, "walk")["url"])
        assert {status(url, task_id) for task_id in submitted} <= {"pending", "processing", "completed"}
        submitted += [submit(url) for _ in range(TASKS_A_STEP)]
    assert "nothing changed" in project.deploy("up", "walk")
    unfinished = wait_for_all(url, submitted)
    assert unfinished == {}


def formers(walked: list[tuple[str, str, int]]) -> dict[str, list[str] | list[int]]:
    """The settings that keep what the stack has left on its way, without what it has come back to."""
    stores, engines, shards = (list(dict.fromkeys(kinds)) for kinds in zip(*walked, strict=True))
    store, engine, _ = walked[-1]
    return {
        "former_state_stores": [each for each in stores if each != store],
        "former_engines": [each for each in engines if each != engine],
        "former_shards": shards,
    }


def test_what_is_left_of_former_stores_is_told(project: Project) -> None:
    printed = run("ops", "former", "--stack", "walk", "--state", project.state, cwd=project.folder)
    assert re.search(r"kv is needed to read \d+ tasks, which have ended, until they expire", printed)
    assert "workflow is empty: take it out of former_engines" in printed
    assert "former_shards: 8 days after the change" in printed


def test_a_store_cannot_be_left_without_a_word(project: Project) -> None:
    project.configure("walk", state_store="kv", engine="queue", **formers(WALK) | {"former_state_stores": []})
    for command in ("preview", "up"):
        printed = " ".join(project.deploy(command, "walk", expect=1).split())
        assert "D1 database task-runner-db-dev is in use, and this change would delete it" in printed
        assert "set former_state_stores: d1" in printed
    url = str(read_outputs(project.state, "walk")["url"])
    assert wait_for_all(url, [submit(url)]) == {}


def test_the_class_of_objects_that_were_left_goes_when_asked(project: Project) -> None:
    project.configure("walk", state_store="d1", engine="queue")
    assert "together with durable_object_data: delete" in project.deploy("up", "walk", expect=1)
    assert [each["class"] for each in durable_object_namespaces(project)] == ["TaskObject"]
    project.configure("walk", state_store="d1", engine="queue", durable_object_data="delete")
    printed = project.deploy("up", "walk", "--yes", expect=1)
    assert re.search(r"this deletes data: WorkerVersion \S+ \([\d,]+ objects of class TaskObject\)", printed)
    assert [each["class"] for each in durable_object_namespaces(project)] == ["TaskObject"]
    project.deploy("up", "walk", "--delete-data")
    assert durable_object_namespaces(project) == []
    assert "nothing changed" in project.deploy("up", "walk")
    url = str(read_outputs(project.state, "walk")["url"])
    assert wait_for_all(url, [submit(url)]) == {}


def test_tasks_are_spread_over_queues_and_databases(project: Project) -> None:
    project.configure("shards", env="stg", shards=3)
    project.deploy("up", "shards")
    outputs = read_outputs(project.state, "shards")
    url = str(outputs["url"])
    waiting = [httpx.post(f"{url}/task?delay=600").raise_for_status().json()["taskId"] for _ in range(WAITING_TASKS)]
    queue_ids: list[str] = outputs["queue_ids"]
    backlogs = [get(project, f"queues/{each}/metrics")["backlog_count"] for each in queue_ids]
    assert sum(backlogs) == WAITING_TASKS
    assert min(backlogs) > 0
    assert httpx.get(f"{url}/stats").json()["queue"]["backlog"] == WAITING_TASKS
    assert wait_for_all(url, [submit(url) for _ in range(TASKS_A_STEP)]) == {}
    listed = httpx.get(f"{url}/tasks?status=pending&limit=100").json()["tasks"]
    assert [task["taskId"] for task in listed] == sorted(waiting, reverse=True)
    assert "nothing changed" in project.deploy("up", "shards")
    project.deploy("destroy", "shards", "--delete-data")
    assert [each["name"] for each in get(project, "d1/database") if each["name"].endswith("-stg")] == []
    assert [each["queue_name"] for each in get(project, "queues") if each["queue_name"].endswith("-stg")] == []


def durable_object_namespaces(project: Project) -> list[dict[str, Any]]:
    return get(project, "workers/durable_objects/namespaces")


def get(project: Project, path: str) -> Any:
    instance = Instance.find(project.state)
    assert instance is not None
    return CloudflareApi(instance.base_url, instance.api_token).get(f"accounts/{instance.account_id}/{path}")


def submit(url: str) -> str:
    reply = httpx.post(f"{url}/task", json={"work": "in flight"}).raise_for_status()
    return reply.json()["taskId"]


def status(url: str, task_id: str) -> str:
    return httpx.get(f"{url}/task/{task_id}", timeout=PATIENCE_SECONDS).raise_for_status().json()["status"]


def wait_for_all(url: str, task_ids: list[str]) -> dict[str, str]:
    """Wait until the tasks are completed; return those that are not."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        seen = {task_id: status(url, task_id) for task_id in task_ids}
        unfinished = {task_id: each for task_id, each in seen.items() if each != "completed"}
        if not unfinished or time.monotonic() > deadline:
            return unfinished
        time.sleep(1)
