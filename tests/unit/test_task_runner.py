"""The exact inputs of every resource, and the order in which they need each other, for every combination."""

import base64
import itertools
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pulumi_cloudflare as cloudflare
import pytest
from pulumi.runtime.rpc import is_rpc_secret, unwrap_rpc_secret

from components.part import Part
from components.worker_code import (
    HandlerNameError,
    MigrationNameError,
    MissingModuleError,
    entry_point,
    read_handlers,
    read_modules,
)
from tests.unit.recorded_stack import ACCOUNT_ID, RecordedStack, record_task_runner

WORKER_FOLDER = Path("worker")


@pytest.fixture(scope="module")
def stack() -> RecordedStack:
    return record_task_runner()


COMMON = {
    "task-runner": "ephemera:index:TaskRunner",
    "task-runner-worker": "cloudflare:index/worker:Worker",
    "task-runner-version": "cloudflare:index/workerVersion:WorkerVersion",
    "task-runner-deployment": "cloudflare:index/workersDeployment:WorkersDeployment",
    "task-runner-sweeper": "cloudflare:index/workersCronTrigger:WorkersCronTrigger",
}
STORES: dict[str, dict[str, str]] = {
    "d1": {
        "task-runner-db": "cloudflare:index/d1Database:D1Database",
        "task-runner-db-migrations": "pulumi-python:dynamic/d1:Migrations",
    },
    "kv": {"task-runner-kv": "cloudflare:index/workersKvNamespace:WorkersKvNamespace"},
    "durable-object": {},
}
ENGINES: dict[str, dict[str, str]] = {
    "queue": {
        "task-runner-dlq": "cloudflare:index/queue:Queue",
        "task-runner-queue": "cloudflare:index/queue:Queue",
        "task-runner-dlq-consumer": "cloudflare:index/queueConsumer:QueueConsumer",
        "task-runner-consumer": "cloudflare:index/queueConsumer:QueueConsumer",
    },
    "workflow": {"task-runner-workflow": "cloudflare:index/workflow:Workflow"},
}
COMBINATIONS = list(itertools.product(STORES, ENGINES, ["dev", "stg", "uat", "prod"]))


def bindings_of(store: str, engine: str, env: str) -> list[dict[str, Any]]:
    """The bindings that a combination needs, in the order of their names."""
    texts = {
        "MAX_RETRIES": "5",
        "RETRY_BACKOFF": "exponential",
        "RETRY_DELAY_SECONDS": "1",
        "RETRY_MAX_DELAY_SECONDS": "3600",
    }
    bindings: list[dict[str, Any]] = [
        {"type": "plain_text", "name": name, "text": text} for name, text in texts.items()
    ]
    bindings += {
        "d1": [{"type": "d1", "name": "DB", "id": "task-runner-db uuid"}],
        "kv": [{"type": "kv_namespace", "name": "KV", "namespaceId": "task-runner-kv id"}],
        "durable-object": [{"type": "durable_object_namespace", "name": "TASK_DO", "className": "TaskObject"}],
    }[store]
    workflow = {"workflowName": f"task-runner-workflow-{env}", "className": "TaskWorkflow"}
    bindings += {
        "queue": [
            {"type": "queue", "name": "TASK_DLQ", "queueName": f"task-runner-dlq-{env}"},
            {"type": "queue", "name": "TASK_QUEUE", "queueName": f"task-runner-queue-{env}"},
        ],
        "workflow": [{"type": "workflow", "name": "TASK_WORKFLOW", **workflow}],
    }[engine]
    return sorted(bindings, key=lambda binding: binding["name"])


@pytest.mark.parametrize(("store", "engine", "env"), COMBINATIONS)
def test_every_combination_declares_what_it_uses_and_nothing_else(store: str, engine: str, env: str) -> None:
    stack = record_task_runner(state_store=store, engine=engine, env=env)
    assert {name: each.type for name, each in stack.resources.items()} == COMMON | STORES[store] | ENGINES[engine]
    assert {each.parent for name, each in stack.resources.items() if name != "task-runner"} == {"task-runner"}
    names = [
        each.inputs[key]
        for each in stack.resources.values()
        for key in ("name", "queueName", "title", "workflowName")
        if key in each.inputs
    ]
    assert all(name.endswith(f"-{env}") for name in names)
    version = stack.inputs("task-runner-version")
    assert version["bindings"] == bindings_of(store, engine, env)
    durable_object = store == "durable-object"
    exports = {"TaskObject": {"type": "durable-object", "storage": "sqlite"}}
    assert version.get("exports") == (exports if durable_object else None)
    assert version.get("deploy") == (True if durable_object else None)
    assert stack.inputs("task-runner-sweeper")["schedules"] == ([] if durable_object else [{"cron": "* * * * *"}])


