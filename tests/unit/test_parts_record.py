"""The record of what holds tasks refuses a change that would lose them, in words, and offline."""

from typing import Any

import pytest
from pulumi.runtime import rpc

from components.parts_record import PartsRecord, RecordedPart


def recorded(*parts: RecordedPart, account_id: str = "a", deletes_objects: bool = False) -> dict[str, Any]:
    return {"account_id": account_id, "parts": list(parts), "deletes_objects": deletes_objects}


def part(what: str, *, in_use: bool = True, keep: str = "former_state_stores: d1") -> RecordedPart:
    return {"what": what, "keep": keep, "in_use": in_use}


DATABASE = part("D1 database task-runner-db-dev")
FORMER = part("D1 database task-runner-db-dev", in_use=False)
NAMESPACE = part("KV namespace task-runner-dev", keep="former_state_stores: kv")
CLASS = part("Durable Object class TaskObject of Worker task-runner-dev", keep="former_state_stores: durable-object")


def reasons(olds: dict[str, Any], news: dict[str, Any]) -> list[str]:
    return [failure.reason for failure in PartsRecord.make_provider().check(olds, news).failures]


def test_a_first_deployment_has_nothing_to_lose() -> None:
    assert reasons({}, recorded(DATABASE)) == []


def test_a_store_that_is_in_use_cannot_go_at_once() -> None:
    (reason,) = reasons(recorded(DATABASE), recorded(NAMESPACE))
    assert reason == (
        "D1 database task-runner-db-dev is in use, and this change would delete it with the tasks or messages in it. "
        "To change over, keep it until they are over: set former_state_stores: d1. `python -m ops former` tells when; "
        "then take it out of the list. (For another env or jurisdiction, make a stack of its own.)"
    )


@pytest.mark.parametrize(
    ("olds", "news"),
    [
        (recorded(DATABASE), recorded(NAMESPACE, FORMER)),
        (recorded(NAMESPACE, FORMER), recorded(NAMESPACE)),
        (recorded(NAMESPACE, FORMER), recorded(DATABASE, {**NAMESPACE, "in_use": False})),
        (recorded(DATABASE), recorded(DATABASE)),
        (recorded(DATABASE), recorded(DATABASE, account_id=rpc.UNKNOWN)),
    ],
)
def test_a_change_by_way_of_the_list_is_allowed(olds: dict[str, Any], news: dict[str, Any]) -> None:
    assert reasons(olds, news) == []


def test_every_part_that_would_be_lost_is_told() -> None:
    lost = reasons(recorded(DATABASE, NAMESPACE), recorded(part("D1 database task-runner-db-stg")))
    assert [reason.split(" is in use")[0] for reason in lost] == [DATABASE["what"], NAMESPACE["what"]]


def test_a_stack_stays_in_its_account() -> None:
    (reason,) = reasons(recorded(DATABASE), recorded(DATABASE, account_id="b"))
    assert "this stack's tasks are in account a" in reason


def test_a_class_of_objects_goes_when_it_is_said_that_its_data_may() -> None:
    olds = recorded(DATABASE, {**CLASS, "in_use": False})
    (reason,) = reasons(olds, recorded(DATABASE))
    assert "together with durable_object_data: delete" in reason
    assert reasons(olds, recorded(DATABASE, deletes_objects=True)) == []


def test_a_record_changes_in_place() -> None:
    provider = PartsRecord.make_provider()
    assert provider.diff("parts", recorded(DATABASE), recorded(DATABASE)).changes is False
    change = provider.diff("parts", recorded(DATABASE), recorded(FORMER, NAMESPACE))
    assert (change.changes, change.replaces) == (True, None)
