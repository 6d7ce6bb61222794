"""The document that this project began with, command by command, from the first `d1 create` to the teardown.

One line of its config differs: no batch waits five seconds to fill, or the poison message would take half a minute.
"""

import json
import shutil
from pathlib import Path
from typing import Any

import httpx
import pytest

from local.cli.instance import Instance
from tests.local.rest import Rest, eventually
from tests.wrangler.wrangler_cli import Wrangler

DOCUMENT = Path(__file__).parent / "document"
WORKER, D1_NAME = "task-runner-dev", "task-runner-db-dev"
QUEUE, DLQ = "task-runner-queue-dev", "task-runner-dlq-dev"
KV_NAME = "task-runner-dev"


@pytest.fixture(scope="module")
def wrangler(cloud: Instance, tmp_path_factory: pytest.TempPathFactory) -> Wrangler:
    folder = tmp_path_factory.mktemp("document")
    (folder / "src").mkdir()
    shutil.copy(DOCUMENT / "task-runner.js", folder / "src")
    shutil.copy(DOCUMENT / "schema.sql", folder)
    return Wrangler(cloud, folder, tmp_path_factory.mktemp("home"))


def write_config(wrangler: Wrangler, database_id: str) -> None:
    config = {
        "name": WORKER,
        "main": "src/task-runner.js",
        "compatibility_date": "2025-04-01",
        "d1_databases": [{"binding": "DB", "database_name": D1_NAME, "database_id": database_id}],
        "queues": {
            "producers": [{"queue": QUEUE, "binding": "TASK_QUEUE"}],
            "consumers": [
                {
                    "queue": QUEUE,
                    "max_batch_size": 10,
                    "max_batch_timeout": 0,
                    "max_retries": 5,
                    "dead_letter_queue": DLQ,
                }
            ],
        },
    }
    (wrangler.folder / "wrangler.jsonc").write_text(json.dumps(config))


def test_the_status_store(wrangler: Wrangler, rest: Rest) -> None:
    assert f"Successfully created DB '{D1_NAME}'" in wrangler("d1", "create", D1_NAME)
    [database] = rest.result("GET", f"/d1/database?name={D1_NAME}")
    write_config(wrangler, database["uuid"])
    said = wrangler("d1", "execute", D1_NAME, "--remote", "--file=schema.sql")
    assert "Executed 2 queries" in said
    query = "SELECT name FROM sqlite_master WHERE type='table' AND name='tasks'"
    [result] = wrangler.json("d1", "execute", D1_NAME, "--remote", "--json", "--command", query)
    assert result["results"] == [{"name": "tasks"}]


def test_the_queues(wrangler: Wrangler) -> None:
    assert f"Created queue '{DLQ}'" in wrangler("queues", "create", DLQ)
    assert f"Created queue '{QUEUE}'" in wrangler("queues", "create", QUEUE)
    said = wrangler("queues", "list")
    assert QUEUE in said
    assert DLQ in said


def test_the_deployment(wrangler: Wrangler, rest: Rest) -> None:
    assert "--dry-run: exiting now." in wrangler("deploy", "--dry-run")
    said = wrangler("deploy")
    for part in (f"Uploaded {WORKER}", f"Producer for {QUEUE}", f"Consumer for {QUEUE}", "Current Version ID: "):
        assert part in said
    [queue] = rest.result("GET", f"/queues?name={QUEUE}")
    [consumer] = queue["consumers"]
    assert (consumer["script"], consumer["dead_letter_queue"]) == (WORKER, DLQ)
    assert (consumer["settings"]["batch_size"], consumer["settings"]["max_retries"]) == (10, 5)


def address(rest: Rest) -> str:
    return rest.result("GET", f"/workers/workers/{WORKER}")["subdomain"]["url"]


def test_the_acceptance(rest: Rest) -> None:
    url = address(rest)
    task = httpx.post(f"{url}/task", json={"work": "demo"}, trust_env=False).json()
    assert task["status"] == "pending"
    eventually(lambda: rest.visit(f"{url}/task/{task['taskId']}").json()["status"] == "completed" or None)
    [queue], [dlq] = (rest.result("GET", f"/queues?name={name}") for name in (QUEUE, DLQ))
    poison = {"body": "no task", "content_type": "text"}  # the consumer finds no taskId in it
    rest.result("POST", f"/queues/{queue['queue_id']}/messages", poison)

    def dead_letters() -> list[dict[str, Any]] | None:
        return rest.result("POST", f"/queues/{dlq['queue_id']}/messages/peek", {})["messages"] or None

    assert len(eventually(dead_letters)) == 1


def test_the_updates(wrangler: Wrangler, rest: Rest) -> None:
    [before] = rest.result("GET", f"/workers/scripts/{WORKER}/deployments")["deployments"]
    assert "Current Version ID: " in wrangler("deploy", "--message", "again")
    said = wrangler("rollback", "--message", "back", "--yes")
    assert f"Current Version ID: {before['versions'][0]['version_id']}" in said
    assert "Successfully created Migration '0001_note.sql'" in wrangler("d1", "migrations", "create", D1_NAME, "note")
    migration = wrangler.folder / "migrations/0001_note.sql"
    migration.write_text(migration.read_text() + "ALTER TABLE tasks ADD COLUMN note TEXT;\n")
    assert "0001_note.sql" in wrangler("d1", "migrations", "list", D1_NAME, "--remote")
    assert "✅" in wrangler("d1", "migrations", "apply", D1_NAME, "--remote")
    assert "No migrations to apply" in wrangler("d1", "migrations", "list", D1_NAME, "--remote")
    columns = "SELECT name FROM pragma_table_info('tasks') WHERE name = 'note'"
    [result] = wrangler.json("d1", "execute", D1_NAME, "--remote", "--json", "--command", columns)
    assert result["results"] == [{"name": "note"}]


def test_the_other_store(wrangler: Wrangler) -> None:
    wrangler("kv", "namespace", "create", KV_NAME)
    [namespace] = wrangler.json("kv", "namespace", "list")
    assert namespace["title"] == KV_NAME
    assert "Deleted KV namespace" in wrangler("kv", "namespace", "delete", "--namespace-id", namespace["id"], "-y")
    assert wrangler.json("kv", "namespace", "list") == []


def test_the_teardown(wrangler: Wrangler, rest: Rest) -> None:
    """The document deletes the Worker first of all, which Cloudflare refuses for the consumer of a queue."""
    assert "it is a consumer for a Queue" in wrangler.fails("delete")
    wrangler("queues", "consumer", "remove", QUEUE, WORKER)
    assert f"Successfully deleted {WORKER}" in wrangler("delete")
    wrangler.together(f"queues delete {QUEUE}", f"queues delete {DLQ}", f"d1 delete {D1_NAME} -y")
    assert rest.result("GET", "/queues") == []
    assert rest.result("GET", "/d1/database") == []
    assert rest.result("GET", "/workers/scripts") == []
