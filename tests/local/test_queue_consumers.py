"""Queue consumers of both types."""

from typing import Any

import pytest
from cloudflare import Cloudflare

from local.cli.instance import Instance
from tests.local.rest import Rest, unique, version

UNKNOWN = "f" * 32
WORKER_DEFAULTS = {
    "batch_size": 10,
    "max_retries": 3,
    "max_wait_time_ms": 5000,
    "max_concurrency": None,
    "retry_delay": 0,
}
PULL_DEFAULTS = {"batch_size": 5, "max_retries": 3, "visibility_timeout_ms": 30_000, "retry_delay": 0}
HANDLER_MISSING = (
    "Queue handler is missing. Please see our docs for more information about creating handlers:"
    " https://developers.cloudflare.com/queues/configuration/javascript-apis/#consumer."
)
NO_QUEUE_HANDLER = "export default { fetch() { return new Response() } }"


def test_a_pull_consumer_lives_through_the_sdk(sdk: Cloudflare, rest: Rest, cloud: Instance) -> None:
    queue, account = rest.queue(), cloud.account_id
    queue_id = queue["queue_id"]
    created = sdk.queues.consumers.create(
        queue_id, account_id=account, type="http_pull", settings={"batch_size": 7, "visibility_timeout_ms": 1000}
    )
    assert created is not None
    assert created.consumer_id is not None
    [listed] = sdk.queues.consumers.list(queue_id, account_id=account)
    assert listed == created
    assert sdk.queues.consumers.get(created.consumer_id, account_id=account, queue_id=queue_id) == created
    got = rest.result("GET", f"/queues/{queue_id}/consumers/{created.consumer_id}")
    assert got["settings"] == PULL_DEFAULTS | {"batch_size": 7, "visibility_timeout_ms": 1000}
    assert (got["queue_name"], got["dead_letter_queue"]) == (queue["queue_name"], "")
    assert rest.result("GET", f"/queues/{queue_id}")["consumers"] == [got]
    sdk.queues.consumers.delete(created.consumer_id, account_id=account, queue_id=queue_id)
    assert list(sdk.queues.consumers.list(queue_id, account_id=account)) == []


def test_a_worker_consumer_names_its_script_both_ways(rest: Rest) -> None:
    queue, worker = rest.queue(), rest.deployed_worker()
    body = {"type": "worker", "script_name": worker["name"]}
    consumer = rest.result("POST", f"/queues/{queue['queue_id']}/consumers", body)
    assert (consumer["script"], consumer["script_name"]) == (worker["name"], worker["name"])
    assert consumer["settings"] == WORKER_DEFAULTS
    references = rest.result("GET", f"/workers/workers/{worker['id']}")["references"]
    assert references["queues"] == [
        {
            "queue_consumer_id": consumer["consumer_id"],
            "queue_id": queue["queue_id"],
            "queue_name": queue["queue_name"],
        }
    ]


def test_a_put_replaces_everything_even_the_type(rest: Rest) -> None:
    queue, dead, worker = rest.queue(), rest.queue(), rest.deployed_worker()
    path = f"/queues/{queue['queue_id']}/consumers"
    body: dict[str, Any] = {
        "type": "worker",
        "script_name": worker["name"],
        "dead_letter_queue": dead["queue_name"],
        "settings": {"batch_size": 1, "max_retries": 9, "max_concurrency": 2},
    }
    consumer = rest.result("POST", path, body)
    assert consumer["dead_letter_queue"] == dead["queue_name"]
    assert consumer["settings"] == WORKER_DEFAULTS | {"batch_size": 1, "max_retries": 9, "max_concurrency": 2}
    path += f"/{consumer['consumer_id']}"
    plain = rest.result("PUT", path, {"type": "worker", "script_name": worker["name"], "settings": {"max_retries": 4}})
    assert plain["settings"] == WORKER_DEFAULTS | {"max_retries": 4}
    assert plain["dead_letter_queue"] == ""
    # A change of type as the provider sends it: with the script that it no longer has.
    pulled = rest.result("PUT", path, {"type": "http_pull", "script_name": worker["name"]})
    assert pulled["consumer_id"] == consumer["consumer_id"]
    assert pulled["settings"] == PULL_DEFAULTS
    assert "script" not in pulled
    assert rest.result("DELETE", f"/workers/workers/{worker['id']}") is None


def test_a_queue_has_one_consumer(rest: Rest) -> None:
    queue = rest.queue()
    path = f"/queues/{queue['queue_id']}/consumers"
    rest.result("POST", path, {"type": "http_pull"})
    message = f"Queue '{queue['queue_name']}' already has a consumer."
    assert rest.refusal("POST", path, {"type": "http_pull"}) == (409, 11004, message)


