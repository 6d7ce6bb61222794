"""Messages by REST: push, pull, peek, acknowledge."""

import base64
import json
from typing import Any

import pytest
from cloudflare import Cloudflare

from local.cli.instance import Instance
from tests.local.rest import Rest, eventually

UNKNOWN = "0" * 32


def pull_queue(rest: Rest, **settings: Any) -> str:
    queue_id: str = rest.queue()["queue_id"]
    rest.result("POST", f"/queues/{queue_id}/consumers", {"type": "http_pull", "settings": settings})
    return queue_id


def push(rest: Rest, queue_id: str, **message: Any) -> dict[str, Any]:
    return rest.result("POST", f"/queues/{queue_id}/messages", message)["metadata"]["metrics"]


def pull(rest: Rest, queue_id: str, **body: Any) -> list[dict[str, Any]]:
    return rest.result("POST", f"/queues/{queue_id}/messages/pull", body)["messages"]


def test_travel_through_the_sdk(sdk: Cloudflare, rest: Rest, cloud: Instance) -> None:
    queue_id, account = pull_queue(rest), cloud.account_id
    messages = sdk.queues.messages
    pushed = messages.push(queue_id, account_id=account, body={"n": 1}, content_type="json")
    assert pushed is not None
    assert pushed.metadata is not None
    assert pushed.metadata.metrics is not None
    assert pushed.metadata.metrics.backlog_count == 1
    batch = messages.bulk_push(queue_id, account_id=account, messages=[{"body": "text", "content_type": "text"}])
    assert batch is not None
    pulled = messages.pull(queue_id, account_id=account, batch_size=10, visibility_timeout_ms=60_000)
    assert pulled is not None
    assert pulled.messages is not None
    assert pulled.message_backlog_count == 2
    first, second = pulled.messages
    assert first.body is not None
    assert json.loads(base64.b64decode(first.body)) == {"n": 1}
    assert (second.body, second.attempts) == ("text", 1)
    assert second.metadata == {"CF-Content-Type": "text"}
    assert first.lease_id is not None
    assert second.lease_id is not None
    settled = messages.ack(
        queue_id, account_id=account, acks=[{"lease_id": first.lease_id}], retries=[{"lease_id": second.lease_id}]
    )
    assert settled is not None
    assert (settled.ack_count, settled.retry_count, settled.warnings) == (1, 1, {})
    [again] = pull(rest, queue_id)
    assert (again["body"], again["attempts"]) == ("text", 2)


def test_a_lease_runs_out(rest: Rest) -> None:
    queue_id = pull_queue(rest, visibility_timeout_ms=200)
    push(rest, queue_id, body={})
    [first] = pull(rest, queue_id)
    assert pull(rest, queue_id) == []
    [second] = eventually(lambda: pull(rest, queue_id) or None)
    assert (second["id"], second["attempts"]) == (first["id"], 2)
    late = rest.result("POST", f"/queues/{queue_id}/messages/ack", {"acks": [{"lease_id": first["lease_id"]}]})
    assert late["ackCount"] == 0
    assert list(late["warnings"]) == [first["lease_id"]]


def test_a_peek_leases_nothing(sdk: Cloudflare, rest: Rest, cloud: Instance) -> None:
    queue_id: str = rest.queue()["queue_id"]
    push(rest, queue_id, body={"n": 1})
    for _ in range(2):
        peeked = sdk.queues.messages.peek(queue_id, account_id=cloud.account_id, batch_size=10)
        assert peeked is not None
        assert peeked.messages is not None
        [message] = peeked.messages
        assert message.ref
        assert message.attempts in (0, 1)


def test_a_delay_holds_a_message_back(rest: Rest) -> None:
    queue_id = pull_queue(rest)
    push(rest, queue_id, body={"late": True}, delay_seconds=1)
    assert pull(rest, queue_id) == []
    [message] = eventually(lambda: pull(rest, queue_id) or None)
    assert json.loads(base64.b64decode(message["body"])) == {"late": True}