TABLE = {"stores/task_table.js", "sweeper.js"}
MODULES: dict[str, set[str]] = {
    "d1": {"stores/d1.js", *TABLE},
    "kv": {"stores/kv.js", "stores/kv_list.js", "stores/lease.js", "stores/merge.js", "sweeper.js"},
    "durable-object": {
        "migrations/0001_tasks.sql.txt",
        "migrations/0002_task_features.sql.txt",
        "stores/durable_object.js",
        "stores/merge.js",
        "stores/sharded.js",
        *TABLE,
    },
    "queue": {"engines/queue.js", "engines/task_messages.js"},
    "workflow": {"engines/workflow.js", "engines/task_workflow.js"},
}


@pytest.mark.parametrize(("store", "engine"), list(itertools.product(STORES, ENGINES)))
def test_a_worker_carries_the_modules_that_it_uses_and_no_others(store: str, engine: str) -> None:
    modules = record_task_runner(state_store=store, engine=engine).inputs("task-runner-version")["modules"]
    names = {each["name"] for each in modules}
    of_parts = {name for name in names if name.startswith(("stores/", "engines/", "migrations/", "sweeper."))}
    assert of_parts == MODULES[store] | MODULES[engine]
    assert {"index.js", "task_runner.js", "handlers/default.js", "page/dashboard.js.txt"} <= names


def test_the_entry_point_in_the_folder_is_that_of_d1_and_queue() -> None:
    assert (WORKER_FOLDER / "index.js").read_text() == entry_point([Part("d1"), Part("queue")])


@pytest.mark.parametrize(("store", "engine", "env"), COMBINATIONS)
def test_the_store_is_protected_in_uat_and_prod(store: str, engine: str, env: str) -> None:
    stack = record_task_runner(state_store=store, engine=engine, env=env)
    holder = {"d1": "task-runner-db", "kv": "task-runner-kv", "durable-object": "task-runner-worker"}[store]
    protected = {name for name, each in stack.resources.items() if each.protect}
    assert protected == ({holder} if env in {"uat", "prod"} else set())


UNTIL = "2026-11-23T18:00:00+00:00"


def test_former_parts_stay_declared_beside_the_present_ones() -> None:
    stack = record_task_runner(
        former={Part("d1"): UNTIL, Part("queue"): UNTIL}, state_store="kv", engine="workflow", env="prod"
    )
    assert set(stack.resources) == {
        name for part in (COMMON, STORES["kv"], STORES["d1"], *ENGINES.values()) for name in part
    }
    version = stack.inputs("task-runner-version")
    bindings = {each["name"]: each for each in version["bindings"]}
    assert set(bindings) == {
        "DB",
        "FORMER_UNTIL",
        "KV",
        "MAX_RETRIES",
        "RETRY_BACKOFF",
        "RETRY_DELAY_SECONDS",
        "RETRY_MAX_DELAY_SECONDS",
        "TASK_DLQ",
        "TASK_QUEUE",
        "TASK_WORKFLOW",
    }
    assert json.loads(bindings["FORMER_UNTIL"]["text"]) == {"d1": UNTIL, "queue": UNTIL}
    assert {"namespace_id", "database_id", "dlq_id", "workflow_name"} <= set(stack.outputs)
    assert stack.resources["task-runner-kv"].protect
    assert not stack.resources["task-runner-db"].protect, "it is to go once its tasks are over"
    assert {"stores/layered.js", "stores/d1.js", "stores/kv.js"} <= {each["name"] for each in version["modules"]}


def test_a_former_engine_alone_is_recorded_too() -> None:
    stack = record_task_runner(former={Part("queue"): UNTIL}, engine="workflow")
    bindings = {each["name"]: each for each in stack.inputs("task-runner-version")["bindings"]}
    assert json.loads(bindings["FORMER_UNTIL"]["text"]) == {"queue": UNTIL}
    assert "task-runner-consumer" in stack.resources


