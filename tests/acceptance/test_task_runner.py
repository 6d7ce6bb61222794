"""What a deployed task runner must do, whatever it is made of. Works on any stack: ``--stack NAME``."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ops.client import TaskRunnerClient
from ops.deployed_stack import DeployedStack

PATIENCE_SECONDS = 120
POLL_SECONDS = 0.2
QUIET_SECONDS = 5
"""How long a dead letter is watched for another delivery."""


Note = Callable[[str, object], None]
"""Notes what is checked, expected and observed, for the report of `python -m ops deploy`."""


def test_schema_is_applied(stack: DeployedStack, record_property: Note) -> None:
    """The store is there and has the shape that the Worker needs."""
    record_property("check", f"schema of {stack['state_store']} applied")
    match stack["state_store"]:
        case "d1":
            database = f"d1/database/{stack['database_id']}/query"
            tables = "SELECT name FROM sqlite_master WHERE type = 'table' AND name = 'tasks'"
            assert rows(stack, database, tables) == [{"name": "tasks"}]
            files = sorted(file.name for file in Path("worker/migrations").glob("*.sql"))
            record_property("expected", f"`tasks` table and {len(files)} migrations")
            applied = [each["name"] for each in rows(stack, database, "SELECT name FROM d1_migrations ORDER BY id")]
            assert applied == files
            record_property("observed", f"`tasks` table, {', '.join(applied)}")
        case "kv":
            record_property("expected", f"namespace {stack['namespace_name']} exists")
            namespace = stack.get(f"storage/kv/namespaces/{stack['namespace_id']}")
            assert namespace["title"] == stack["namespace_name"]
            record_property("observed", f"namespace {namespace['title']}, which needs no schema")
        case _:
            record_property("expected", f"SQLite-backed class {stack['durable_object_class']} exists")
            found = [each for each in stack.get("workers/durable_objects/namespaces") if is_of(each, stack)]
            assert [each["use_sqlite"] for each in found] == [True]
            record_property("observed", f"class {found[0]['class']} of {found[0]['script']}, SQLite-backed")


def test_queue_and_dlq_exist_and_the_consumer_is_wired_to_the_dlq(stack: DeployedStack, record_property: Note) -> None:
    """The engine is there and starts this Worker."""
    if stack["engine"] == "workflow":
        record_property("check", "Workflow exists")
        record_property("expected", f"listed; its class is in {stack['worker_name']}")
        workflow = stack.get(f"workflows/{stack['workflow_name']}")
        assert (workflow["script_name"], workflow["class_name"]) == (stack["worker_name"], "TaskWorkflow")
        record_property(
            "observed", f"{stack['workflow_name']} -> {workflow['class_name']} of {workflow['script_name']}"
        )
        return
    record_property("check", "queue + DLQ exist")
    record_property("expected", "both listed; consumer -> DLQ wired")
    assert stack.get(f"queues/{stack['queue_id']}")["queue_name"] == stack["queue_name"]
    assert stack.get(f"queues/{stack['dlq_id']}")["queue_name"] == stack["dlq_name"]
    (consumer,) = stack.get(f"queues/{stack['queue_id']}/consumers")
    assert consumer["type"] == "worker"
    assert (consumer.get("script") or consumer.get("script_name")) == stack["worker_name"]
    assert consumer["dead_letter_queue"] == stack["dlq_name"]
    (dead_letter_consumer,) = stack.get(f"queues/{stack['dlq_id']}/consumers")
    assert dead_letter_consumer["type"] == "http_pull"
    record_property("observed", f"{stack['queue_name']}, {stack['dlq_name']}; consumer {stack['worker_name']} -> DLQ")


def test_post_task_gives_a_task_id(client: TaskRunnerClient, record_property: Note) -> None:
    record_property("check", "`POST /task` -> taskId")
    record_property("expected", "`200` + `.taskId`")
    submission = client.submit({"work": "demo"})
    assert submission.status == "pending"
    assert uuid.UUID(submission.task_id).version == 7
    record_property("observed", f"`200`, taskId {submission.task_id}, {submission.status}")


def test_polling_reaches_completed_by_way_of_pending_and_processing(
    client: TaskRunnerClient, record_property: Note
) -> None:
    record_property("check", "poll `GET /task/:id` -> status")
    record_property("expected", "reaches `completed`")
    statuses = list(poll_until_completed(client, submit(client)))
    assert statuses[-1] == "completed"
    assert set(statuses[:-1]) <= {"pending", "processing"}
    record_property("observed", " -> ".join(dict.fromkeys(statuses)))


def test_poison_message_lands_in_the_dlq_after_max_retries(
    stack: DeployedStack, client: TaskRunnerClient, record_property: Note
) -> None:
    """What cannot be processed is given up after its retries, and hurts nothing else."""
    is_workflow = stack["engine"] == "workflow"
    record_property("check", "poison instance ends errored" if is_workflow else "poison message -> DLQ")
    record_property("expected", f"{'ends errored' if is_workflow else 'lands in DLQ'} after max_retries")
    check = instance_ends_errored if is_workflow else message_lands_in_the_dlq
    record_property("observed", check(stack, client))


def message_lands_in_the_dlq(stack: DeployedStack, client: TaskRunnerClient) -> str:
    marker = str(uuid.uuid4())
    stack.post(f"queues/{stack['queue_id']}/messages", {"body": {"poison": marker}, "content_type": "json"})
    healthy = submit(client)

    letter = wait_for(lambda: find_dead_letter(stack, marker), f"poison message {marker} in {stack['dlq_name']}")
    assert list(poll_until_completed(client, healthy))[-1] == "completed"

    acknowledged = stack.post(f"queues/{stack['dlq_id']}/messages/ack", {"acks": [{"lease_id": letter["lease_id"]}]})
    assert acknowledged["ackCount"] == 1
    time.sleep(QUIET_SECONDS)
    assert find_dead_letter(stack, marker) is None, "the poison message was delivered again after it was dead"
    return f"found in {stack['dlq_name']}, not delivered again"


def instance_ends_errored(stack: DeployedStack, client: TaskRunnerClient) -> str:
    instances = f"workflows/{stack['workflow_name']}/instances"
    poison = stack.post(instances, {"params": {"poison": str(uuid.uuid4())}})["id"]
    healthy = submit(client)

    def ended() -> dict[str, Any] | None:
        instance = stack.get(f"{instances}/{poison}")
        return instance if instance["status"] in {"errored", "complete", "terminated"} else None

    instance = wait_for(ended, f"poison instance {poison} to end")
    assert list(poll_until_completed(client, healthy))[-1] == "completed"

    assert instance["status"] == "errored"
    attempts = len(instance["steps"][0]["attempts"])
    assert attempts == max_retries(stack) + 1
    time.sleep(QUIET_SECONDS)
    assert len(stack.get(f"{instances}/{poison}")["steps"][0]["attempts"]) == attempts, "it was tried again"
    return f"errored after {attempts} attempts"


def max_retries(stack: DeployedStack) -> int:
    """Return the setting as the deployed Worker has it."""
    worker = stack.get(f"workers/workers/{stack['worker_name']}")
    deployment = stack.get(f"workers/scripts/{stack['worker_name']}/deployments")["deployments"][0]
    version_id = deployment["versions"][0]["version_id"]
    version = stack.get(f"workers/workers/{worker['id']}/versions/{version_id}")
    return next(
        int(str(binding["json"]).strip('"')) for binding in version["bindings"] if binding["name"] == "MAX_RETRIES"
    )


def is_of(namespace: dict[str, Any], stack: DeployedStack) -> bool:
    return (namespace["script"], namespace["class"]) == (stack["worker_name"], stack["durable_object_class"])


def submit(client: TaskRunnerClient) -> str:
    return client.submit({"work": "demo"}).task_id


def poll_until_completed(client: TaskRunnerClient, task_id: str) -> Iterator[str]:
    """Give each status that a poll sees, up to an ended task's or the end of patience."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        task = client.get(task_id)
        assert task.task_id == task_id
        yield task.status.value
        if task.status.has_ended:
            return
        time.sleep(POLL_SECONDS)


