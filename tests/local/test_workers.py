"""Workers: what versions and deployments belong to."""

from typing import Any

import httpx
import pytest
from cloudflare import Cloudflare

from local.cli.instance import Instance
from tests.local.rest import Rest, providers_worker, unique

NOT_FOUND = (404, 10007, "This Worker does not exist on your account.")
NO_REFERENCES: dict[str, list[Any]] = {
    "dispatch_namespace_outbounds": [],
    "domains": [],
    "durable_objects": [],
    "queues": [],
    "workers": [],
}


def test_lives_through_the_sdk(sdk: Cloudflare, cloud: Instance) -> None:
    name, account = unique("worker"), cloud.account_id
    workers = sdk.workers.beta.workers
    created = workers.create(account_id=account, name=name, subdomain={"enabled": True}, tags=["a"])
    assert (created.name, created.tags, created.logpush) == (name, ["a"], False)
    assert created.subdomain.enabled is True
    assert created.references.queues == []
    assert created.id in [worker.id for worker in workers.list(account_id=account)]
    assert workers.get(created.id, account_id=account) == created
    assert workers.get(name, account_id=account) == created
    edited = workers.edit(
        created.id,
        account_id=account,
        name=name,
        logpush=True,
        observability={"enabled": True},
        subdomain={"enabled": True},
        tags=["b"],
        tail_consumers=[],
    )
    assert (edited.logpush, edited.tags, edited.subdomain.url) == (True, ["b"], created.subdomain.url)
    replaced = workers.update(created.id, account_id=account, name=name)
    assert (replaced.logpush, replaced.tags, replaced.subdomain.enabled) == (False, [], False)
    workers.delete(created.id, account_id=account)
    with pytest.raises(Exception, match="10007"):
        workers.get(created.id, account_id=account)


def test_has_every_field_that_the_provider_reads(rest: Rest) -> None:
    body = providers_worker(unique("worker"))
    worker = rest.result("POST", "/workers/workers", body)
    url = worker["subdomain"].pop("url")
    assert url.startswith("http://127.0.0.1:")
    assert worker["subdomain"].pop("preview_url_suffix")
    assert {key: worker[key] for key in body} == body
    assert worker["references"] == NO_REFERENCES
    assert worker["deployed_on"] is None
    assert worker["created_on"] == worker["updated_on"]
    assert len(worker["id"]) == 32


# https://github.com/cloudflare/terraform-provider-cloudflare, internal/services/worker: resource_test.go and
# data_source_test.go, which run on the real API.
UNSET_OBSERVABILITY: dict[str, Any] = {
    "enabled": False,
    "head_sampling_rate": 1,
    "logs": {"destinations": [], "enabled": False, "head_sampling_rate": 1, "invocation_logs": True, "persist": True},
    "traces": {"destinations": [], "enabled": False, "head_sampling_rate": 1, "persist": True},
}


def test_tells_of_observability_that_is_not_set(rest: Rest) -> None:
    name = unique("worker")
    traces = UNSET_OBSERVABILITY["traces"]
    sent = {"name": name, "observability": {"enabled": False, "head_sampling_rate": 1, "traces": traces}}  # Terraform's
    worker = rest.result("POST", "/workers/workers", sent)
    assert worker["observability"] == UNSET_OBSERVABILITY
    assert rest.result("GET", f"/workers/workers/{worker['id']}") == worker
    replaced = rest.result("PUT", f"/workers/workers/{worker['id']}", {"name": name, "observability": {"logs": None}})
    assert replaced["observability"] == UNSET_OBSERVABILITY
    assert rest.worker()["observability"] == UNSET_OBSERVABILITY


def test_a_patch_merges(rest: Rest) -> None:
    worker = rest.worker()
    path = f"/workers/workers/{worker['id']}"
    rest.result("PATCH", path, {"observability": {"enabled": True, "logs": {"enabled": True}}, "tags": ["a"]})
    patched = rest.result("PATCH", path, {"observability": {"logs": {"persist": False}}})
    logs = UNSET_OBSERVABILITY["logs"] | {"enabled": True, "persist": False}
    assert patched["observability"] == UNSET_OBSERVABILITY | {"enabled": True, "logs": logs}
    assert patched["tags"] == ["a"]
    assert patched["subdomain"]["enabled"] is True
    assert patched["updated_on"] > worker["updated_on"]


def test_a_worker_without_code_has_nothing_to_show(rest: Rest) -> None:
    assert rest.visit(rest.worker()["subdomain"]["url"]).status_code == 404