def test_a_batch_delay_is_for_messages_without_their_own(rest: Rest) -> None:
    queue_id = pull_queue(rest)
    batch = {"delay_seconds": 3600, "messages": [{"body": {"n": 1}, "delay_seconds": 0}, {"body": {"n": 2}}]}
    rest.result("POST", f"/queues/{queue_id}/messages/batch", batch)
    assert len(pull(rest, queue_id)) == 1


def test_pulling_needs_a_pull_consumer(rest: Rest) -> None:
    queue = rest.queue()
    expected = (405, 0, "messages cannot be pulled unless http_pull mode is enabled")
    assert rest.refusal("POST", f"/queues/{queue['queue_id']}/messages/pull", {}) == expected


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ({}, (400, 10207, 'Required at "body"')),
        ({"body": "text"}, (400, 10207, 'Expected object, received string at "body"')),
        ({"body": None}, (400, 10207, 'Expected object, received null at "body"')),
        ({"body": {}, "content_type": "text"}, (400, 10207, 'Expected string, received object at "body"')),
        (
            {"body": {}, "content_type": "v8"},
            (400, 10203, "Invalid message metadata: content_type must be 'json' or 'text', received 'v8'"),
        ),
        (
            {"body": {}, "delay_seconds": 86_401},
            (400, 10203, "Invalid delay: delay_seconds must be a whole number from 0 to 86400"),
        ),
        (
            {"body": {}, "delay_seconds": -1},
            (400, 10203, "Invalid delay: delay_seconds must be a whole number from 0 to 86400"),
        ),
    ],
)
def test_a_message_that_does_not_fit_is_refused(
    rest: Rest, message: dict[str, Any], expected: tuple[int, int, str]
) -> None:
    queue_id = rest.queue()["queue_id"]
    assert rest.refusal("POST", f"/queues/{queue_id}/messages", message) == expected
    batch = {"messages": [{"body": {"fine": True}}, message]}
    status, code, _ = rest.refusal("POST", f"/queues/{queue_id}/messages/batch", batch)
    assert (status, code) == expected[:2]
    assert rest.result("GET", f"/queues/{queue_id}/metrics")["backlog_count"] == 0


def test_sizes_have_limits(rest: Rest) -> None:
    queue_id = rest.queue()["queue_id"]
    path = f"/queues/{queue_id}/messages"
    largest = {"body": "a" * 128_000, "content_type": "text"}
    assert push(rest, queue_id, **largest)["backlog_count"] == 1
    assert rest.refusal("POST", path, {"body": "a" * 128_001, "content_type": "text"})[:2] == (413, 10204)
    assert rest.refusal("POST", f"{path}/batch", {"messages": [largest] * 3})[:2] == (413, 10205)
    assert rest.refusal("POST", f"{path}/batch", {"messages": [{"body": {}}] * 101})[:2] == (400, 10206)
    assert rest.refusal("POST", f"{path}/batch", {"messages": []})[:2] == (400, 10206)
    assert rest.refusal("POST", f"{path}/batch", {})[:2] == (400, 10207)
    assert rest.refusal("POST", f"{path}/batch", {"messages": [], "delay_seconds": -1})[0] == 400
    assert rest.result("GET", f"/queues/{queue_id}/metrics")["backlog_count"] == 1


def test_settling_needs_leases(rest: Rest) -> None:
    path = f"/queues/{pull_queue(rest)}/messages/ack"
    assert rest.refusal("POST", path, {"acks": [{}]}) == (400, 10207, 'Required at "acks.0.lease_id"')
    assert rest.refusal("POST", path, {"acks": {}})[:2] == (400, 10207)
    retries = [{"lease_id": "x", "delay_seconds": 90_000}]
    assert rest.refusal("POST", path, {"retries": retries})[:2] == (400, 10203)
    assert rest.result("POST", path, {}) == {"ackCount": 0, "retryCount": 0, "warnings": {}}


@pytest.mark.parametrize("action", ["", "/batch", "/pull", "/peek", "/ack"])
def test_an_unknown_queue_is_not_found(rest: Rest, action: str) -> None:
    assert rest.refusal("POST", f"/queues/{UNKNOWN}/messages{action}", {"body": {}}) == (
        404,
        10104,
        "Queue does not exist",
    )
