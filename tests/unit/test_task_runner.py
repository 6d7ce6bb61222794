"""The exact inputs of every resource, and the order in which they need each other."""

import base64
from pathlib import Path

import pytest

from tests.unit.recorded_stack import ACCOUNT_ID, RecordedStack, record_task_runner

WORKER_FOLDER = Path("worker")


@pytest.fixture(scope="module")
def stack() -> RecordedStack:
    return record_task_runner()


def test_declares_these_resources_and_no_others(stack: RecordedStack) -> None:
    assert {name: each.type for name, each in stack.resources.items()} == {
        "task-runner": "ephemera:index:TaskRunner",
        "task-runner-db": "cloudflare:index/d1Database:D1Database",
        "task-runner-db-migrations": "pulumi-python:dynamic/d1:Migrations",
        "task-runner-dlq": "cloudflare:index/queue:Queue",
        "task-runner-queue": "cloudflare:index/queue:Queue",
        "task-runner-dlq-consumer": "cloudflare:index/queueConsumer:QueueConsumer",
        "task-runner-worker": "cloudflare:index/worker:Worker",
        "task-runner-version": "cloudflare:index/workerVersion:WorkerVersion",
        "task-runner-deployment": "cloudflare:index/workersDeployment:WorkersDeployment",
        "task-runner-consumer": "cloudflare:index/queueConsumer:QueueConsumer",
        "task-runner-sweeper": "cloudflare:index/workersCronTrigger:WorkersCronTrigger",
    }
    assert {each.parent for name, each in stack.resources.items() if name != "task-runner"} == {"task-runner"}


def test_database(stack: RecordedStack) -> None:
    assert stack.inputs("task-runner-db") == {
        "accountId": ACCOUNT_ID,
        "name": "task-runner-db-dev",
        "readReplication": {"mode": "disabled"},
    }


def test_migrations(stack: RecordedStack) -> None:
    inputs = stack.inputs("task-runner-db-migrations")
    assert inputs["account_id"] == ACCOUNT_ID
    assert inputs["database_id"] == "task-runner-db uuid"
    assert [(each["name"], each["sql"]) for each in inputs["migrations"]] == [
        (file.name, file.read_text()) for file in sorted((WORKER_FOLDER / "migrations").glob("*.sql"))
    ]


@pytest.mark.parametrize(
    ("resource", "queue_name"), [("queue", "task-runner-queue-dev"), ("dlq", "task-runner-dlq-dev")]
)
def test_queues(stack: RecordedStack, resource: str, queue_name: str) -> None:
    assert stack.inputs(f"task-runner-{resource}") == {
        "accountId": ACCOUNT_ID,
        "queueName": queue_name,
        "settings": {"deliveryDelay": 0, "deliveryPaused": False, "messageRetentionPeriod": 345_600},
    }


def test_dead_letters_are_read_over_http(stack: RecordedStack) -> None:
    assert stack.inputs("task-runner-dlq-consumer") == {
        "accountId": ACCOUNT_ID,
        "queueId": "task-runner-dlq id",
        "type": "http_pull",
        "settings": {"batchSize": 10, "maxRetries": 100, "retryDelay": 0, "visibilityTimeoutMs": 30_000},
    }


def test_worker(stack: RecordedStack) -> None:
    assert stack.inputs("task-runner-worker") == {
        "accountId": ACCOUNT_ID,
        "name": "task-runner-dev",
        "subdomain": {"enabled": True, "previewsEnabled": False},
        "observability": {
            "enabled": True,
            "headSamplingRate": 1,
            "logs": {"enabled": True, "headSamplingRate": 1, "invocationLogs": True, "persist": True},
        },
    }


def test_version(stack: RecordedStack) -> None:
    inputs = stack.inputs("task-runner-version")
    modules = inputs.pop("modules")
    assert inputs == {
        "accountId": ACCOUNT_ID,
        "workerId": "task-runner-worker id",
        "mainModule": "index.js",
        "compatibilityDate": "2026-10-01",
        "bindings": [
            {"type": "d1", "name": "DB", "id": "task-runner-db uuid"},
            {"type": "plain_text", "name": "MAX_RETRIES", "text": "5"},
            {"type": "queue", "name": "TASK_QUEUE", "queueName": "task-runner-queue-dev"},
        ],
    }
    assert {each["name"]: base64.b64decode(each["contentBase64"]) for each in modules} == {
        file.relative_to(WORKER_FOLDER).as_posix(): file.read_bytes() for file in WORKER_FOLDER.rglob("*.js")
    }
    assert {each["contentType"] for each in modules} == {"application/javascript+module"}


