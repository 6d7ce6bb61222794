"""Which resources there are, with which inputs, and the order in which they need each other, for every combination."""

import itertools
import json
import pickle
from pathlib import Path
from typing import Any

import pulumi
import pulumi_cloudflare as cloudflare
import pytest
from pulumi.runtime.rpc import is_rpc_secret, unwrap_rpc_secret

from components import TaskRunner
from components.part import DEFAULT_OBJECTS
from components.task_runner_args import TaskRunnerArgs
from components.worker_code import MIGRATIONS_FOLDER
from tests.unit.recorded_stack import ACCOUNT_ID, RecordedStack, record_component, record_task_runner, task_runner_args


@pytest.fixture(scope="module", autouse=True)
def folder(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The program's folder: modules for the upload are written there."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("program"))
        yield


@pytest.fixture(scope="module")
def stack(folder: None) -> RecordedStack:  # noqa: ARG001 for its effect
    return record_task_runner()


COMMON = {
    "task-runner": "ephemera:index:TaskRunner",
    "task-runner-parts": "pulumi-python:dynamic/task-runner:Parts",
    "task-runner-worker": "cloudflare:index/worker:Worker",
    "task-runner-version": "cloudflare:index/workerVersion:WorkerVersion",
    "task-runner-rollout": "pulumi-python:dynamic/task-runner:Rollout",
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
        "KEEP_PAYLOAD": "unfinished",
        "MAX_RETRIES": "5",
        "RETRY_BACKOFF": "exponential",
        "RETRY_DELAY_SECONDS": "1",
        "RETRY_MAX_DELAY_SECONDS": "3600",
    }
    bindings: list[dict[str, Any]] = [
        {"type": "json", "name": name, "json": json.dumps(text)} for name, text in texts.items()
    ]
    bindings.append({"type": "version_metadata", "name": "CF_VERSION_METADATA"})
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
    assert all(name.endswith(f"-{env}") for name in cloudflare_names(stack))
    version = stack.inputs("task-runner-version")
    assert version["bindings"] == bindings_of(store, engine, env)
    durable_object = store == "durable-object"
    exports = {"TaskObject": {"type": "durable-object", "storage": "sqlite"}}
    assert version.get("exports") == (exports if durable_object else None)
    assert version.get("deploy") == (True if durable_object else None)
    assert stack.inputs("task-runner-sweeper")["schedules"] == ([] if durable_object else [{"cron": "* * * * *"}])
    holder = {"d1": "task-runner-db", "kv": "task-runner-kv", "durable-object": "task-runner-worker"}[store]
    protected = {name for name, each in stack.resources.items() if each.protect}
    assert protected == ({holder} if env in {"uat", "prod"} else set())


def cloudflare_names(stack: RecordedStack) -> list[str]:
    keys = ("name", "queueName", "title", "workflowName")
    inputs = [each.inputs for name, each in stack.resources.items() if name != "task-runner"]
    return [each[key] for each in inputs for key in keys if key in each]


def test_resources_are_called_after_the_component() -> None:
    mail, images = (record_task_runner(name, rate_limit_requests=5) for name in ("mail", "images"))
    assert sorted(cloudflare_names(mail)) == ["mail-db-dev", "mail-dev", "mail-dlq-dev", "mail-queue-dev"]
    assert set(cloudflare_names(mail)).isdisjoint(cloudflare_names(images))
    limits = [
        binding(stack, "RATE_LIMITER", name)["namespaceId"] for stack, name in ((mail, "mail"), (images, "images"))
    ]
    assert limits[0] != limits[1]
    assert all(int(each) > 0 for each in limits)


def binding(stack: RecordedStack, binding_name: str, component: str = "task-runner") -> dict[str, Any]:
    """The binding of a name."""
    bindings = unwrap_rpc_secret(stack.inputs(f"{component}-version")["bindings"])
    return next(each for each in bindings if each["name"] == binding_name)


@pytest.mark.parametrize("name", ["Task", "1", "-a", "a-", "a_b", "a" * 41, ""])
def test_a_name_that_cloudflare_would_not_take_is_an_error(name: str) -> None:
    with pytest.raises(ValueError, match="expected a task runner's name to be at most 40 lower-case letters"):
        record_task_runner(name)


def test_two_stand_side_by_side_in_one_program() -> None:
    def declare() -> TaskRunner:
        TaskRunner("mail", task_runner_args())
        return TaskRunner("images", task_runner_args(state_store="kv", engine="workflow"))

    stack = record_component(declare)
    assert {"mail-version", "images-version", "mail-queue", "images-kv"} <= set(stack.resources)
    names = [name for name in cloudflare_names(stack) if name != "images-dev"]  # the Worker's and the namespace's
    assert len(names) == len(set(names)) == 5


def test_a_program_can_declare_any_number_of_them() -> None:
    """Pulumi's SDK makes pickle recurse once more with each dynamic resource: a few hundred would be the most."""
    before = getattr(pickle._Pickler, "_batch_setitems")  # pyright: ignore # noqa: B009
    record_task_runner()
    assert getattr(pickle._Pickler, "_batch_setitems") is before  # pyright: ignore # noqa: B009


def test_no_declared_input_depends_on_time_or_network(monkeypatch: pytest.MonkeyPatch) -> None:
    first = record_task_runner(former_state_stores=["kv"], former_engines=["workflow"], former_shards=[2])

    def unreachable(*_: object, **__: object) -> None:
        raise AssertionError("the program asks nobody")

    monkeypatch.setattr("socket.socket.connect", unreachable)
    monkeypatch.setattr("time.time", lambda: 4_102_444_800.0)
    second = record_task_runner(former_state_stores=["kv"], former_engines=["workflow"], former_shards=[2])
    assert second.resources == first.resources


def test_former_parts_stay_declared_beside_the_present_ones() -> None:
    stack = record_task_runner(
        state_store="kv", engine="workflow", env="prod", former_state_stores=["d1"], former_engines=["queue"]
    )
    assert set(stack.resources) == {
        name for part in (COMMON, STORES["kv"], STORES["d1"], *ENGINES.values()) for name in part
    }
    version = stack.inputs("task-runner-version")
    assert {"DB", "KV", "TASK_DLQ", "TASK_QUEUE", "TASK_WORKFLOW"} <= {each["name"] for each in version["bindings"]}
    assert {"namespace_id", "database_id", "dlq_id", "workflow_name"} <= set(stack.outputs)
    assert stack.resources["task-runner-kv"].protect
    assert not stack.resources["task-runner-db"].protect, "it is to go once its tasks are over"


def test_a_former_durable_object_class_stays_until_its_data_is_to_be_deleted() -> None:
    kept = record_task_runner(former_state_stores=["durable-object"]).inputs("task-runner-version")
    assert kept["exports"] == {"TaskObject": {"type": "durable-object", "storage": "sqlite"}}
    deleted = record_task_runner(durable_object_data="delete").inputs("task-runner-version")
    assert deleted["exports"] == {"TaskObject": {"type": "durable-object", "state": "deleted"}}
    assert deleted["deploy"] is True


def test_what_holds_tasks_is_recorded_before_anything_else() -> None:
    stack = record_task_runner(shards=2, former_state_stores=["kv"], former_shards=[3])
    recorded = stack.inputs("task-runner-parts")
    assert (recorded["account_id"], recorded["deletes_objects"]) == (ACCOUNT_ID, False)
    assert [(each["what"], each["keep"], each["in_use"]) for each in recorded["parts"]] == [
        ("D1 database task-runner-db-dev", "former_state_stores: d1", True),
        ("D1 database task-runner-db-1-dev", "former_shards: 2", True),
        ("D1 database task-runner-db-2-dev", "former_shards: 2", False),
        ("KV namespace task-runner-dev", "former_state_stores: kv", False),
        ("queue task-runner-queue-dev", "former_engines: queue", True),
        ("queue task-runner-queue-1-dev", "former_shards: 2", True),
        ("queue task-runner-queue-2-dev", "former_shards: 2", False),
        ("dead-letter queue task-runner-dlq-dev", "former_engines: queue", True),
    ]
    others = set(stack.resources) - {"task-runner", "task-runner-parts"}
    assert all(stack.precedes("task-runner-parts", each) for each in others)
    objects = record_task_runner(state_store="durable-object", engine="workflow", shards=6)
    assert [(each["what"], each["keep"]) for each in objects.inputs("task-runner-parts")["parts"][1:3]] == [
        ("Durable Object tasks-4 of Worker task-runner-dev", "former_shards: 6"),
        ("Durable Object tasks-5 of Worker task-runner-dev", "former_shards: 6"),
    ]


def test_inputs_of_the_usual_combination(stack: RecordedStack) -> None:
    """One picture of what is sent for each resource; what must hold of all combinations has tests of its own."""
    account = {"accountId": ACCOUNT_ID}
    settings = {"deliveryDelay": 0, "deliveryPaused": False, "messageRetentionPeriod": 345_600}
    expected: dict[str, dict[str, Any]] = {
        "db": {**account, "name": "task-runner-db-dev", "readReplication": {"mode": "disabled"}},
        "queue": {**account, "queueName": "task-runner-queue-dev", "settings": settings},
        "dlq": {**account, "queueName": "task-runner-dlq-dev", "settings": settings},
        "dlq-consumer": {
            **account,
            "queueId": "task-runner-dlq id",
            "type": "http_pull",
            "settings": {"batchSize": 10, "maxRetries": 100, "retryDelay": 0, "visibilityTimeoutMs": 30_000},
        },
        "worker": {
            **account,
            "name": "task-runner-dev",
            "subdomain": {"enabled": True, "previewsEnabled": False},
            "observability": {
                "enabled": True,
                "headSamplingRate": 1,
                "logs": {"enabled": True, "headSamplingRate": 1, "invocationLogs": True, "persist": True},
            },
        },
        "deployment": {
            **account,
            "scriptName": "task-runner-dev",
            "strategy": "percentage",
            "versions": [{"percentage": 100, "versionId": "v2"}],
        },
        "consumer": {
            **account,
            "queueId": "task-runner-queue id",
            "type": "worker",
            "scriptName": "task-runner-dev",
            "deadLetterQueue": "task-runner-dlq-dev",
            "settings": {"batchSize": 10, "maxConcurrency": 10, "maxRetries": 5, "maxWaitTimeMs": 0, "retryDelay": 1},
        },
        "sweeper": {**account, "scriptName": "task-runner-dev", "schedules": [{"cron": "* * * * *"}]},
    }
    assert {name: stack.inputs(f"task-runner-{name}") for name in expected} == expected


def test_migrations(stack: RecordedStack) -> None:
    inputs = stack.inputs("task-runner-db-migrations")
    assert inputs["account_id"] == ACCOUNT_ID
    assert inputs["database_id"] == "task-runner-db uuid"
    assert [(each["name"], each["sql"]) for each in inputs["migrations"]] == [
        (file.name, file.read_text()) for file in sorted(MIGRATIONS_FOLDER.glob("*.sql"))
    ]


def test_code_goes_up_as_files_that_are_named_after_their_content(stack: RecordedStack) -> None:
    inputs = stack.inputs("task-runner-version")
    assert (inputs["mainModule"], inputs["compatibilityDate"]) == ("index.js", "2026-10-01")
    assert "compatibilityFlags" not in inputs
    modules = {each["name"]: each for each in inputs["modules"]}
    assert set(modules) == {"index.js", "index.js.map"}
    assert all(set(each) == {"name", "contentType", "contentFile"} for each in modules.values())
    assert all(Path(each["contentFile"]).parts[0] == ".ephemera" for each in modules.values())
    assert modules["index.js.map"]["contentType"] == "application/source-map"
    again = record_task_runner(max_retries=7).inputs("task-runner-version")
    assert again["modules"] == inputs["modules"]


def test_a_preview_shows_settings_and_code_but_no_secret() -> None:
    token = "a-token-of-which-nobody-may-know-0"  # noqa: S105 it opens nothing
    tokens = [{"name": "ci", "role": "submit", "token": token}]
    inputs = record_task_runner(api_tokens=tokens, max_retries=7).inputs("task-runner")
    assert inputs["max_retries"] == 7
    assert inputs["api_tokens"] == ["ci: submit"]
    assert inputs["code"]["worker/handlers/default.js"].endswith(" bytes")
    assert token not in json.dumps(inputs)


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
    assert stack.outputs.pop("code_bytes") > 10_000
    assert stack.outputs == {
        "version_id": "task-runner-version id",
        "deployment_id": "task-runner-deployment id",
        "url": "http://worker",
        "worker_name": "task-runner-dev",
        "database_name": "task-runner-db-dev",
        "database_id": "task-runner-db uuid",
        "database_ids": ["task-runner-db uuid"],
        "queue_name": "task-runner-queue-dev",
        "queue_id": "task-runner-queue id",
        "queue_ids": ["task-runner-queue id"],
        "dlq_name": "task-runner-dlq-dev",
        "dlq_id": "task-runner-dlq id",
    }


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"state_store": "kv"}, {"namespace_name": "task-runner-dev", "namespace_id": "task-runner-kv id"}),
        ({"state_store": "durable-object"}, {"durable_object_class": "TaskObject"}),
        ({"engine": "workflow"}, {"workflow_name": "task-runner-workflow-dev"}),
        ({"domain": "tasks.example.com"}, {"url": "https://tasks.example.com"}),
    ],
)
def test_outputs_of_the_other_parts(settings: dict[str, Any], names: dict[str, str]) -> None:
    assert names.items() <= record_task_runner(**settings).outputs.items()


