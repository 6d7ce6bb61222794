"""Queues: the queues themselves, their metrics, and purging."""

from typing import Any

import pytest
from cloudflare import Cloudflare

from local.cli.instance import Instance
from tests.local.rest import Rest, eventually, unique

UNKNOWN = "0" * 32
NOT_FOUND = (404, 11000, f"Queue '{UNKNOWN}' not found. Please verify it exists and try again.")
DEFAULTS = {"delivery_delay": 0, "delivery_paused": False, "message_retention_period": 345_600}


def test_lives_through_the_sdk(sdk: Cloudflare, cloud: Instance) -> None:
    name, account = unique("queue"), cloud.account_id
    created = sdk.queues.create(account_id=account, queue_name=name)
    assert created is not None
    assert created.queue_id is not None
    assert created.settings is not None
    assert created.settings.message_retention_period == 345_600
    assert created.queue_id in [queue.queue_id for queue in sdk.queues.list(account_id=account)]
    got = sdk.queues.get(created.queue_id, account_id=account)
    assert got is not None
    assert (got.queue_name, got.consumers, got.producers, got.consumers_total_count) == (name, [], [], 0)
    edited = sdk.queues.edit(created.queue_id, account_id=account, settings={"delivery_paused": True})
    assert edited is not None
    assert edited.settings is not None
    assert edited.settings.delivery_paused is True
    renamed = sdk.queues.update(created.queue_id, account_id=account, queue_name=unique("renamed"))
    assert renamed is not None
    assert renamed.queue_id == created.queue_id
    metrics = sdk.queues.get_metrics(created.queue_id, account_id=account)
    assert metrics is not None
    assert metrics.backlog_count == 0
    sdk.queues.delete(created.queue_id, account_id=account)
    with pytest.raises(Exception, match="11000"):
        sdk.queues.get(created.queue_id, account_id=account)


def test_put_replaces_and_patch_merges(rest: Rest) -> None:
    queue = rest.queue(delivery_delay=5, message_retention_period=60)
    path = f"/queues/{queue['queue_id']}"
    patched = rest.result("PATCH", path, {"settings": {"delivery_paused": True}})
    assert patched["settings"] == {"delivery_delay": 5, "delivery_paused": True, "message_retention_period": 60}
    assert patched["modified_on"] > queue["modified_on"]
    put = rest.result("PUT", path, {"queue_name": queue["queue_name"], "settings": {"delivery_delay": 7}})
    assert put["settings"] == DEFAULTS | {"delivery_delay": 7}
    assert rest.result("PUT", path, {"queue_name": queue["queue_name"]})["settings"] == DEFAULTS


@pytest.mark.parametrize("name", ["", "Upper", "with space", "-start", "end-", "a" * 64, "under_score"])
def test_a_name_must_fit(rest: Rest, name: str) -> None:
    rule = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
    message = f"Queue name '{name}' is invalid: invalid queue name: {name}. Must match {rule}."
    assert rest.refusal("POST", "/queues", {"queue_name": name}) == (400, 11003, message)


def test_a_name_is_taken_once(rest: Rest) -> None:
    one, other = rest.queue(), rest.queue()
    name = one["queue_name"]
    message = f"Queue name '{name}' is already taken. Please use a different name and try again."
    assert rest.refusal("POST", "/queues", {"queue_name": name}) == (409, 11009, message)
    assert rest.refusal("PUT", f"/queues/{other['queue_id']}", {"queue_name": name}) == (409, 11009, message)
    assert rest.result("PUT", f"/queues/{one['queue_id']}", {"queue_name": name})["queue_name"] == name


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"delivery_delay": -1}, "settings.delivery_delay: Number must be greater than or equal to 0"),
        ({"delivery_delay": 86_401}, "settings.delivery_delay: Number must be less than or equal to 86400"),
        ({"delivery_delay": 0.5}, "settings.delivery_delay: Expected integer, received float"),
        ({"delivery_delay": "5"}, "settings.delivery_delay: Expected number, received string"),
        ({"delivery_paused": 1}, "settings.delivery_paused: Expected boolean, received number"),
        (
            {"message_retention_period": 59},
            "settings.message_retention_period: Number must be greater than or equal to 60",
        ),
        (
            {"message_retention_period": 1_209_601},
            "settings.message_retention_period: Number must be less than or equal to 1209600",
        ),
    ],
)
def test_settings_have_ranges(rest: Rest, settings: dict[str, Any], problem: str) -> None:
    body = {"queue_name": unique("queue"), "settings": settings}
    assert rest.refusal("POST", "/queues", body) == (
        400,
        100128,
        f"The specified queue settings are invalid: {problem}",
    )