def test_deployment(stack: RecordedStack) -> None:
    assert stack.inputs("task-runner-deployment") == {
        "accountId": ACCOUNT_ID,
        "scriptName": "task-runner-dev",
        "strategy": "percentage",
        "versions": [{"percentage": 100, "versionId": "task-runner-version id"}],
    }


def test_consumer_is_wired_to_the_dead_letter_queue(stack: RecordedStack) -> None:
    assert stack.inputs("task-runner-consumer") == {
        "accountId": ACCOUNT_ID,
        "queueId": "task-runner-queue id",
        "type": "worker",
        "scriptName": "task-runner-dev",
        "deadLetterQueue": "task-runner-dlq-dev",
        "settings": {"batchSize": 10, "maxConcurrency": 250, "maxRetries": 5, "maxWaitTimeMs": 0, "retryDelay": 0},
    }


def test_sweeper_runs_every_minute(stack: RecordedStack) -> None:
    assert stack.inputs("task-runner-sweeper") == {
        "accountId": ACCOUNT_ID,
        "scriptName": "task-runner-dev",
        "schedules": [{"cron": "* * * * *"}],
    }


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("dlq", "queue"),
        ("dlq", "dlq-consumer"),
        ("db", "db-migrations"),
        ("db", "worker"),
        ("queue", "worker"),
        ("worker", "version"),
        ("db-migrations", "deployment"),
        ("version", "deployment"),
        ("deployment", "consumer"),
        ("deployment", "sweeper"),
    ],
)
def test_order_of_creation(stack: RecordedStack, first: str, second: str) -> None:
    assert stack.precedes(f"task-runner-{first}", f"task-runner-{second}")


def test_outputs(stack: RecordedStack) -> None:
    assert stack.outputs == {
        "url": "http://worker",
        "worker_name": "task-runner-dev",
        "database_name": "task-runner-db-dev",
        "database_id": "task-runner-db uuid",
        "queue_name": "task-runner-queue-dev",
        "queue_id": "task-runner-queue id",
        "dlq_name": "task-runner-dlq-dev",
        "dlq_id": "task-runner-dlq id",
    }


@pytest.mark.parametrize("env", ["dev", "stg", "uat", "prod"])
def test_every_name_ends_in_the_environment(env: str) -> None:
    stack = record_task_runner(env=env)
    names = [each.inputs.get("name") or each.inputs.get("queueName") for each in stack.resources.values()]
    assert [name for name in names if name] == [
        f"task-runner-db-{env}",
        f"task-runner-dlq-{env}",
        f"task-runner-queue-{env}",
        f"task-runner-{env}",
    ]


def test_every_setting_reaches_its_resource() -> None:
    stack = record_task_runner(
        batch_size=20,
        max_wait_time_ms=1_500,
        max_retries=7,
        retry_delay_seconds=30,
        max_concurrency=3,
        delivery_delay_seconds=4,
        message_retention_seconds=86_400,
        dlq_message_retention_seconds=1_209_600,
        dlq_batch_size=5,
        dlq_max_retries=9,
        dlq_retry_delay_seconds=6,
        dlq_visibility_timeout_ms=60_000,
    )
    assert stack.inputs("task-runner-consumer")["settings"] == {
        "batchSize": 20,
        "maxConcurrency": 3,
        "maxRetries": 7,
        "maxWaitTimeMs": 1_500,
        "retryDelay": 30,
    }
    assert stack.inputs("task-runner-dlq-consumer")["settings"] == {
        "batchSize": 5,
        "maxRetries": 9,
        "retryDelay": 6,
        "visibilityTimeoutMs": 60_000,
    }
    assert stack.inputs("task-runner-queue")["settings"] == {
        "deliveryDelay": 4,
        "deliveryPaused": False,
        "messageRetentionPeriod": 86_400,
    }
    assert stack.inputs("task-runner-dlq")["settings"]["messageRetentionPeriod"] == 1_209_600
    bindings = {each["name"]: each for each in stack.inputs("task-runner-version")["bindings"]}
    assert bindings["MAX_RETRIES"]["text"] == "7"