def test_a_missing_dead_letter_queue_is_created(rest: Rest) -> None:
    name = unique("dead")
    body = {"type": "http_pull", "dead_letter_queue": name}
    consumer = rest.result("POST", f"/queues/{rest.queue()['queue_id']}/consumers", body)
    assert consumer["dead_letter_queue"] == name
    [created] = rest.result("GET", f"/queues?name={name}")
    assert created["settings"]["message_retention_period"] == 345_600


def test_a_queue_is_not_its_own_dead_letter_queue(rest: Rest) -> None:
    queue = rest.queue()
    body = {"type": "http_pull", "dead_letter_queue": queue["queue_name"]}
    assert rest.refusal("POST", f"/queues/{queue['queue_id']}/consumers", body)[:2] == (400, 100127)


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"batch_size": 0}, "batch_size: Number must be greater than or equal to 1"),
        ({"batch_size": 101}, "batch_size: Number must be less than or equal to 100"),
        ({"max_retries": 101}, "max_retries: Number must be less than or equal to 100"),
        ({"max_retries": -1}, "max_retries: Number must be greater than or equal to 0"),
        ({"retry_delay": 86_401}, "retry_delay: Number must be less than or equal to 86400"),
        ({"visibility_timeout_ms": 43_200_001}, "visibility_timeout_ms: Number must be less than or equal to 43200000"),
    ],
)
def test_settings_have_ranges(rest: Rest, settings: dict[str, Any], problem: str) -> None:
    body = {"type": "http_pull", "settings": settings}
    message = f"The specified consumer settings are invalid: settings.{problem}"
    assert rest.refusal("POST", f"/queues/{rest.queue()['queue_id']}/consumers", body) == (400, 100127, message)


@pytest.mark.parametrize("settings", [{"max_wait_time_ms": 60_001}, {"max_concurrency": 251}, {"max_concurrency": 0}])
def test_settings_of_a_worker_have_ranges(rest: Rest, settings: dict[str, Any]) -> None:
    body = {"type": "worker", "script_name": rest.idle_worker()["name"], "settings": settings}
    assert rest.refusal("POST", f"/queues/{rest.queue()['queue_id']}/consumers", body)[:2] == (400, 100127)


def test_a_type_is_needed(rest: Rest) -> None:
    path = f"/queues/{rest.queue()['queue_id']}/consumers"
    assert rest.refusal("POST", path, {}) == (400, 10026, "Could not parse request body: type: Required")
    assert rest.refusal("POST", path, {"type": "push"})[:2] == (400, 10026)
    assert rest.refusal("POST", path, {"type": "worker"})[:2] == (400, 10026)


def test_the_script_must_exist_and_take_messages(rest: Rest) -> None:
    path = f"/queues/{rest.queue()['queue_id']}/consumers"
    unknown = rest.refusal("POST", path, {"type": "worker", "script_name": "nobody"})
    assert unknown == (404, 10007, "This Worker does not exist on your account.")
    for worker in (rest.worker(), rest.deployed_worker(NO_QUEUE_HANDLER)):
        body = {"type": "worker", "script_name": worker["name"]}
        assert rest.refusal("POST", path, body) == (400, 11001, HANDLER_MISSING)


def test_a_consumer_keeps_its_queue_handler(rest: Rest) -> None:
    worker = rest.deployed_worker()
    old = rest.result("POST", f"/workers/workers/{worker['id']}/versions", version(NO_QUEUE_HANDLER))
    body = {"type": "worker", "script_name": worker["name"]}
    rest.result("POST", f"/queues/{rest.queue()['queue_id']}/consumers", body)
    upload = rest.refusal("POST", f"/workers/workers/{worker['id']}/versions", version(NO_QUEUE_HANDLER))
    assert upload == (400, 11001, HANDLER_MISSING)
    deployment = {"strategy": "percentage", "versions": [{"percentage": 100, "version_id": old["id"]}]}
    path = f"/workers/scripts/{worker['name']}/deployments"
    assert rest.refusal("POST", path, deployment) == (400, 11001, HANDLER_MISSING)


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PUT", {"type": "http_pull"}), ("DELETE", None)])
def test_an_unknown_consumer_is_not_found(rest: Rest, method: str, body: Any) -> None:
    path = f"/queues/{rest.queue()['queue_id']}/consumers/{UNKNOWN}"
    message = f"Consumer '{UNKNOWN}' not found. Please verify it exists and try again."
    assert rest.refusal(method, path, body) == (404, 11006, message)
