"""What was changed behind the stack's back."""

import pytest

from local.pulumi.steps import Action
from tests.deploy.conftest import Stack
from tests.deploy.test_changes import CONSUMER, VERSION


def test_a_changed_setting_is_seen_and_mended(stack: Stack) -> None:
    stack.program(CONSUMER.format(queue="a", rest='type="http_pull", settings={"max_retries": 3}'))
    stack.up()
    consumer = stack.api.find("consumers")
    consumer["settings"] = {"max_retries": 1, "batch_size": 10}
    outcome = stack.deploy("refresh")
    assert outcome.tally[Action.UPDATE] == 1
    assert "~ settings.maxRetries: 3 → 1" in stack.shown
    assert "batchSize" not in stack.shown, "only what is configured counts"
    stack.up()
    assert stack.lines("~") == ["consumer"]
    assert stack.api.find("consumers")["settings"]["max_retries"] == 3


def test_a_resource_that_is_gone_leaves_the_state_and_is_made_again(stack: Stack) -> None:
    stack.program(CONSUMER.format(queue="a", rest='type="http_pull"'))
    stack.up()
    del stack.api.objects[next(path for path in stack.api.objects if "consumers" in path)]
    outcome = stack.deploy("refresh")
    assert outcome.tally[Action.DELETE] == 1
    assert stack.lines("-") == ["consumer"]
    stack.up()
    assert stack.lines("+") == ["consumer"]


def test_refresh_touches_nothing(stack: Stack) -> None:
    stack.program(CONSUMER.format(queue="a", rest='type="http_pull"'))
    stack.up()
    stack.api.changes()
    stack.deploy("refresh")
    assert {call.method for call in stack.api.calls} == {"GET"}


def test_a_resource_that_cannot_be_read_is_kept(stack: Stack) -> None:
    stack.program(CONSUMER.format(queue="a", rest='type="http_pull"'))
    stack.up()
    stack.api.fault = lambda _call: (403, "Authentication error")
    outcome = stack.deploy("refresh")
    assert "Authentication error" in outcome.errors[0]
    assert len(stack.deployed()) == 3


def test_a_version_is_read_with_its_modules_and_keeps_its_texts(stack: Stack) -> None:
    bindings = """
        {"type": "secret_text", "name": "S", "text": "hush"}, {"type": "json", "name": "J", "json": '{"a":1}'},
        {"type": "d1", "name": "DB", "id": "uuid"},
    """
    stack.program(VERSION.format(content='"content_base64": "b25l"', bindings=bindings))
    stack.up()
    shown = stack.api.find("versions")
    assert shown["bindings"][1] == {"type": "json", "name": "J", "json": {"a": 1}}
    del shown["bindings"][2]["text"]
    shown["bindings"][0] = {"type": "d1", "name": "DB", "database_id": "uuid"}
    stack.api.calls.clear()
    stack.deploy("refresh")
    assert {"include": "modules"} in [call.query for call in stack.api.calls]
    stack.up()
    assert stack.lines("+-") == []
    shown["bindings"].append({"type": "plain_text", "name": "EXTRA", "text": "theirs"})
    stack.deploy("refresh")
    stack.up()
    assert stack.lines("+-") == ["version", "deployment"]


def test_attributes_that_the_provider_does_not_read_back(stack: Stack) -> None:
    stack.program('cf.D1Database("db", account_id=ACCOUNT, name="db", primary_location_hint="weur")')
    stack.up()
    del stack.api.find("d1")["primary_location_hint"]
    stack.deploy("refresh")
    stack.up()
    assert stack.lines("+-") == []


DEPLOYED = """
    worker = cf.Worker("worker", account_id=ACCOUNT, name="w")
    cf.WorkersDeployment(
        "deployment", account_id=ACCOUNT, script_name=worker.name, strategy="percentage",
        versions=[{"percentage": 100, "version_id": "ours"}],
    )
    cf.WorkersCronTrigger(
        "cron", account_id=ACCOUNT, script_name=worker.name,
        schedules=[{"cron": "* * * * *"}, {"cron": "0 0 * * *"}],
    )
"""
DEPLOYMENTS = "workers/scripts/w/deployments"
SCHEDULES = "workers/scripts/w/schedules"


def test_a_deployment_that_is_no_longer_in_force_is_seen_and_made_again(stack: Stack) -> None:
    stack.program(DEPLOYED)
    stack.up()
    theirs = {"id": "theirs", "strategy": "percentage", "versions": [{"percentage": 100, "version_id": "theirs"}]}
    stack.api.objects[f"{DEPLOYMENTS}/theirs"] = theirs
    outcome = stack.deploy("refresh")
    assert outcome.tally[Action.UPDATE] == 1
    assert '~ versions[0].versionId: "ours" → "theirs"' in stack.shown
    stack.up()
    assert stack.lines("+-") == ["deployment"]
    newest = [stack.api.objects[path] for path in stack.api.objects if path.startswith(DEPLOYMENTS)][-1]
    assert newest["versions"] == [{"percentage": 100, "version_id": "ours"}]
    assert stack.deploy("refresh").tally[Action.UPDATE] == 0


def test_a_worker_without_any_deployment_gets_one_again(stack: Stack) -> None:
    stack.program(DEPLOYED)
    stack.up()
    del stack.api.objects[next(path for path in stack.api.objects if path.startswith(DEPLOYMENTS))]
    stack.deploy("refresh")
    assert stack.lines("-") == ["deployment"]
    stack.up()
    assert stack.lines("+") == ["deployment"]


@pytest.mark.parametrize(
    "crons", [[], ["* * * * *"], ["* * * * *", "5 5 * * *"], ["* * * * *", "0 0 * * *", "5 5 * * *"]]
)
def test_changed_schedules_are_seen_and_mended(stack: Stack, crons: list[str]) -> None:
    stack.program(DEPLOYED)
    stack.up()
    stack.api.objects[SCHEDULES] = {"schedules": [{"cron": cron, "created_on": "today"} for cron in crons]}
    assert stack.deploy("refresh").tally[Action.UPDATE] == 1
    stack.up()
    assert stack.lines("~") == ["cron"]
    assert stack.api.objects[SCHEDULES] == {"schedules": [{"cron": "* * * * *"}, {"cron": "0 0 * * *"}]}


def test_schedules_in_another_order_are_the_same(stack: Stack) -> None:
    stack.program(DEPLOYED)
    stack.up()
    stack.api.objects[SCHEDULES]["schedules"].reverse()
    assert stack.deploy("refresh").tally[Action.UPDATE] == 0


def test_a_changed_dead_letter_queue_is_seen_and_mended(stack: Stack) -> None:
    stack.program(CONSUMER.format(queue="a", rest='type="http_pull", dead_letter_queue="dead"'))
    stack.up()
    for change in ("other", None):
        stack.api.find("consumers")["dead_letter_queue"] = change
        assert stack.deploy("refresh").tally[Action.UPDATE] == 1
        stack.up()
        assert stack.lines("~") == ["consumer"]
        assert stack.api.find("consumers")["dead_letter_queue"] == "dead"
