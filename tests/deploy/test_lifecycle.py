"""A stack from the first `up` to `destroy`."""

from tests.deploy.conftest import Stack

TASK_RUNNER = """
    db = cf.D1Database("db", account_id=ACCOUNT, name="tasks", read_replication={"mode": "disabled"})
    dlq = cf.Queue("dlq", account_id=ACCOUNT, queue_name="dlq")
    queue = cf.Queue("queue", account_id=ACCOUNT, queue_name="queue")
    worker = cf.Worker("worker", account_id=ACCOUNT, name="runner", subdomain={"enabled": True})
    version = cf.WorkerVersion(
        "version", account_id=ACCOUNT, worker_id=worker.id, main_module="index.js", compatibility_date="2025-04-01",
        modules=[{"name": "index.js", "content_type": "application/javascript+module", "content_base64": "Zm9v"}],
        bindings=[
            {"type": "queue", "name": "TASK_QUEUE", "queue_name": queue.queue_name},
            {"type": "d1", "name": "DB", "id": db.uuid},
        ],
    )
    deployment = cf.WorkersDeployment(
        "deployment", account_id=ACCOUNT, script_name=worker.name, strategy="percentage",
        versions=[{"percentage": 100, "version_id": version.id}],
    )
    consumer = cf.QueueConsumer(
        "consumer", account_id=ACCOUNT, queue_id=queue.queue_id, type="worker", script_name=deployment.script_name,
        dead_letter_queue=dlq.queue_name, settings={"batch_size": 10, "max_retries": 5, "max_wait_time_ms": 0},
    )
    cron = cf.WorkersCronTrigger(
        "cron", account_id=ACCOUNT, script_name=deployment.script_name, schedules=[{"cron": "* * * * *"}],
    )
    pulumi.export("url", worker.subdomain.url)
    pulumi.export("database_id", db.uuid)
    pulumi.export("consumer_id", consumer.consumer_id)
"""


def test_creates_everything_in_the_order_of_dependencies(stack: Stack) -> None:
    stack.program(TASK_RUNNER)
    stack.up()
    order = stack.deployed()
    for earlier, later in [
        ("db", "version"),
        ("queue", "version"),
        ("worker", "version"),
        ("version", "deployment"),
        ("deployment", "consumer"),
        ("dlq", "consumer"),
        ("deployment", "cron"),
    ]:
        assert order.index(earlier) < order.index(later)
    assert stack.outputs["url"] == "http://127.0.0.1/runner"
    assert stack.outputs["database_id"] == stack.api.find("d1/database")["uuid"]
    assert stack.outputs["consumer_id"] == stack.api.find("consumers")["consumer_id"]


def test_sends_the_bodies_of_the_real_provider(stack: Stack) -> None:
    stack.program(TASK_RUNNER)
    stack.up()
    api = stack.api
    assert api.bodies("d1/database") == [{"name": "tasks", "read_replication": {"mode": "disabled"}}]
    assert sorted(body["queue_name"] for body in api.bodies("POST queues") if "queue_name" in body) == ["dlq", "queue"]
    assert api.bodies("schedules") == [[{"cron": "* * * * *"}]]
    version = api.bodies("versions")[0]
    assert [binding["name"] for binding in version["bindings"]] == ["DB", "TASK_QUEUE"]
    assert version["usage_model"] == "standard"
    assert "worker_id" not in version
    worker = api.bodies("POST workers/workers")[0]
    assert worker == {
        "name": "runner",
        "logpush": False,
        "tags": [],
        "tail_consumers": [],
        "subdomain": {"enabled": True, "previews_enabled": True},
        "observability": {
            "enabled": False,
            "head_sampling_rate": 1,
            "logs": {
                "destinations": [],
                "enabled": False,
                "head_sampling_rate": 1,
                "invocation_logs": True,
                "persist": True,
            },
            "traces": {"destinations": [], "enabled": False, "head_sampling_rate": 1, "persist": True},
        },
    }
    consumer = api.bodies("consumers")[0]
    assert consumer["dead_letter_queue"] == "dlq"
    assert consumer["script_name"] == "runner"


def test_second_up_changes_nothing(stack: Stack) -> None:
    stack.program(TASK_RUNNER)
    stack.up()
    before = stack.state_path.read_bytes()
    stack.api.calls.clear()
    outcome = stack.up()
    assert stack.api.calls == []
    assert {action.value: count for action, count in outcome.tally.items()} == {"same": 8}
    assert stack.state_path.stat().st_mode & 0o777 == 0o600
    assert sorted(before) == sorted(stack.state_path.read_bytes())


def test_refresh_of_an_untouched_stack_changes_nothing(stack: Stack) -> None:
    stack.program(TASK_RUNNER)
    stack.up()
    outcome = stack.deploy("refresh")
    assert {action.value for action in outcome.tally} == {"same"}
    outcome = stack.up()
    assert {action.value for action in outcome.tally} == {"same"}


def test_destroy_is_the_reverse_and_leaves_nothing(stack: Stack) -> None:
    stack.program(TASK_RUNNER)
    stack.up()
    order = stack.deployed()
    stack.api.changes()
    outcome = stack.deploy("destroy")
    assert outcome.errors == []
    assert stack.lines("-") == order[::-1]
    assert [key for key in stack.api.objects if not key.startswith("workers/scripts")] == []
    assert not stack.state_path.exists()
    assert stack.api.changes()[-1].startswith("DELETE")


def test_destroy_of_things_that_are_gone_is_fine(stack: Stack) -> None:
    stack.program(TASK_RUNNER)
    stack.up()
    stack.api.objects.clear()
    assert stack.deploy("destroy").errors == []
    assert not stack.state_path.exists()


def test_preview_touches_nothing_and_knows_what_it_does_not_know(stack: Stack) -> None:
    stack.program(TASK_RUNNER)
    outcome = stack.deploy("preview")
    assert outcome.errors == []
    assert stack.api.changes() == []
    assert not stack.state_path.exists()
    assert len(stack.lines("+")) == 8
    assert set(outcome.outputs.values()) == {"04da6b54-80e4-46f7-96ec-b56ff0331ba9"}
