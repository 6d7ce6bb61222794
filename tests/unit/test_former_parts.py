"""Which stores and engines a stack has left, told by what its deployed Worker binds."""

from datetime import UTC, datetime, timedelta
from typing import Any

from components import TaskRunnerArgs
from components.former_parts import former_parts
from components.part import Part
from tests.unit.recorded_stack import ACCOUNT_ID

NOW = datetime(2026, 11, 22, 18, tzinfo=UTC)
LATER = "2026-11-30T18:00:00+00:00"


def former(bound: str, now: datetime = NOW, **settings: Any) -> dict[str, str]:
    """Tell the former parts of a Worker that has these bindings; ``SHARDS=4`` gives that one its text."""
    bindings: dict[str, dict[str, Any]] = {}
    for each in bound.split():
        name, _, text = each.partition("=")
        bindings[name] = {"name": name, "text": text.replace("_", " ")}
    parts = former_parts(TaskRunnerArgs(account_id=ACCOUNT_ID, **settings), bindings, now)
    return {str(part): until for part, until in parts.items()}


def test_nothing_deployed_has_no_former_parts() -> None:
    assert former("") == {}


def test_the_parts_in_use_are_not_former_ones() -> None:
    assert former("DB TASK_QUEUE MAX_RETRIES") == {}


def test_a_part_that_is_left_is_kept_for_the_life_of_its_tasks() -> None:
    assert former("DB TASK_QUEUE", state_store="kv") == {"d1": LATER}
    assert former("DB TASK_QUEUE", state_store="kv", engine="workflow") == {"d1": LATER, "queue": LATER}


def test_the_time_does_not_move_with_later_deployments() -> None:
    later = NOW + timedelta(hours=5)
    assert former(f'DB KV TASK_QUEUE FORMER_UNTIL={{"d1":"{LATER}"}}', later, state_store="kv") == {"d1": LATER}


def test_a_part_goes_when_its_time_is_over() -> None:
    later = NOW + timedelta(days=8, hours=1)
    assert former(f'DB KV TASK_QUEUE FORMER_UNTIL={{"d1":"{LATER}"}}', later, state_store="kv") == {}


def test_a_part_that_is_taken_up_again_is_no_former_one() -> None:
    back = former(f'DB KV TASK_QUEUE FORMER_UNTIL={{"d1":"{LATER}"}}', NOW + timedelta(hours=1), state_store="d1")
    assert back == {"kv": "2026-11-30T19:00:00+00:00"}


def test_a_durable_object_class_outlasts_its_tasks() -> None:
    bound = f'DB TASK_DO TASK_QUEUE FORMER_UNTIL={{"durable-object":"{LATER}"}}'
    later = NOW + timedelta(days=30)
    assert former(bound, later) == {"durable-object": LATER}
    assert former(bound, later, durable_object_data="delete") == {}


def test_more_shards_leave_the_former_database_to_be_read_alone() -> None:
    assert former("DB TASK_QUEUE", shards=4) == {"d1": LATER}


def test_fewer_shards_leave_databases_and_queues() -> None:
    bound = "DB DB_1 DB_2 DB_3 TASK_QUEUE TASK_QUEUE_1 TASK_QUEUE_2 TASK_QUEUE_3 SHARDS=4"
    assert former(bound) == {"d1 of 4 shards": LATER, "queue of 4 shards": LATER}
    assert former(bound, shards=2) == {"d1 of 4 shards": LATER, "queue of 4 shards": LATER}


def test_shards_stay_former_ones_until_their_time_is_over() -> None:
    bound = f'DB DB_1 TASK_QUEUE TASK_QUEUE_1 SHARDS=2 FORMER_UNTIL={{"d1":"{LATER}"}}'
    assert former(bound, shards=2) == {"d1": LATER}
    assert former(bound, NOW + timedelta(days=9), shards=2) == {}


def test_shards_that_are_taken_up_again_are_no_former_ones() -> None:
    bound = f'DB DB_1 TASK_QUEUE TASK_QUEUE_1 SHARDS=2 FORMER_UNTIL={{"d1":"{LATER}"}}'
    later = NOW + timedelta(hours=1)
    fresh = "2026-11-30T19:00:00+00:00"
    assert former(bound, later) == {"d1 of 2 shards": fresh, "queue of 2 shards": fresh}


def test_a_sharded_store_can_be_left_for_another_kind() -> None:
    bound = f'DB DB_1 TASK_QUEUE TASK_QUEUE_1 SHARDS=2 FORMER_UNTIL={{"d1":"{LATER}"}}'
    assert former(bound, state_store="kv", engine="workflow") == {
        "d1": LATER,
        "d1 of 2 shards": LATER,
        "queue of 2 shards": LATER,
    }
    kv = f'DB DB_1 KV TASK_QUEUE FORMER_UNTIL={{"d1":"{LATER}","d1_of_2_shards":"{LATER}"}}'
    assert former(kv, state_store="kv") == {"d1": LATER, "d1 of 2 shards": LATER}


def test_a_part_is_read_as_it_is_written() -> None:
    for part in (Part("d1"), Part("d1", 16), Part("queue", 2), Part("durable-object")):
        assert Part.parse(str(part)) == part