def test_a_consumer_has_a_retry_though_tasks_have_none() -> None:
    stack = record_task_runner(max_retries=0)
    assert stack.inputs("task-runner-consumer")["settings"]["maxRetries"] == 1
    assert texts(stack)["MAX_RETRIES"] == "0"


def test_every_setting_of_the_queues_reaches_its_resource() -> None:
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


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [10]),
        ({"shards": 3}, [10, 10, 10]),
        ({"state_store": "durable-object"}, [40]),
        ({"state_store": "durable-object", "shards": 3}, [10, 10, 10]),
        ({"state_store": "kv"}, [250]),
        ({"state_store": "kv", "shards": 2}, [250, 250]),
        ({"max_concurrency": 77}, [77]),
        ({"state_store": "kv", "max_concurrency": 1, "shards": 2}, [1, 1]),
    ],
)
def test_no_more_batches_are_in_work_than_the_store_can_bear(settings: dict[str, Any], expected: list[int]) -> None:
    resources = record_task_runner(**settings).resources
    consumers = [each.inputs for name, each in resources.items() if name.startswith("task-runner-consumer")]
    assert [each["settings"]["maxConcurrency"] for each in consumers] == expected


def test_as_many_objects_are_counted_on_as_there_are() -> None:
    source = (MIGRATIONS_FOLDER.parent / "stores" / "durable_object.js").read_text()
    assert f"const OBJECTS = {DEFAULT_OBJECTS};" in source


