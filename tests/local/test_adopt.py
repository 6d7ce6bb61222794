"""Stores with an id of one's choice: a configuration that names them deploys as it is."""

import uuid

import pytest

from local.cli import adopt as adoption
from local.cli.api_client import ApiClient
from local.cli.instance import Instance, InstanceError
from tests.local.rest import Rest, unique

USER = """export default { async fetch(_, env) {
  await env.KV.put("key", "value")
  return Response.json([await env.DB.prepare("SELECT 1 AS one").first("one"), await env.KV.get("key")])
} }"""


def adopt(cloud: Instance, kind: str, name: str, identity: str | None) -> str:
    with ApiClient(cloud) as api:
        return adoption.adopt(api, kind, name, identity)


def test_a_store_has_the_id_that_a_configuration_names(rest: Rest, cloud: Instance) -> None:
    database, namespace, queue = str(uuid.uuid4()), uuid.uuid4().hex, uuid.uuid4().hex
    name = unique("adopted")
    assert adopt(cloud, "d1", name, database) == database
    assert adopt(cloud, "kv", name, namespace) == namespace
    assert adopt(cloud, "queue", name, queue) == queue
    assert adopt(cloud, "r2", name, None) == name
    assert rest.result("GET", f"/d1/database/{database}")["name"] == name
    assert rest.result("GET", f"/queues/{queue}")["queue_name"] == name
    bindings = [
        {"type": "d1", "name": "DB", "database_id": database},
        {"type": "kv_namespace", "name": "KV", "namespace_id": namespace},
    ]
    worker = rest.deployed_worker(USER, bindings=bindings)
    assert rest.visit(worker["subdomain"]["url"]).json() == [1, "value"]


def test_an_id_is_taken_once_and_has_a_form(rest: Rest, cloud: Instance) -> None:
    database, namespace, queue, zone = str(uuid.uuid4()), uuid.uuid4().hex, uuid.uuid4().hex, uuid.uuid4().hex
    for kind, identity in (("d1", database), ("kv", namespace), ("queue", queue), ("zone", zone)):
        end = ".example.com" if kind == "zone" else ""
        adopt(cloud, kind, unique("first") + end, identity)
        for wrong in (identity, "no-id", identity.upper()):
            with pytest.raises(InstanceError):
                adopt(cloud, kind, unique("second") + end, wrong)
    with pytest.raises(InstanceError, match="leave --id out"):
        adopt(cloud, "r2", unique("bucket"), "id")
    rest.result("DELETE", f"/d1/database/{database}")
    with pytest.raises(InstanceError, match="deleted since the start"):
        adopt(cloud, "d1", unique("again"), database)
