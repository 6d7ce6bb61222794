"""What the Pulumi provider sends for a program of this shape, and every field that it reads from the answers.

The provider (Terraform's 5.22 underneath) decodes `result` attribute by attribute; one that is missing or null in a
read becomes null in its state, and a difference for the next `up`. So what a create or an update sent must come back
from a read as it was sent, and the same read twice must be the same.
"""

import base64
from typing import Any, cast

import pytest

from tests.local.rest import ECHO, Rest, providers_worker, unique

COMPUTED = {
    "database": {
        "uuid",
        "name",
        "version",
        "num_tables",
        "file_size",
        "created_at",
        "jurisdiction",
        "read_replication",
    },
    "queue": {
        "queue_id",
        "queue_name",
        "created_on",
        "modified_on",
        "producers",
        "producers_total_count",
        "consumers",
        "consumers_total_count",
        "settings",
    },
    "consumer": {"consumer_id", "type", "created_on", "queue_name", "settings", "dead_letter_queue"},
    "worker": {
        "id",
        "name",
        "created_on",
        "updated_on",
        "deployed_on",
        "references",
        "logpush",
        "observability",
        "subdomain",
        "tags",
        "tail_consumers",
    },
    "version": {
        "id",
        "number",
        "created_on",
        "source",
        "startup_time_ms",
        "urls",
        "bindings",
        "compatibility_date",
        "main_module",
        "modules",
        "usage_model",
    },
    "deployment": {"id", "created_on", "source", "strategy", "versions", "annotations", "author_email"},
    "schedule": {"cron", "created_on", "modified_on"},
}
REWRITTEN = ("bindings", "modules", "schedules", "script_name", "dead_letter_queue")  # compared by the tests below


def keeps(answer: dict[str, Any], sent: dict[str, Any]) -> bool:
    """Tell whether everything that was sent is in an answer, objects in objects included."""
    return all(
        keeps(answer[key], cast("dict[str, Any]", value)) if isinstance(value, dict) else answer[key] == value
        for key, value in sent.items()
        if key not in REWRITTEN
    )


def made(rest: Rest, kind: str, method: str, path: str, sent: dict[str, Any], read_path: str) -> dict[str, Any]:
    """Create or update as the provider does, and read as its refresh does."""
    answer = rest.result(method, path, sent)
    assert COMPUTED[kind] <= set(answer)
    assert keeps(answer, sent)
    read = rest.result("GET", read_path.format(**answer))
    assert COMPUTED[kind] <= set(read)
    assert keeps(read, sent)
    assert rest.result("GET", read_path.format(**answer)) == read
    return read


@pytest.fixture(scope="module")
def deployed(rest: Rest) -> dict[str, Any]:
    """The first `up` of the recording, request by request."""
    names = {name: unique(name) for name in ("task-runner-db", "task-runner-dlq", "task-runner-queue", "task-runner")}
    settings = {"delivery_delay": 0, "delivery_paused": False, "message_retention_period": 345600}
    found: dict[str, Any] = {"names": names}
    found["database"] = made(
        rest,
        "database",
        "POST",
        "/d1/database",
        {"name": names["task-runner-db"], "read_replication": {"mode": "disabled"}},
        "/d1/database/{uuid}",
    )
    for key, name in (("dlq", "task-runner-dlq"), ("queue", "task-runner-queue")):
        body = {"queue_name": names[name], "settings": settings}
        found[key] = made(rest, "queue", "POST", "/queues", body, "/queues/{queue_id}")
    worker = providers_worker(names["task-runner"])
    found["worker"] = made(rest, "worker", "POST", "/workers/workers", worker, "/workers/workers/{id}")
    pull = {
        "settings": {"batch_size": 10, "max_retries": 3, "retry_delay": 0, "visibility_timeout_ms": 30000},
        "type": "http_pull",
    }
    consumers = f"/queues/{found['dlq']['queue_id']}/consumers"
    found["pull_consumer"] = made(rest, "consumer", "POST", consumers, pull, consumers + "/{consumer_id}")
    schema = {"sql": "CREATE TABLE tasks (taskId TEXT PRIMARY KEY)"}
    rest.result("POST", f"/d1/database/{found['database']['uuid']}/query", schema)
    versions = f"/workers/workers/{found['worker']['id']}/versions"
    found["upload"] = upload(found, ECHO)
    found["version"] = made(rest, "version", "POST", versions, found["upload"], versions + "/{id}?include=modules")
    deployments = f"/workers/scripts/{names['task-runner']}/deployments"
    deployment = {"strategy": "percentage", "versions": [{"percentage": 100, "version_id": found["version"]["id"]}]}
    found["deployment"] = made(rest, "deployment", "POST", deployments, deployment, deployments + "/{id}")
    consumers = f"/queues/{found['queue']['queue_id']}/consumers"
    found["push"] = {
        "dead_letter_queue": names["task-runner-dlq"],
        "script_name": names["task-runner"],
        "settings": {"batch_size": 10, "max_retries": 5, "max_wait_time_ms": 0, "retry_delay": 0},
        "type": "worker",
    }
    found["consumer"] = made(rest, "consumer", "POST", consumers, found["push"], consumers + "/{consumer_id}")
    return found