def test_cpu_time_is_limited_by_cloudflare_unless_it_is_set(stack: RecordedStack) -> None:
    assert "limits" not in stack.inputs("task-runner-version")
    assert record_task_runner(cpu_ms=300_000).inputs("task-runner-version")["limits"] == {"cpuMs": 300_000}


def test_what_operators_pause_stays_paused(stack: RecordedStack) -> None:
    queues = ("task-runner-queue", "task-runner-dlq")
    assert {stack.resources[each].ignore_changes for each in queues} == {("settings.deliveryPaused",)}


def texts(stack: RecordedStack) -> dict[str, Any]:
    """The texts of a version's bindings, by name."""
    bindings = stack.inputs("task-runner-version")["bindings"]
    return {each["name"]: json.loads(each["json"]) for each in bindings if each["type"] == "json"}


@pytest.mark.parametrize("engine", ENGINES)
def test_the_settings_of_the_worker_reach_it(engine: str) -> None:
    stack = record_task_runner(
        engine=engine,
        max_retries=7,
        retry_delay_seconds=30,
        retry_backoff="constant",
        retry_max_delay_seconds=90,
        cors_origins=("https://a.example", "https://b.example"),
        http_allowed_hosts=("api.example", "*.b.example:8443"),
        keep_payload="always",
        database_limit_mb=500,
    )
    assert texts(stack) == {
        "MAX_RETRIES": "7",
        "RETRY_DELAY_SECONDS": "30",
        "RETRY_BACKOFF": "constant",
        "RETRY_MAX_DELAY_SECONDS": "90",
        "CORS_ORIGINS": "https://a.example https://b.example",
        "HTTP_ALLOWED_HOSTS": "api.example *.b.example:8443",
        "KEEP_PAYLOAD": "always",
        "DATABASE_LIMIT_MB": "500",
    }


