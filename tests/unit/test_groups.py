"""Groups: the settings of the stack's limits."""

import json
from typing import Any

import pytest

from components.task_runner_args import TaskRunnerArgs
from tests.unit.test_task_runner import binding, record_task_runner

ACCOUNT_ID = "0123456789abcdef0123456789abcdef"


def test_the_worker_is_told_the_limits_of_groups() -> None:
    stack = record_task_runner(group_concurrency=3, group_rate_limit=10)
    told = {name: json.loads(binding(stack, name)["json"]) for name in LIMITS}
    assert told == {"GROUP_CONCURRENCY": "3", "GROUP_RATE_LIMIT": "10", "GROUP_RATE_SECONDS": "60"}


def test_without_limits_the_worker_is_told_none() -> None:
    bindings = record_task_runner().inputs("task-runner-version")["bindings"]
    assert not LIMITS & {each["name"] for each in bindings}


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        (
            {"group_concurrency": 1_001},
            "group_concurrency: expected a whole number from 1 to 1000, or 0 for any number",
        ),
        ({"group_concurrency": -1}, "group_concurrency: expected a whole number"),
        ({"group_rate_limit": 1_001}, "group_rate_limit: expected a whole number from 1 to 1000"),
        (
            {"group_rate_limit": 1, "group_rate_seconds": 0},
            "group_rate_seconds: expected a whole number from 1 to 86400",
        ),
        ({"group_rate_seconds": 5}, "group_rate_seconds: expected to be unset without group_rate_limit"),
        ({"group_concurrency": 1, "state_store": "kv"}, "group_concurrency: expected to be unset with state_store kv"),
        ({"group_rate_limit": 1, "state_store": "kv"}, "group_rate_limit: expected to be unset with state_store kv"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        TaskRunnerArgs(account_id=ACCOUNT_ID, **settings)


LIMITS = {"GROUP_CONCURRENCY", "GROUP_RATE_LIMIT", "GROUP_RATE_SECONDS"}