def test_a_list_finds_exact_names_and_has_pages(rest: Rest) -> None:
    one, two, three = (rest.queue()["queue_name"] for _ in range(3))
    found = rest.result("GET", f"/queues?page=1&name={one}&name={three}")
    assert [queue["queue_name"] for queue in found] == [one, three]
    assert rest.result("GET", f"/queues?name={two[:-1]}x") == []
    second = rest.send("GET", f"/queues?name={one}&name={two}&name={three}&per_page=2&page=2").json()
    assert [queue["queue_name"] for queue in second["result"]] == [three]
    assert second["result_info"] == {"page": 2, "per_page": 2, "count": 1, "total_count": 3, "total_pages": 2}
    assert rest.result("GET", "/queues?page=1000") == []


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", None),
        ("PUT", "", {"queue_name": "unknown"}),
        ("PATCH", "", {"settings": {}}),
        ("DELETE", "", None),
        ("GET", "/metrics", None),
        ("GET", "/purge", None),
        ("POST", "/purge", {"delete_messages_permanently": True}),
        ("GET", "/consumers", None),
        ("POST", "/consumers", {"type": "http_pull"}),
    ],
)
def test_an_unknown_queue_is_not_found(rest: Rest, method: str, path: str, body: Any) -> None:
    assert rest.refusal(method, f"/queues/{UNKNOWN}{path}", body) == NOT_FOUND


def test_is_purged(sdk: Cloudflare, rest: Rest, cloud: Instance) -> None:
    queue_id, account = rest.queue()["queue_id"], cloud.account_id
    before = sdk.queues.purge.status(queue_id, account_id=account)
    assert before is not None
    assert before.completed == "false"
    sdk.queues.messages.push(queue_id, account_id=account, body={"n": 1}, content_type="json")
    assert rest.result("GET", f"/queues/{queue_id}/metrics")["backlog_count"] == 1
    sdk.queues.purge.start(queue_id, account_id=account, delete_messages_permanently=True)
    assert rest.result("GET", f"/queues/{queue_id}/metrics")["backlog_count"] == 0
    after = sdk.queues.purge.status(queue_id, account_id=account)
    assert after is not None
    assert after.completed == "true"
    assert after.started_at
    assert rest.refusal("POST", f"/queues/{queue_id}/purge", {"delete_messages_permanently": False})[0] == 400


def test_one_that_a_worker_binds_cannot_be_deleted(rest: Rest) -> None:
    queue = rest.queue()
    name = queue["queue_name"]
    worker = rest.deployed_worker(bindings=[{"name": "Q", "type": "queue", "queue_name": name}])
    path = f"/queues/{queue['queue_id']}"
    bound = rest.result("GET", path)
    assert bound["producers"] == [{"type": "worker", "script": worker["name"]}]
    assert bound["producers_total_count"] == 1
    message = (
        f"Cannot delete queue '{name}' that is still referenced by a binding in a Worker."
        f" Unbind queue '{name}' from the Workers '{worker['name']}'; then try again."
    )
    assert rest.refusal("DELETE", path) == (400, 11005, message)
    rest.result("DELETE", f"/workers/workers/{worker['id']}")
    assert rest.result("DELETE", path) is None


def test_a_dead_letter_queue_cannot_be_deleted(rest: Rest) -> None:
    queue, dead = rest.queue(), rest.queue()
    body = {"type": "http_pull", "dead_letter_queue": dead["queue_name"]}
    rest.result("POST", f"/queues/{queue['queue_id']}/consumers", body)
    message = f"Cannot delete queue '{dead['queue_name']}' that serves as dead letter queue for consumers"
    assert rest.refusal("DELETE", f"/queues/{dead['queue_id']}") == (400, 11005, message)
    assert rest.result("DELETE", f"/queues/{queue['queue_id']}") is None
    assert rest.result("DELETE", f"/queues/{dead['queue_id']}") is None


def test_a_rename_keeps_messages_and_bindings(rest: Rest) -> None:
    queue = rest.queue()
    code = "export default { async fetch(request, env) { await env.Q.send('hi'); return new Response('sent') } }"
    bindings = [{"name": "Q", "type": "queue", "queue_name": queue["queue_name"]}]
    worker = rest.deployed_worker(code, bindings=bindings)
    rest.http.get(worker["subdomain"]["url"]).raise_for_status()
    rest.result("PUT", f"/queues/{queue['queue_id']}", {"queue_name": unique("renamed")})
    rest.http.get(worker["subdomain"]["url"]).raise_for_status()
    backlog = eventually(lambda: rest.result("GET", f"/queues/{queue['queue_id']}/metrics")["backlog_count"] or None)
    assert backlog == 2