def test_settings_of_production_reach_their_resources() -> None:
    stack = record_task_runner(
        domain="tasks.example.com",
        route="example.com/tasks/*",
        zone_id="f" * 32,
        workers_dev=False,
        placement="smart",
        compatibility_flags=["nodejs_compat"],
        log_sampling_rate=0.1,
        log_destinations=["grafana"],
        log_persist=False,
        trace_sampling_rate=0.05,
        trace_destinations=["tempo"],
        jurisdiction="eu",
    )
    assert stack.inputs("task-runner-domain") == {
        "accountId": ACCOUNT_ID,
        "hostname": "tasks.example.com",
        "service": "task-runner-dev",
        "zoneId": "f" * 32,
    }
    assert stack.inputs("task-runner-route") == {
        "zoneId": "f" * 32,
        "pattern": "example.com/tasks/*",
        "script": "task-runner-dev",
    }
    assert stack.precedes("task-runner-deployment", "task-runner-domain")
    worker = stack.inputs("task-runner-worker")
    assert worker["subdomain"]["enabled"] is False
    assert (worker["observability"]["headSamplingRate"], worker["observability"]["logs"]["headSamplingRate"]) == (
        0.1,
        0.1,
    )
    assert worker["observability"]["logs"]["destinations"] == ["grafana"]
    assert worker["observability"]["logs"]["persist"] is False
    assert worker["observability"]["traces"] == {
        "enabled": True,
        "headSamplingRate": 0.05,
        "persist": True,
        "destinations": ["tempo"],
    }
    version = stack.inputs("task-runner-version")
    assert (version["placement"], version["compatibilityFlags"]) == ({"mode": "smart"}, ["nodejs_compat"])
    assert texts(stack)["JURISDICTION"] == "eu"
    assert {stack.inputs(f"task-runner-{each}")["jurisdiction"] for each in ("db", "queue", "dlq")} == {"eu"}
    region = record_task_runner(placement="aws:us-east-1", state_store="kv", jurisdiction="us")
    assert region.inputs("task-runner-version")["placement"] == {"region": "aws:us-east-1"}
    assert region.inputs("task-runner-kv")["jurisdiction"] == "us"


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"log_persist": False}, "log_persist: expected true without log_destinations: nobody would have the logs"),
        (
            {"trace_sampling_rate": 1, "trace_persist": False},
            "trace_persist: expected true without trace_destinations: nobody would have the traces",
        ),
        ({"trace_destinations": ["a"]}, "trace_destinations: expected to be unset with trace_sampling_rate 0"),
        ({"trace_sampling_rate": 1.1}, "trace_sampling_rate: expected a number from 0 to 1, got 1.1"),
    ],
)
def test_logs_and_traces_go_somewhere(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        TaskRunnerArgs(account_id=ACCOUNT_ID, **settings)


def test_a_workflow_has_its_class_in_the_worker() -> None:
    inputs = {
        "accountId": ACCOUNT_ID,
        "workflowName": "task-runner-workflow-dev",
        "className": "TaskWorkflow",
        "scriptName": "task-runner-dev",
    }
    assert record_task_runner(engine="workflow").inputs("task-runner-workflow") == inputs
    limited = record_task_runner(engine="workflow", workflow_concurrency=9, workflow_error_retention_seconds=60)
    assert limited.inputs("task-runner-workflow") == {
        **inputs,
        "concurrency": {"limit": 9},
        "defaultRetention": {"errorRetention": 60_000},
    }


TOKEN = "a-token-of-which-nobody-may-know-0"  # noqa: S105 it opens nothing


def test_the_worker_is_given_digests_of_the_tokens_and_they_are_secret() -> None:
    tokens = [{"name": "ci", "role": "submit", "token": TOKEN}, {"name": "me", "token": TOKEN[::-1]}]
    stack = record_task_runner(api_tokens=tokens)
    assert is_rpc_secret(stack.inputs("task-runner-version")["bindings"])
    bound = binding(stack, "API_TOKENS")
    assert bound["type"] == "secret_text"
    assert json.loads(bound["text"]) == [
        {
            "name": "ci",
            "role": "submit",
            "sha256": "49f61463999881b7d1dc75111f7c6476b46f4caf6662193fc204ba5218730cac",
        },
        {
            "name": "me",
            "role": "operate",
            "sha256": "5743d5f66df480c1fa63c18c5441966e599afbd29ee48b3c0bf60ac14742b36a",
        },
    ]


def test_a_rate_limit_counts_by_worker() -> None:
    bound = [
        binding(record_task_runner(env=env, rate_limit_requests=100, rate_limit_period_seconds=10), "RATE_LIMITER")
        for env in ("dev", "stg")
    ]
    assert bound[0]["simple"] == {"limit": 100, "period": 10}
    assert bound[0]["namespaceId"] != bound[1]["namespaceId"]


def test_handlers_get_bindings_of_their_own() -> None:
    bucket = cloudflare.WorkerVersionBindingArgs(type="r2_bucket", name="IMAGES", bucket_name="images")
    for given in (bucket, {"type": "r2_bucket", "name": "IMAGES", "bucket_name": "images"}):
        stack = record_task_runner(bindings=[given])
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
    assert texts(stack)["SHARDS"] == "3"
    assert binding(stack, "DB_2") == {"type": "d1", "name": "DB_2", "id": "task-runner-db-2 uuid"}
    assert binding(stack, "TASK_QUEUE_1")["queueName"] == "task-runner-queue-1-prod"
    assert stack.outputs["database_ids"][1] == "task-runner-db-1 uuid"
    assert stack.outputs["queue_ids"][2] == "task-runner-queue-2 id"


def test_former_shards_stay_declared_and_can_be_deleted_in_time() -> None:
    stack = record_task_runner(former_shards=[3], shards=2, env="prod")
    protected = [stack.resources[f"task-runner-db{number}"].protect for number in ("", "-1", "-2")]
    assert protected == [True, True, False]
    assert stack.inputs("task-runner-consumer-2")["queueId"] == "task-runner-queue-2 id"
    assert texts(stack)["SHARDS"] == "2"


@pytest.mark.parametrize("name", ["DB", "MAX_RETRIES", "API_TOKENS", "SHARDS", "TASK_QUEUE_15"])
def test_a_binding_cannot_take_the_name_of_another(name: str) -> None:
    bound = cloudflare.WorkerVersionBindingArgs(type="plain_text", name=name, text="x")
    with pytest.raises(ValueError, match=f"expected names that the task runner has no use for, got {name}"):
        record_task_runner(bindings=[bound])


def test_all_bindings_that_cannot_have_their_names_are_told_at_once() -> None:
    names = ["KV", "CACHE", "SHARDS", "CACHE"]
    bindings = [cloudflare.WorkerVersionBindingArgs(type="plain_text", name=name, text="x") for name in names]
    with pytest.raises(ValueError, match=r"got KV, SHARDS, CACHE$"):
        record_task_runner(bindings=bindings)


def test_children_have_the_options_of_the_component() -> None:
    def declare() -> TaskRunner:
        provider = cloudflare.Provider("other", api_token="0" * 40)
        first = cloudflare.R2Bucket("bucket", account_id=ACCOUNT_ID, name="images")
        opts = pulumi.ResourceOptions(
            providers=[provider], depends_on=[first], protect=True, aliases=[pulumi.Alias(name="old")]
        )
        return TaskRunner("task-runner", task_runner_args(), opts)

    stack = record_component(declare)
    children = {name: each for name, each in stack.resources.items() if each.parent == "task-runner"}
    assert {each.provider for each in children.values() if each.type.startswith("cloudflare:")} == {"other"}
    assert all(each.protect for each in children.values())
    assert all(stack.precedes("bucket", name) for name in children)
    migrations = unwrap_rpc_secret(stack.inputs("task-runner-db-migrations")["provider"])
    assert unwrap_rpc_secret(migrations["api_token"]) == "0" * 40