def test_an_address_is_its_own_and_stays(rest: Rest) -> None:
    one, other = rest.deployed_worker(), rest.worker()
    assert one["subdomain"]["url"] != other["subdomain"]["url"]
    renamed = rest.result("PUT", f"/workers/workers/{one['id']}", {"name": unique("renamed")})
    assert renamed["subdomain"]["url"] == one["subdomain"]["url"]
    assert rest.visit(one["subdomain"]["url"]).json() == {"greeting": None}


MISFITS: list[tuple[dict[str, Any], int, int]] = [
    ({}, 400, 10003),
    ({"name": "Not A Name"}, 400, 10016),
    ({"name": ""}, 400, 10016),
    ({"name": "a" * 64}, 400, 10016),
    ({"name": 7}, 400, 10021),
    ({"name": "w", "tags": ["a,b"]}, 400, 100134),
    ({"name": "w", "tags": ["a" * 1025]}, 400, 100102),
    ({"name": "w", "tags": [str(n) for n in range(9)]}, 403, 100103),
    ({"name": "w", "observability": {"head_sampling_rate": 2}}, 400, 100308),
    ({"name": "w", "observability": {"logs": {"head_sampling_rate": -1}}}, 400, 100308),
    ({"name": "w", "logpush": "yes"}, 400, 10021),
    ({"name": "w", "tail_consumers": [{}]}, 400, 10021),
]


@pytest.mark.parametrize(("body", "status", "code"), MISFITS)
def test_what_does_not_fit_is_refused(rest: Rest, body: dict[str, Any], status: int, code: int) -> None:
    assert rest.refusal("POST", "/workers/workers", body)[:2] == (status, code)


def test_a_name_is_taken_once(rest: Rest) -> None:
    one, other = rest.worker(), rest.worker()
    message = f"A Worker with the name '{one['name']}' already exists. Please choose a different name."
    assert rest.refusal("POST", "/workers/workers", {"name": one["name"]}) == (409, 10040, message)
    assert rest.refusal("PUT", f"/workers/workers/{other['id']}", {"name": one["name"]}) == (409, 10040, message)


def test_a_list_has_an_order_and_pages(rest: Rest) -> None:
    names = {rest.worker()["name"] for _ in range(3)}
    answer = rest.send("GET", "/workers/workers?order_by=created_on&order=desc&per_page=2").json()
    assert {worker["name"] for worker in answer["result"]} <= names
    assert answer["result_info"]["per_page"] == 2
    assert answer["result_info"]["total_count"] >= 3
    by_name = [worker["name"] for worker in rest.result("GET", "/workers/workers?order_by=name&order=asc&per_page=100")]
    assert by_name == sorted(by_name)
    assert rest.refusal("GET", "/workers/workers?order_by=size")[:2] == (400, 10021)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/workers/workers/nobody", None),
        ("PUT", "/workers/workers/nobody", {"name": "somebody"}),
        ("PATCH", "/workers/workers/nobody", {}),
        ("DELETE", "/workers/workers/nobody", None),
        ("GET", "/workers/workers/nobody/versions", None),
        ("GET", "/workers/workers/nobody/versions/latest", None),
        ("GET", "/workers/scripts/nobody/deployments", None),
        ("GET", "/workers/scripts/nobody/schedules", None),
        ("PUT", "/workers/scripts/nobody/schedules", []),
    ],
)
def test_an_unknown_worker_is_not_found(rest: Rest, method: str, path: str, body: Any) -> None:
    assert rest.refusal(method, path, body) == NOT_FOUND


def test_a_queue_consumer_cannot_be_deleted(rest: Rest) -> None:
    worker, queue = rest.deployed_worker(), rest.queue()
    body = {"type": "worker", "script_name": worker["name"]}
    consumer = rest.result("POST", f"/queues/{queue['queue_id']}/consumers", body)
    message = (
        "Cannot delete this Worker as it is a consumer for a Queue."
        " Remove it from the Queue's consumers first, then retry."
    )
    assert rest.refusal("DELETE", f"/workers/workers/{worker['id']}") == (403, 10064, message)
    rest.result("DELETE", f"/queues/{queue['queue_id']}/consumers/{consumer['consumer_id']}")
    assert rest.result("DELETE", f"/workers/workers/{worker['id']}") is None
    with pytest.raises(httpx.ConnectError):
        rest.visit(worker["subdomain"]["url"])
