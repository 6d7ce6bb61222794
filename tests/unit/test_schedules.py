"""Schedules of the stack: what may be declared, and how the Worker is told."""

import json
from pathlib import Path
from typing import Any

import pulumi
import pytest
from pulumi.runtime.rpc import is_rpc_secret

from components.schedules import CHECKS
from components.task_runner_args import TaskRunnerArgs
from tests.unit.recorded_stack import ACCOUNT_ID
from tests.unit.test_stack_config import good, problems
from tests.unit.test_task_runner import binding, record_task_runner

FIVE_FIELDS = CHECKS["cron"].expected
REPORT = {"name": "report", "cron": "0 9 * * 1-5", "timezone": "Europe/Berlin", "payload": {"of": "yesterday"}}
CLEANUP = {
    "name": "cleanup",
    "every_seconds": 900,
    "overlap": "allow",
    "max_retries": 0,
    "group": "nightly",
    "tags": {"kind": "cleanup"},
}


def test_the_worker_is_told_of_them_as_the_api_takes_them() -> None:
    stack = record_task_runner(schedules=[REPORT, CLEANUP])
    told = json.loads(json.loads(binding(stack, "SCHEDULES")["json"]))
    steering = {"everySeconds": 900, "overlap": "allow", "maxRetries": 0}
    assert told == [REPORT, {"name": "cleanup", **steering, "group": "nightly", "tags": {"kind": "cleanup"}}]
    assert stack.inputs("task-runner")["schedules"] == [REPORT, CLEANUP], "a preview shows the change"


def test_without_any_nothing_is_declared() -> None:
    names = [each["name"] for each in record_task_runner().inputs("task-runner-version")["bindings"]]
    assert "SCHEDULES" not in names


def test_durable_objects_have_a_cron_where_there_are_schedules() -> None:
    stack = record_task_runner(state_store="durable-object", schedules=[CLEANUP])
    assert stack.inputs("task-runner-sweeper")["schedules"] == [{"cron": "* * * * *"}]


def test_a_payload_may_be_an_output_and_a_secret() -> None:
    secret = pulumi.Output.secret("hush")
    stack = record_task_runner(schedules=[{**CLEANUP, "payload": secret}])
    assert is_rpc_secret(stack.inputs("task-runner-version")["bindings"])
    assert json.loads(json.loads(binding(stack, "SCHEDULES")["json"]))[0]["payload"] == "hush"


def test_a_config_has_a_list_of_them() -> None:
    assert good({"schedules": json.dumps([REPORT, CLEANUP])}).schedules == (REPORT, CLEANUP)


def test_a_config_tells_every_fault_with_its_place() -> None:
    schedules = json.dumps([{"name": "a", "crom": "x", "every_seconds": 59}, {"name": "a", "cron": "* * * * *"}])
    message = problems({"account_id": ACCOUNT_ID, "schedules": schedules})
    assert message.startswith("3 problems in the config of stack test:")
    assert "  schedules[0]: expected fields of name, cron, timezone, every_seconds" in message
    assert (
        "  schedules[0].every_seconds: expected a whole number from 60 to 31536000, got 59\n"
        "      pulumi config set --path 'schedules[0].every_seconds' <value> --stack test"
    ) in message
    assert "schedules[1].name: expected another name than those before, got 'a'" in message