def test_a_former_durable_object_class_stays_until_its_data_is_to_be_deleted() -> None:
    kept = record_task_runner(former={Part("durable-object"): UNTIL}).inputs("task-runner-version")
    assert kept["exports"] == {"TaskObject": {"type": "durable-object", "storage": "sqlite"}}
    deleted = record_task_runner(durable_object_data="delete").inputs("task-runner-version")
    assert deleted["exports"] == {"TaskObject": {"type": "durable-object", "state": "deleted"}}
    assert deleted["deploy"] is True


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
        "bindings": bindings_of("d1", "queue", "dev"),
    }
    for each in modules:
        is_text = each["name"].endswith(".txt")
        file = WORKER_FOLDER / each["name"].removesuffix(".txt")
        assert base64.b64decode(each["contentBase64"]) == file.read_bytes()
        assert each["contentType"] == ("text/plain" if is_text else "application/javascript+module")


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
        "settings": {"batchSize": 10, "maxConcurrency": 250, "maxRetries": 5, "maxWaitTimeMs": 0, "retryDelay": 1},
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
        ("dlq", "worker"),
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


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"state_store": "kv"}, {"namespace_name": "task-runner-dev", "namespace_id": "task-runner-kv id"}),
        ({"state_store": "durable-object"}, {"durable_object_class": "TaskObject"}),
        ({"engine": "workflow"}, {"workflow_name": "task-runner-workflow-dev"}),
    ],
)
def test_outputs_of_the_other_parts(settings: dict[str, Any], names: dict[str, str]) -> None:
    assert names.items() <= record_task_runner(**settings).outputs.items()


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
    assert texts(stack)["DELIVERY_DELAY_SECONDS"] == "4"
    assert "DELIVERY_DELAY_SECONDS" not in texts(record_task_runner())
    assert stack.inputs("task-runner-dlq")["settings"]["messageRetentionPeriod"] == 1_209_600


def texts(stack: RecordedStack) -> dict[str, Any]:
    """The texts of a version's bindings, by name."""
    return {each["name"]: each.get("text") for each in stack.inputs("task-runner-version")["bindings"]}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_settings_of_the_worker_reach_it(engine: str) -> None:
    told = texts(
        record_task_runner(
            engine=engine,
            max_retries=7,
            retry_delay_seconds=30,
            retry_backoff="constant",
            retry_max_delay_seconds=90,
            cors_origins=("https://a.example", "https://b.example"),
            http_allowed_hosts=("api.example", "*.b.example:8443"),
        )
    )
    assert (
        told.items()
        >= {
            "MAX_RETRIES": "7",
            "RETRY_DELAY_SECONDS": "30",
            "RETRY_BACKOFF": "constant",
            "RETRY_MAX_DELAY_SECONDS": "90",
            "CORS_ORIGINS": "https://a.example https://b.example",
            "HTTP_ALLOWED_HOSTS": "api.example *.b.example:8443",
        }.items()
    )
    assert {"API_TOKENS", "RATE_LIMITER"}.isdisjoint(told)


def test_tokens_are_a_secret() -> None:
    stack = record_task_runner(api_tokens=("0" * 32, "1" * 32))
    bindings = stack.inputs("task-runner-version")["bindings"]
    assert is_rpc_secret(bindings)
    (tokens,) = [each for each in unwrap_rpc_secret(bindings) if each["name"] == "API_TOKENS"]
    assert (tokens["type"], tokens["text"]) == ("secret_text", f"{'0' * 32} {'1' * 32}")


@pytest.mark.parametrize(("env", "namespace_id"), [("dev", "4101"), ("stg", "4102"), ("uat", "4103"), ("prod", "4104")])
def test_a_rate_limit_counts_by_environment(env: str, namespace_id: str) -> None:
    stack = record_task_runner(env=env, rate_limit_requests=100, rate_limit_period_seconds=10)
    assert texts(stack)["RATE_LIMIT_PERIOD_SECONDS"] == "10"
    (limiter,) = [each for each in stack.inputs("task-runner-version")["bindings"] if each["name"] == "RATE_LIMITER"]
    assert limiter == {
        "type": "ratelimit",
        "name": "RATE_LIMITER",
        "namespaceId": namespace_id,
        "simple": {"limit": 100, "period": 10},
    }


