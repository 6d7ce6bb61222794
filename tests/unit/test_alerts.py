"""Alerts of the stack: what may be set, and how the Worker is told."""

import json
from typing import Any

import pulumi
import pytest
from pulumi.runtime.rpc import is_rpc_secret

from components.alerts import LIMITS, TUNING
from components.task_runner_args import TaskRunnerArgs
from tests.unit.recorded_stack import ACCOUNT_ID
from tests.unit.test_stack_config import good, problems
from tests.unit.test_task_runner import binding, record_task_runner

HOSTS = ["hooks.example"]
ALERTS: dict[str, Any] = {"url": "https://hooks.example/a?key=1", "dead_letters": 1, "failure_percent": 10}


def test_the_worker_is_told_of_them_with_its_own_name_and_what_holds_where_nothing_is_said() -> None:
    stack = record_task_runner(alerts={**ALERTS, "hold_seconds": 0}, http_allowed_hosts=HOSTS)
    assert json.loads(json.loads(binding(stack, "ALERTS")["json"])) == {
        "worker": "task-runner-dev",
        "url": ALERTS["url"],
        "limits": {"dead_letters": 1, "failure_percent": 10},
        "failure_minutes": 15,
        "failure_min_tasks": 20,
        "hold_seconds": 0,
        "resolve_percent": 80,
        "remind_seconds": 0,
    }


def test_without_any_the_worker_is_told_nothing() -> None:
    bindings = record_task_runner().inputs("task-runner-version")["bindings"]
    assert "ALERTS" not in {each["name"] for each in bindings}


def test_durable_objects_have_a_cron_where_there_are_alerts() -> None:
    stack = record_task_runner(state_store="durable-object", alerts=ALERTS, http_allowed_hosts=HOSTS)
    assert stack.inputs("task-runner-sweeper")["schedules"] == [{"cron": "* * * * *"}]


def test_the_url_may_be_an_output_and_a_secret() -> None:
    secret = pulumi.Output.secret(ALERTS["url"])
    stack = record_task_runner(alerts={**ALERTS, "url": secret}, http_allowed_hosts=HOSTS)
    assert is_rpc_secret(stack.inputs("task-runner-version")["bindings"])
    assert json.loads(json.loads(binding(stack, "ALERTS")["json"]))["url"] == ALERTS["url"]


def test_a_config_has_a_mapping_of_them() -> None:
    assert good({"alerts": json.dumps(ALERTS), "http_allowed_hosts": "hooks.example"}).alerts == ALERTS
    for none in ("{}", "[]", ""):
        assert good({"alerts": none}).alerts == ()


def test_a_config_tells_every_fault_with_its_place() -> None:
    alerts = {"url": "https://other.example/", "failure_percent": 101, "dead_leters": 1, "hold_seconds": -1}
    message = problems({"account_id": ACCOUNT_ID, "alerts": json.dumps(alerts), "http_allowed_hosts": "hooks.example"})
    assert message.startswith("4 problems in the config of stack test:")
    assert (
        "  alerts.failure_percent: expected a whole number from 1 to 100, got 101\n"
        "      pulumi config set --path alerts.failure_percent <value> --stack test"
    ) in message
    assert "  alerts: expected fields of url, backlog_age_seconds, dead_letters" in message
    assert "got 'dead_leters'" in message
    assert "  alerts.url: expected a host of http_allowed_hosts, which alerts are posted to" in message
    assert "  alerts.hold_seconds: expected a whole number from 0 to 86400, got -1" in message


@pytest.mark.parametrize(
    ("alerts", "fault"),
    [
        ({"dead_letters": 1}, "alerts.url: expected a URL such as https://hooks.example/alerts, got nothing"),
        ({"url": ALERTS["url"]}, "alerts: expected one or more of backlog_age_seconds, dead_letters"),
        ({**ALERTS, "url": "ftp://hooks.example/"}, "alerts.url: expected a URL such as"),
        (
            {"url": ALERTS["url"], "dead_letters": 1, "failure_minutes": 5},
            "failure_minutes: expected to be unset without",
        ),
        ({"url": ALERTS["url"], "dead_letters": 1, "failure_min_tasks": 5}, "failure_min_tasks: expected to be unset"),
        ({**ALERTS, "failure_minutes": 16}, "alerts.failure_minutes: expected a whole number from 1 to 15, got 16"),
        ({**ALERTS, "resolve_percent": 0}, "alerts.resolve_percent: expected a whole number from 1 to 100, got 0"),
        (
            {**ALERTS, "remind_seconds": 60},
            "remind_seconds: expected a whole number from 300 to 604800, or 0 for never",
        ),
        (
            {**ALERTS, "dead_letters": True},
            "alerts.dead_letters: expected a whole number from 1 to 1000000000, got True",
        ),
        ("x", "alerts: expected a mapping of url, one or more of"),
        ([ALERTS], "alerts: expected a mapping of url"),
        ({**ALERTS, "url": "https://hooks.example/" + "x" * 5_000}, "alerts: expected a mapping of url"),
    ],
)
def test_bad_alerts_are_refused(alerts: Any, fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        TaskRunnerArgs(account_id=ACCOUNT_ID, alerts=alerts, http_allowed_hosts=HOSTS)


@pytest.mark.parametrize("name", [*LIMITS, *TUNING])
def test_numbers_may_be_the_ends_of_their_ranges(name: str) -> None:
    rule = LIMITS[name] if name in LIMITS else TUNING[name][0]
    for number in (rule.minimum, rule.maximum):
        TaskRunnerArgs(account_id=ACCOUNT_ID, alerts={**ALERTS, name: number}, http_allowed_hosts=HOSTS)  # type: ignore[typeddict-item] a name of a field


def test_what_a_store_or_an_engine_does_not_have_is_refused() -> None:
    age: Any = {"url": ALERTS["url"], "backlog_age_seconds": 60}
    with pytest.raises(ValueError, match=r"alerts\.backlog_age_seconds: expected to be unset with engine workflow"):
        TaskRunnerArgs(account_id=ACCOUNT_ID, engine="workflow", alerts=age, http_allowed_hosts=HOSTS)
    size: Any = {"url": ALERTS["url"], "database_percent": 80}
    with pytest.raises(ValueError, match=r"alerts\.database_percent: expected to be unset with state_store kv"):
        TaskRunnerArgs(account_id=ACCOUNT_ID, state_store="kv", alerts=size, http_allowed_hosts=HOSTS)
    both: Any = {"state_store": "kv", "former_state_stores": ["d1"]}
    TaskRunnerArgs(account_id=ACCOUNT_ID, alerts=size, http_allowed_hosts=HOSTS, **both)