def upload(found: dict[str, Any], code: str) -> dict[str, Any]:
    content = base64.b64encode(code.encode()).decode()
    return {
        "bindings": [
            {"name": "API_TOKEN", "text": "s3cret", "type": "secret_text"},
            {"id": found["database"]["uuid"], "name": "DB", "type": "d1"},
            {"name": "ENV", "text": "dev", "type": "plain_text"},
            {
                "name": "RATE_LIMITER",
                "namespace_id": "4101",
                "simple": {"limit": 100, "period": 60},
                "type": "ratelimit",
            },
            {"name": "TASK_DLQ", "queue_name": found["names"]["task-runner-dlq"], "type": "queue"},
            {"name": "TASK_QUEUE", "queue_name": found["names"]["task-runner-queue"], "type": "queue"},
        ],
        "compatibility_date": "2025-04-01",
        "main_module": "index.js",
        "modules": [
            {
                "content_base64": "ZXhwb3J0IGNvbnN0IHggPSAx",
                "content_type": "application/javascript+module",
                "name": "stores/d1.js",
            },
            {"content_base64": content, "content_type": "application/javascript+module", "name": "index.js"},
            {"content_base64": "PHA+", "content_type": "text/plain", "name": "page/page.html.txt"},
        ],
        "usage_model": "standard",
    }


def test_a_version_reads_as_it_was_sent(deployed: dict[str, Any]) -> None:
    sent, read = deployed["upload"], deployed["version"]
    assert read["modules"] == sent["modules"]
    assert [binding["name"] for binding in read["bindings"]] == [binding["name"] for binding in sent["bindings"]]
    for binding, original in zip(read["bindings"], sent["bindings"], strict=True):
        # The provider has a secret's text in its state, and fills database_id in from the answer.
        expected = {key: value for key, value in original.items() if binding["type"] != "secret_text" or key != "text"}
        assert expected.items() <= binding.items()
    assert read["bindings"][1]["database_id"] == deployed["database"]["uuid"]
    # Optional attributes that the program does not set must not appear: each would be a replacement.
    assert not {"migrations", "assets", "limits", "placement", "cache_options", "compatibility_flags"} & set(read)


def test_a_worker_has_its_address(deployed: dict[str, Any]) -> None:
    assert deployed["worker"]["subdomain"]["url"].startswith("http://127.0.0.1:")


def test_a_consumer_reads_as_it_was_sent(deployed: dict[str, Any]) -> None:
    assert deployed["consumer"]["script"] == deployed["names"]["task-runner"]
    assert deployed["consumer"]["dead_letter_queue"] == deployed["names"]["task-runner-dlq"]


def test_crons_are_a_bare_array(rest: Rest, deployed: dict[str, Any]) -> None:
    path = f"/workers/scripts/{deployed['names']['task-runner']}/schedules"
    for answer in (rest.result("PUT", path, [{"cron": "0 0 1 1 *"}]), rest.result("GET", path)):
        [schedule] = answer["schedules"]
        assert set(schedule) >= COMPUTED["schedule"]
        assert schedule["cron"] == "0 0 1 1 *"


def test_updates_are_full_puts(rest: Rest, deployed: dict[str, Any]) -> None:
    queue_id, consumer_id = deployed["queue"]["queue_id"], deployed["consumer"]["consumer_id"]
    path = f"/queues/{queue_id}/consumers/{consumer_id}"
    body = deployed["push"] | {"settings": deployed["push"]["settings"] | {"max_retries": 7}}
    assert made(rest, "consumer", "PUT", path, body, path)["settings"]["max_retries"] == 7
    path = f"/d1/database/{deployed['database']['uuid']}"
    body = {"name": deployed["names"]["task-runner-db"], "read_replication": {"mode": "auto"}}
    made(rest, "database", "PUT", path, body, path)
    settings = {"delivery_delay": 5, "delivery_paused": True, "message_retention_period": 86400}
    path = f"/queues/{queue_id}"
    body = {"queue_name": deployed["names"]["task-runner-queue"], "settings": settings}
    made(rest, "queue", "PUT", path, body, path)


def test_a_destroy_goes_from_consumers_to_the_worker_to_queues(rest: Rest, deployed: dict[str, Any]) -> None:
    for key, consumer in (("queue", "consumer"), ("dlq", "pull_consumer")):
        path = f"/queues/{deployed[key]['queue_id']}/consumers/{deployed[consumer]['consumer_id']}"
        assert rest.result("DELETE", path) is None
    for path in (
        f"/workers/workers/{deployed['worker']['id']}",
        f"/queues/{deployed['queue']['queue_id']}",
        f"/queues/{deployed['dlq']['queue_id']}",
        f"/d1/database/{deployed['database']['uuid']}",
    ):
        assert rest.result("DELETE", path) is None
        assert rest.refusal("GET", path)[0] == 404