def wait_for(find: Callable[[], dict[str, Any] | None], what: str) -> dict[str, Any]:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        found = find()
        if found is not None:
            return found
        time.sleep(POLL_SECONDS)
    pytest.fail(f"expected {what} within {PATIENCE_SECONDS} s, found nothing")


def find_dead_letter(stack: DeployedStack, marker: str) -> dict[str, Any] | None:
    """Pull dead letters until the one with the marker is found; the others are put back."""
    found = None
    others: list[dict[str, Any]] = []
    while found is None:
        pulled = stack.post(
            f"queues/{stack['dlq_id']}/messages/pull", {"batch_size": 100, "visibility_timeout_ms": 60_000}
        )["messages"]
        if not pulled:
            break
        found = next((each for each in pulled if marker in body_text(each)), None)
        others += [each for each in pulled if each is not found]
    if others:
        returned = [{"lease_id": each["lease_id"]} for each in others]
        for start in range(0, len(returned), 100):
            stack.post(f"queues/{stack['dlq_id']}/messages/ack", {"retries": returned[start : start + 100]})
    return found


def body_text(message: dict[str, Any]) -> str:
    """Return a pulled message's body; Cloudflare gives JSON bodies in base64."""
    body: str = message["body"]
    try:
        return base64.b64decode(body, validate=True).decode()
    except ValueError:
        return body


def rows(stack: DeployedStack, path: str, sql: str) -> list[dict[str, Any]]:
    (result,) = stack.post(path, {"sql": sql})
    return result["results"]
