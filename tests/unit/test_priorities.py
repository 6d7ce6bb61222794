"""Priorities: the queues of their own, their shares of what the store bears, and what the Worker is told."""

from typing import Any

import pytest

from components.priorities import SHARES, queue_binding, share_of
from components.task_runner_args import TaskRunnerArgs
from tests.unit.test_task_runner import binding, record_task_runner, texts

ACCOUNT_ID = "0123456789abcdef0123456789abcdef"


def test_each_priority_has_a_queue_a_consumer_and_a_binding_and_all_the_same_dead_letter_queue() -> None:
    stack = record_task_runner(priorities=True, shards=2, env="prod", state_store="kv")
    for priority in ("high", "low"):
        for number in ("", "-1"):
            name = f"task-runner-queue-{priority}{number}"
            assert stack.inputs(name)["queueName"] == f"{name}-prod"
            assert stack.precedes("task-runner-dlq", name)
            assert stack.precedes(name, "task-runner-worker")
            consumer = stack.inputs(f"task-runner-consumer-{priority}{number}")
            assert consumer["queueId"] == f"{name} id"
            assert consumer["deadLetterQueue"] == "task-runner-dlq-prod"
            assert stack.precedes("task-runner-deployment", f"task-runner-consumer-{priority}{number}")
        bound = binding(stack, f"TASK_QUEUE_{priority.upper()}_1")
        assert bound["queueName"] == f"task-runner-queue-{priority}-1-prod"
        assert stack.outputs[f"{priority}_queue_ids"] == [f"task-runner-queue-{priority}{n} id" for n in ("", "-1")]
    assert texts(stack)["PRIORITIES"] == "true"
    assert stack.outputs["queue_ids"] == ["task-runner-queue id", "task-runner-queue-1 id"]


def test_a_stack_without_them_is_as_it_was() -> None:
    without, with_them = record_task_runner(), record_task_runner(priorities=True)
    assert len(with_them.resources) - len(without.resources) == 4
    added = set(with_them.resources) - set(without.resources)
    assert added == {f"task-runner-{what}-{priority}" for what in ("queue", "consumer") for priority in ("high", "low")}
    bindings = {each["name"] for each in without.inputs("task-runner-version")["bindings"]}
    assert not bindings & {"PRIORITIES", "TASK_QUEUE_HIGH", "TASK_QUEUE_LOW"}


@pytest.mark.parametrize(
    ("settings", "shares"),
    [
        ({}, (5, 4, 1)),
        ({"state_store": "durable-object"}, (20, 16, 4)),
        ({"state_store": "kv"}, (125, 100, 25)),
        ({"max_concurrency": 30}, (15, 12, 3)),
        ({"max_concurrency": 1}, (1, 1, 1)),
    ],
)
def test_the_consumers_share_what_one_would_have(settings: dict[str, Any], shares: tuple[int, int, int]) -> None:
    stack = record_task_runner(priorities=True, **settings)
    names = ("consumer-high", "consumer", "consumer-low")
    found = tuple(stack.inputs(f"task-runner-{name}")["settings"]["maxConcurrency"] for name in names)
    assert found == shares


def test_shares_are_no_more_than_the_whole_where_each_can_have_one() -> None:
    assert sum(SHARES.values()) == pytest.approx(1)  # pyright: ignore[reportUnknownMemberType]
    for concurrency in range(10, 251):
        assert sum(share_of(concurrency, priority) for priority in SHARES) <= concurrency
    assert all(share_of(concurrency, priority) >= 1 for concurrency in range(1, 10) for priority in SHARES)


def test_a_former_queue_keeps_its_queues_and_no_new_task_goes_there() -> None:
    stack = record_task_runner(priorities=True, engine="workflow", former_engines=["queue"])
    assert "task-runner-queue-high" in stack.resources
    assert "PRIORITIES" not in {each["name"] for each in stack.inputs("task-runner-version")["bindings"]}


def test_the_queues_may_go_at_once_for_the_sweeper_sends_their_tasks_again() -> None:
    recorded = [each["what"] for each in record_task_runner(priorities=True).inputs("task-runner-parts")["parts"]]
    assert [what for what in recorded if "queue" in what] == [
        "queue task-runner-queue-dev",
        "dead-letter queue task-runner-dlq-dev",
    ]


def test_bindings_are_named_after_priority_and_shard() -> None:
    found = [queue_binding(priority, shard) for priority in SHARES for shard in (0, 1)]
    expected = [
        "TASK_QUEUE_HIGH",
        "TASK_QUEUE_HIGH_1",
        "TASK_QUEUE",
        "TASK_QUEUE_1",
        "TASK_QUEUE_LOW",
        "TASK_QUEUE_LOW_1",
    ]
    assert found == expected


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"priorities": "yes"}, "priorities: expected true or false, got 'yes'"),
        ({"priorities": True, "engine": "workflow"}, "priorities: expected to be unset with engine workflow"),
        (
            {"schedules": [{"name": "a", "every_seconds": 60, "priority": "low"}]},
            r"schedules\[0\].priority: expected normal without priorities: true",
        ),
        (
            {"priorities": True, "schedules": [{"name": "a", "every_seconds": 60, "priority": "urgent"}]},
            r"schedules\[0\].priority: expected one of high, normal, low",
        ),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        TaskRunnerArgs(account_id=ACCOUNT_ID, **settings)


def test_a_schedule_of_the_stack_may_have_a_priority_and_a_group() -> None:
    schedule: Any = {"name": "a", "every_seconds": 60, "priority": "low", "group": "g"}
    args = TaskRunnerArgs(account_id=ACCOUNT_ID, priorities=True, schedules=[schedule])
    assert args.schedules == [schedule]