def test_handlers_get_bindings_of_their_own() -> None:
    bucket = cloudflare.WorkerVersionBindingArgs(type="r2_bucket", name="IMAGES", bucket_name="images")
    stack = record_task_runner(bindings=[bucket])
    names = [each["name"] for each in stack.inputs("task-runner-version")["bindings"]]
    assert "IMAGES" in names
    assert names == sorted(names)


def test_shards_are_databases_and_queues_behind_one_worker() -> None:
    stack = record_task_runner(shards=3, env="prod")
    for number in ("", "-1", "-2"):
        assert stack.inputs(f"task-runner-db{number}")["name"] == f"task-runner-db{number}-prod"
        assert stack.resources[f"task-runner-db{number}"].protect
        assert stack.precedes(f"task-runner-db{number}-migrations", "task-runner-version")
        assert stack.inputs(f"task-runner-queue{number}")["queueName"] == f"task-runner-queue{number}-prod"
        consumer = stack.inputs(f"task-runner-consumer{number}")
        assert consumer["queueId"] == f"task-runner-queue{number} id"
        assert consumer["deadLetterQueue"] == "task-runner-dlq-prod"
    bindings = {each["name"]: each for each in stack.inputs("task-runner-version")["bindings"]}
    assert bindings["SHARDS"]["text"] == "3"
    assert bindings["DB_2"] == {"type": "d1", "name": "DB_2", "id": "task-runner-db-2 uuid"}
    assert bindings["TASK_QUEUE_1"]["queueName"] == "task-runner-queue-1-prod"
    assert stack.outputs["database_id_1"] == "task-runner-db-1 uuid"
    assert stack.outputs["queue_name_2"] == "task-runner-queue-2-prod"
    assert "const Store = shardedD1([3]);" in entry_point([Part("d1", 3), Part("queue", 3)])


def test_former_shards_stay_declared_and_can_be_deleted_in_time() -> None:
    former = {Part("d1", 3): UNTIL, Part("queue", 3): UNTIL}
    stack = record_task_runner(former=former, shards=2, env="prod")
    protected = [stack.resources[f"task-runner-db{number}"].protect for number in ("", "-1", "-2")]
    assert protected == [True, True, False]
    assert stack.inputs("task-runner-consumer-2")["queueId"] == "task-runner-queue-2 id"
    bindings = {each["name"]: each for each in stack.inputs("task-runner-version")["bindings"]}
    assert bindings["SHARDS"]["text"] == "2"
    assert json.loads(bindings["FORMER_UNTIL"]["text"]) == {"d1 of 3 shards": UNTIL, "queue of 3 shards": UNTIL}
    entry = entry_point([Part("d1", 2), Part("d1", 3), Part("queue", 2), Part("queue", 3)])
    assert "const Store = shardedD1([2, 3]);" in entry
    left = entry_point([Part("kv"), Part("d1", 3), Part("durable-object"), Part("d1"), Part("queue")])
    formers = "'d1 of 3 shards': shardedD1([3, 1]), 'durable-object': DurableObjectStore"
    assert f"const Store = layered(KvStore, {{ {formers} }});" in left


@pytest.mark.parametrize("name", ["DB", "MAX_RETRIES", "API_TOKENS", "SHARDS", "TASK_QUEUE_15"])
def test_a_binding_cannot_take_the_name_of_another(name: str) -> None:
    binding = cloudflare.WorkerVersionBindingArgs(type="plain_text", name=name, text="x")
    with pytest.raises(ValueError, match=f"expected names that the task runner has no use for, got {name}"):
        record_task_runner(bindings=[binding])


def test_all_bindings_that_cannot_have_their_names_are_told_at_once() -> None:
    names = ["KV", "CACHE", "SHARDS", "CACHE"]
    bindings = [cloudflare.WorkerVersionBindingArgs(type="plain_text", name=name, text="x") for name in names]
    with pytest.raises(ValueError, match=r"got KV, SHARDS, CACHE$"):
        record_task_runner(bindings=bindings)


def test_a_handler_is_a_file() -> None:
    assert "default" in read_handlers(WORKER_FOLDER)


def test_handlers_are_named_after_their_files(tmp_path: Path) -> None:
    folder = worker_folder(tmp_path, "resize.js", "send-mail.js", "_shared.js")
    entry = entry_point([Part("d1"), Part("queue")], folder)
    assert "import * as sendMailHandler from './handlers/send-mail.js';" in entry
    assert "const handlers = { 'resize': resizeHandler, 'send-mail': sendMailHandler };" in entry