@pytest.mark.parametrize(
    ("schedule", "fault"),
    [
        ({}, r"schedules\[0\].name: expected a lower-case letter, .* got nothing"),
        ({"name": "Bad"}, r"schedules\[0\].name: expected a lower-case letter, .* got 'Bad'"),
        ({"cron": None}, r"schedules\[0\].cron: expected five fields .* got None"),
        ({"every_seconds": 60, "cron": "* * * * *"}, r"expected either cron or every_seconds, got both"),
        ({"name": "a"}, r"schedules\[0\].cron: expected either cron or every_seconds, got neither"),
        ({"every_seconds": True}, r"every_seconds: expected a whole number from 60 to 31536000, got True"),
        ({"every_seconds": 60, "timezone": "Europe/Berlin"}, "timezone: expected to be unset with every_seconds"),
        ({"overlap": "never"}, "overlap: expected one of skip, allow, got 'never'"),
        ({"missed": "all"}, "overlap: expected allow with missed all"),
        ({"payload": float("nan")}, "payload: expected what JSON can hold, got nan"),
        ({"payload_base64": "?"}, "payload_base64: expected base64"),
        ({"payload": "a", "payload_base64": ""}, "payload: expected to be alone"),
        ({"parameters": {"a": 1}}, "parameters: expected a mapping of texts to texts"),
        ({"delay_seconds": 86_401}, "delay_seconds: expected a whole number from 0 to 86400"),
        ({"ttl_seconds": 59}, "ttl_seconds: expected a whole number from 60 to 604800"),
        ({"max_retries": 101}, "max_retries: expected a whole number from 0 to 100"),
        ({"callback_url": "ftp://a"}, "callback_url: expected a URL such as"),
        ({"callback_url": "https://other.example/"}, "callback_url: expected a host of http_allowed_hosts"),
        ({"group": "a b"}, "group: expected 1 to 128 visible ASCII characters, got 'a b'"),
        ({"tags": {"a": 1}}, "tags: expected a mapping of at most 8 tags"),
        ({"tags": {"1a": "x"}}, "tags: expected a mapping of at most 8 tags"),
        ({"tags": {"a": "x y"}}, "tags: expected a mapping of at most 8 tags"),
        ({"tags": {f"k{n}": "x" for n in range(9)}}, "tags: expected a mapping of at most 8 tags"),
        ({"tags": {f"k{n}": "x" * 60 for n in range(7)}}, "400 characters in all"),
        ({"on": ["done"]}, "on: expected a list of some of completed, failed, cancelled"),
        ({"on": "completed"}, "on: expected a list of some of"),
        ({"idempotency_key": "a"}, r"schedules\[0\]: expected fields of .* got 'idempotency_key'"),
    ],
)
def test_a_bad_field_is_refused(schedule: dict[str, Any], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        TaskRunnerArgs(account_id=ACCOUNT_ID, schedules=[schedule])  # type: ignore[list-item] that is what is tested


@pytest.mark.parametrize(
    "value", ["report", {"report": {}}, ["report"], [REPORT] * 101, [{**REPORT, "payload": "x" * 5_000}]]
)
def test_what_is_no_list_of_mappings_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"^schedules: expected a list of at most 100 schedules"):
        TaskRunnerArgs(account_id=ACCOUNT_ID, schedules=value)


def test_what_the_worker_would_refuse_is_told_before_anything_is_deployed() -> None:
    schedules = [
        {"name": "a", "cron": "61 * * * *"},
        {"name": "b", "cron": "0 0 30 2 *"},
        {"name": "c", "cron": "* * * * *", "timezone": "Mars/Base"},
        {"name": "d", "every_seconds": 60, "handler": "none"},
        {"name": "e", "cron": "@daily"},
        {"name": "f", "cron": "0 9 L * MON#1", "timezone": "europe/berlin"},
    ]
    with pytest.raises(pulumi.RunError) as raised:
        record_task_runner(schedules=schedules)
    assert str(raised.value).splitlines() == [
        f"schedules[0].cron: expected {FIVE_FIELDS}, got '61 * * * *'",
        "schedules[1].cron: expected one that ticks at some time, got '0 0 30 2 *'",
        "schedules[2].timezone: expected an IANA time zone such as Europe/Berlin, got 'Mars/Base'",
        f"schedules[4].cron: expected {FIVE_FIELDS}, got '@daily'",
        "schedules[3].handler: expected one of default, http, got 'none'",
    ]


def test_the_fields_are_those_of_the_api() -> None:
    source = Path("worker/api/schedules.js").read_text() + Path("worker/api/batches.js").read_text()
    for check in CHECKS.values():
        assert check.api_name == "name" or f"'{check.api_name}'" in source