def test_a_handler_that_cannot_be_called_is_an_error(tmp_path: Path) -> None:
    folder = worker_folder(tmp_path, "Resize.js", "2x.js", "good.js")
    with pytest.raises(HandlerNameError, match=r"got worker/handlers/2x\.js, worker/handlers/Resize\.js"):
        entry_point([Part("d1"), Part("queue")], folder)


def test_handlers_with_all_but_one_name_are_an_error(tmp_path: Path) -> None:
    folder = worker_folder(tmp_path, "send-mail.js", "send_mail.js", "good.js")
    with pytest.raises(HandlerNameError, match=r"differ in more than - and _, got send-mail, send_mail$"):
        entry_point([Part("d1"), Part("queue")], folder)


@pytest.mark.parametrize("name", ["0002_other.sql", "tasks.sql", "0003-more.sql"])
def test_a_migration_without_a_number_of_its_own_is_an_error(tmp_path: Path, name: str) -> None:
    folder = worker_folder(tmp_path, "good.js")
    (folder / "migrations").mkdir()
    for each in ("0001_tasks.sql", "0002_more.sql", name):
        (folder / "migrations" / each).touch()
    with pytest.raises(MigrationNameError, match=f"begin with a number of its own and _, .*got .*{name}"):
        entry_point([Part("durable-object"), Part("queue")], folder)


def test_a_handler_brings_what_it_imports(tmp_path: Path) -> None:
    folder = tmp_path / "worker"
    shutil.copytree(WORKER_FOLDER, folder)
    (folder / "handlers" / "greet.js").write_text(
        "import greeting from './texts/greeting.md.txt';\nimport './_tools.js';"
    )
    (folder / "handlers" / "_tools.js").write_text("export { x } from '../shared.js';")
    (folder / "shared.js").write_text("export const x = 1;")
    (folder / "handlers" / "texts").mkdir()
    (folder / "handlers" / "texts" / "greeting.md").write_text("import './nothing.js';")
    (folder / "unused.js").touch()
    modules: list[Any] = read_modules([Part("d1"), Part("queue")], folder)
    content_types = {each.name: each.content_type for each in modules}
    assert (
        content_types.items()
        >= {
            "handlers/greet.js": "application/javascript+module",
            "handlers/_tools.js": "application/javascript+module",
            "handlers/texts/greeting.md.txt": "text/plain",
            "shared.js": "application/javascript+module",
        }.items()
    )
    assert "unused.js" not in content_types


@pytest.mark.parametrize("path", ["./nowhere.js", "../page", "../nowhere.txt", "../../outside.js"])
def test_an_import_of_nothing_is_an_error(tmp_path: Path, path: str) -> None:
    folder = tmp_path / "worker"
    shutil.copytree(WORKER_FOLDER, folder)
    (tmp_path / "outside.js").touch()
    (folder / "handlers" / "greet.js").write_text(f"import '{path}';")
    with pytest.raises(
        MissingModuleError, match=f"worker/handlers/greet.js imports {re.escape(path)}: expected a file"
    ):
        read_modules([Part("d1"), Part("queue")], folder)


def test_imports_that_share_a_line_all_count(tmp_path: Path) -> None:
    folder = tmp_path / "worker"
    shutil.copytree(WORKER_FOLDER, folder)
    (folder / "handlers" / "greet.js").write_text(
        "import './_one.js'; import { two } from './_two.js';export * from'./_three.js'"
    )
    for name in ("one", "two", "three"):
        (folder / "handlers" / f"_{name}.js").touch()
    modules: list[Any] = read_modules([Part("d1"), Part("queue")], folder)
    names = {each.name for each in modules}
    assert {"handlers/_one.js", "handlers/_two.js", "handlers/_three.js"} <= names


def worker_folder(folder: Path, *handlers: str) -> Path:
    (folder / "handlers").mkdir()
    for name in handlers:
        (folder / "handlers" / name).write_text("export default () => null;")
    return folder


def test_a_workflow_has_its_class_in_the_worker() -> None:
    stack = record_task_runner(engine="workflow")
    assert stack.inputs("task-runner-workflow") == {
        "accountId": ACCOUNT_ID,
        "workflowName": "task-runner-workflow-dev",
        "className": "TaskWorkflow",
        "scriptName": "task-runner-dev",
    }
