"""Durable Objects: how classes come, stay, move and go with uploads, and where their data is meanwhile."""

from typing import Any

import pytest
from cloudflare import Cloudflare

from local.cli.instance import Instance
from tests.local.rest import Rest, eventually, refusal_of, unique, version

NAMESPACES = "/workers/durable_objects/namespaces"
LIVE = {"type": "durable-object", "storage": "sqlite"}
DELETED = {"type": "durable-object", "state": "deleted"}
BINDING = {"type": "durable_object_namespace", "name": "COUNTER", "class_name": "Counter"}

NO_CLASS = "export default { async fetch(request, env) { return Response.json('none') } }"


def counter(name: str = "Counter", mark: str = "") -> str:
    """Write a Worker that counts in an object named by the path, and rings an alarm on ?alarm."""
    return f"""
import {{ DurableObject }} from 'cloudflare:workers';
export class {name} extends DurableObject {{
  async count(alarm) {{
    const {{ storage }} = this.ctx;
    const count = (await storage.get('count') ?? 0) + 1;
    await storage.put('count', count);
    if (alarm) await storage.setAlarm(Date.now() + 500);
    return {{ count, rang: await storage.get('rang') ?? false, mark: '{mark}' }};
  }}
  async alarm() {{ await this.ctx.storage.put('rang', true); }}
}}
export default {{ async fetch(request, env) {{
  const url = new URL(request.url);
  return Response.json(await env.COUNTER.getByName(url.pathname).count(url.searchParams.has('alarm')));
}} }}
"""


def versions_of(worker: dict[str, Any], query: str = "?deploy=true") -> str:
    return f"/workers/workers/{worker['id']}/versions{query}"


def deploy(rest: Rest, worker: dict[str, Any], code: str, **more: Any) -> dict[str, Any]:
    return rest.result("POST", versions_of(worker), version(code, **more))


def refused(rest: Rest, worker: dict[str, Any], code: str, query: str = "?deploy=true", **more: Any) -> Any:
    return rest.refusal("POST", versions_of(worker, query), version(code, **more))


def new_counter(rest: Rest) -> dict[str, Any]:
    return rest.deployed_worker(counter(), bindings=[BINDING], exports={"Counter": LIVE})


def count(rest: Rest, worker: dict[str, Any], path: str = "/a") -> int:
    return rest.visit(worker["subdomain"]["url"] + path).json()["count"]


def namespace_of(rest: Rest, worker: dict[str, Any]) -> dict[str, Any] | None:
    found = rest.result("GET", f"{NAMESPACES}?per_page=1000")
    return next((namespace for namespace in found if namespace["script"] == worker["name"]), None)


def test_a_class_comes_with_a_deployed_upload(rest: Rest, sdk: Cloudflare, cloud: Instance) -> None:
    worker = rest.worker()
    uploaded = deploy(rest, worker, counter(), bindings=[BINDING], exports={"Counter": LIVE})
    assert uploaded["exports"] == {"Counter": LIVE}
    assert uploaded["exports_reconciliation"]["created"] == ["Counter"]
    namespace = namespace_of(rest, worker)
    assert namespace is not None
    assert uploaded["bindings"] == [BINDING | {"namespace_id": namespace["id"]}]
    assert namespace == {
        "id": namespace["id"],
        "name": f"{worker['name']}_Counter",
        "script": worker["name"],
        "class": "Counter",
        "use_sqlite": True,
    }
    assert [count(rest, worker), count(rest, worker), count(rest, worker, "/b")] == [1, 2, 1]
    listed = sdk.durable_objects.namespaces.list(account_id=cloud.account_id, per_page=1000)
    assert namespace["id"] in [found.id for found in listed]
    objects = sdk.durable_objects.namespaces.objects.list(str(namespace["id"]), account_id=cloud.account_id, limit=1)
    ids = [found.id for found in objects]
    assert len(set(ids)) == 2
    read = rest.result("GET", f"/workers/workers/{worker['id']}/versions/latest?include=modules")
    assert read == uploaded


def test_data_outlives_versions_and_names(rest: Rest) -> None:
    worker = new_counter(rest)
    assert count(rest, worker) == 1
    again = deploy(rest, worker, counter(mark="two"), bindings=[BINDING], exports={"Counter": LIVE})
    assert again["exports_reconciliation"]["created"] == []
    assert rest.visit(worker["subdomain"]["url"] + "/a").json() == {"count": 2, "rang": False, "mark": "two"}
    # Without a change of classes an upload needs no deployment of its own, and can be rolled out in parts.
    third = rest.result(
        "POST", versions_of(worker, ""), version(counter(mark="three"), bindings=[BINDING], exports={"Counter": LIVE})
    )
    parts = [{"version_id": again["id"], "percentage": 40}, {"version_id": third["id"], "percentage": 60}]
    rest.result("POST", f"/workers/scripts/{worker['name']}/deployments", {"strategy": "percentage", "versions": parts})
    # One version hosts all objects, whichever version a request meets.
    answers = [rest.visit(worker["subdomain"]["url"] + "/a").json() for _ in range(8)]
    assert {answer["mark"] for answer in answers} == {"three"}
    assert [answer["count"] for answer in answers] == list(range(3, 11))
    renamed = f"{worker['name']}-renamed"
    rest.result("PATCH", f"/workers/workers/{worker['id']}", {"name": renamed})
    assert count(rest, worker) == 11
    exports: dict[str, Any] = {
        "Renamed": LIVE,
        "Counter": {"type": "durable-object", "state": "renamed", "renamed_to": "Renamed"},
    }
    moved = deploy(rest, worker, counter("Renamed"), bindings=[BINDING | {"class_name": "Renamed"}], exports=exports)
    assert moved["exports"] == {"Renamed": LIVE}
    assert moved["exports_reconciliation"]["renamed"] == [{"from": "Counter", "to": "Renamed"}]
    assert moved["exports_reconciliation"]["created"] == []
    assert count(rest, worker) == 12


def test_a_change_of_classes_must_be_deployed_at_once(rest: Rest) -> None:
    worker = rest.worker()
    status, code, message = refused(rest, worker, counter(), "", exports={"Counter": LIVE})
    assert (status, code) == (400, 10211)
    assert message.startswith("Version upload failed. You attempted to upload a version of a Worker that includes a")
    assert (
        refused(rest, worker, counter(), "", migrations={"new_tag": "v1", "new_sqlite_classes": ["Counter"]})[1]
        == 10211
    )
    assert namespace_of(rest, worker) is None


def test_a_provisioned_class_stays_declared_until_it_is_buried(rest: Rest) -> None:
    worker = new_counter(rest)
    namespace = namespace_of(rest, worker)
    assert namespace is not None
    count(rest, worker)
    undeclared: list[dict[str, Any]] = [{}, {"exports": {}}]
    for more in undeclared:
        response = rest.send("POST", versions_of(worker), version(NO_CLASS, **more))
        _, code, message = refusal_of(response)
        assert code == 100402
        assert message.startswith(
            "Durable Object exports reconciliation failed: [provisioned_class_missing_from_config] class 'Counter':"
            f" class 'Counter' has a provisioned Durable Object namespace ({namespace['id']}) but is not declared in"
            " `exports`. Every provisioned class must be declared in `exports` (live or tombstone);"
        )
        [detail] = response.json()["errors"][0]["meta"]["details"]
        assert (detail["class"], detail["scenario"]) == ("Counter", "provisioned_class_missing_from_config")
    message = refused(rest, worker, counter(), exports={"Counter": DELETED})[2]
    assert "[tombstone_delete_class_still_in_code] class 'Counter'" in message
    assert refused(rest, worker, NO_CLASS, "", exports={"Counter": DELETED})[1] == 10211
    assert refused(rest, worker, NO_CLASS, bindings=[BINDING], exports={"Counter": DELETED})[1] == 10061
    assert count(rest, worker) == 2
    buried = deploy(rest, worker, NO_CLASS, exports={"Counter": DELETED})
    assert buried["exports"] == {}
    assert buried["exports_reconciliation"]["deleted"] == ["Counter"]
    assert namespace_of(rest, worker) is None
    assert rest.refusal("GET", f"{NAMESPACES}/{namespace['id']}/objects")[0] == 404
    stale = deploy(rest, worker, NO_CLASS, exports={"Counter": DELETED})["exports_reconciliation"]
    assert stale["removable_entries"] == ["Counter"]
    assert [info["scenario"] for info in stale["info"]] == ["stale_tombstone"]
    deploy(rest, worker, NO_CLASS)
    deploy(rest, worker, counter(), bindings=[BINDING], exports={"Counter": LIVE})
    assert count(rest, worker) == 1


@pytest.mark.parametrize(
    ("exports", "scenario"),
    [
        ({"Phantom": LIVE}, "config_export_not_in_code"),
        ({"Counter": LIVE | {"storage": "legacy-kv"}}, "storage_type_mismatch"),
        ({"Counter": {"type": "durable-object"}}, "invalid_export"),
        ({"Old": DELETED | {"storage": "sqlite"}}, "invalid_export"),
        ({"Old": {"type": "durable-object", "state": "renamed", "renamed_to": "Counter"}}, "invalid_export"),
    ],
)
def test_exports_agree_with_the_code(rest: Rest, exports: dict[str, Any], scenario: str) -> None:
    _, code, message = refused(rest, rest.idle_worker(), counter(), exports=exports)
    assert code == 100402
    assert f"[{scenario}]" in message


def test_bad_input_is_named(rest: Rest) -> None:
    worker = rest.idle_worker()
    both: dict[str, Any] = {"exports": {"Counter": LIVE}, "migrations": {"new_tag": "v1"}}
    assert refused(rest, worker, counter(), **both) == (
        400,
        10021,
        "`exports` and `migrations` are mutually exclusive.",
    )
    assert refused(rest, worker, counter(), exports={"Counter": 5})[:2] == (400, 10021)
    assert refused(rest, worker, counter(), exports={"Counter": {"type": "class"}})[:2] == (400, 10021)
    moving = {"type": "durable-object", "state": "transferred", "transferred_to": "x"}
    assert refused(rest, worker, counter(), exports={"Counter": moving})[0] == 501
    assert rest.refusal("GET", f"{NAMESPACES}?page=0")[:2] == (400, 10021)


def test_migrations_are_steps_with_tags(rest: Rest) -> None:
    worker = rest.worker()
    first = {"new_tag": "v1", "new_sqlite_classes": ["Counter"], "new_classes": []}
    uploaded = deploy(rest, worker, counter(), bindings=[BINDING], migrations=first)
    assert uploaded["migrations"] == first
    assert uploaded["migration_tag"] == "v1"
    assert "exports" not in uploaded
    assert count(rest, worker) == 1
    again = refused(rest, worker, counter(), bindings=[BINDING], migrations=first)
    assert again == (400, 10079, "Migration tag precondition failed; current tag is 'v1'")
    assert deploy(rest, worker, counter(), bindings=[BINDING])["migration_tag"] == "v1"
    assert count(rest, worker) == 2
    twice = {"old_tag": "v1", "new_tag": "v2", "new_sqlite_classes": ["Counter"]}
    assert refused(rest, worker, counter(), migrations=twice)[1] == 10074
    phantom = {"old_tag": "v1", "new_tag": "v2", "new_sqlite_classes": ["Phantom"]}
    assert refused(rest, worker, counter(), migrations=phantom)[1] == 10070
    code, message = refused(rest, worker, NO_CLASS)[1:]
    assert code == 10064
    assert message.startswith(
        "New version of script does not export class 'Counter' which is depended on by existing Durable Objects."
    )
    renamed = {"old_tag": "v1", "new_tag": "v2", "renamed_classes": [{"from": "Counter", "to": "Other"}]}
    deploy(rest, worker, counter("Other"), bindings=[BINDING | {"class_name": "Other"}], migrations=renamed)
    assert count(rest, worker) == 3
    gone = {"old_tag": "v2", "new_tag": "v3", "steps": [{"deleted_classes": ["Other"]}]}
    bound = refused(rest, worker, NO_CLASS, bindings=[BINDING | {"class_name": "Other"}], migrations=gone)
    assert bound[1] == 10061
    deploy(rest, worker, NO_CLASS, migrations=gone)
    assert namespace_of(rest, worker) is None


def test_all_steps_of_a_history_come_to_one_change(rest: Rest) -> None:
    """wrangler sends a Worker's whole history where it was never deployed: classes of the past are not exported."""
    worker = rest.worker()
    past: list[dict[str, Any]] = [
        {"new_classes": ["Draft"], "new_sqlite_classes": ["First"]},
        {"renamed_classes": [{"from": "First", "to": "Second"}], "deleted_classes": ["Draft"]},
        {"renamed_classes": [{"from": "Second", "to": "Counter"}]},
    ]
    deploy(rest, worker, counter(), bindings=[BINDING], migrations={"new_tag": "v3", "steps": past})
    assert count(rest, worker) == 1
    both = counter() + "export class Other extends Counter {}"
    deploy(rest, worker, both, migrations={"old_tag": "v3", "new_tag": "v4", "new_sqlite_classes": ["Other"]})
    swap = [{"from": "Counter", "to": "T"}, {"from": "Other", "to": "Counter"}, {"from": "T", "to": "Other"}]
    swapped = {"old_tag": "v4", "new_tag": "v5", "steps": [{"renamed_classes": [one]} for one in swap]}
    deploy(rest, worker, both, bindings=[BINDING | {"class_name": "Other"}], migrations=swapped)
    assert count(rest, worker) == 2
    anew = {"old_tag": "v5", "new_tag": "v6", "steps": [{"deleted_classes": ["Other"]}, {"new_classes": ["Other"]}]}
    deploy(rest, worker, both, bindings=[BINDING | {"class_name": "Other"}], migrations=anew)
    assert count(rest, worker) == 1


def test_migrations_give_way_to_exports_for_good(rest: Rest) -> None:
    worker = rest.worker()
    deploy(rest, worker, counter(), bindings=[BINDING], migrations={"new_tag": "v1", "new_classes": ["Counter"]})
    namespace = namespace_of(rest, worker)
    assert namespace is not None
    assert namespace["use_sqlite"] is False
    assert count(rest, worker) == 1
    legacy = LIVE | {"storage": "legacy-kv"}
    assert "[storage_type_mismatch]" in refused(rest, worker, counter(), exports={"Counter": LIVE})[2]
    deploy(rest, worker, counter(), bindings=[BINDING], exports={"Counter": legacy})
    assert count(rest, worker) == 2
    assert refused(rest, worker, counter(), migrations={"new_tag": "v2"})[1] == 100403


def test_a_deployment_needs_every_provisioned_class(rest: Rest) -> None:
    worker = rest.deployed_worker(NO_CLASS)
    before = rest.result("GET", f"/workers/workers/{worker['id']}/versions/latest")
    deploy(rest, worker, counter(), bindings=[BINDING], exports={"Counter": LIVE})
    back = {"strategy": "percentage", "versions": [{"version_id": before["id"], "percentage": 100}]}
    assert rest.refusal("POST", f"/workers/scripts/{worker['name']}/deployments", back)[1] == 100402


def test_another_workers_class_is_bound_by_its_script(rest: Rest) -> None:
    host = new_counter(rest)
    binding = BINDING | {"script_name": host["name"]}
    guest_code = counter().replace("export class Counter", "class Counter")
    guest = rest.deployed_worker(guest_code, bindings=[binding])
    assert [count(rest, host), count(rest, guest), count(rest, host)] == [1, 2, 3]
    message = refused(rest, host, NO_CLASS, exports={"Counter": DELETED})[2]
    assert "[tombstone_delete_blocked_by_external_bindings]" in message
    worker = rest.idle_worker()
    unknown = refused(rest, worker, NO_CLASS, bindings=[BINDING | {"script_name": "nobody"}])
    assert unknown == (
        400,
        10061,
        "Cannot create binding for class 'Counter' because it is not currently configured to implement Durable Objects."
        " Configure a migration in your configuration to add this class.",
    )
    assert refused(rest, worker, counter(), bindings=[BINDING])[1] == 10061
    assert "not exported by the script" in refused(rest, worker, NO_CLASS, bindings=[BINDING])[2]
    assert refused(rest, worker, NO_CLASS, bindings=[{"type": "durable_object_namespace", "name": "X"}])[1] == 10021


def test_a_workers_end_is_the_end_of_its_objects(rest: Rest) -> None:
    worker = new_counter(rest)
    count(rest, worker)
    namespace = namespace_of(rest, worker)
    assert namespace is not None
    rest.result("DELETE", f"/workers/workers/{worker['id']}")
    assert namespace_of(rest, worker) is None


def test_an_alarm_rings_after_a_deployment(rest: Rest) -> None:
    worker = new_counter(rest)
    rest.visit(worker["subdomain"]["url"] + "/a?alarm")
    # Its objects pass to another process.
    deploy(rest, worker, counter(), bindings=[BINDING], exports={"Counter": LIVE})
    eventually(lambda: rest.visit(worker["subdomain"]["url"] + "/a").json()["rang"] or None)


def test_a_service_binding_reaches_another_worker_and_its_entrypoints(rest: Rest) -> None:
    target = rest.deployed_worker(
        """
        import { WorkerEntrypoint } from 'cloudflare:workers';
        export class Adder extends WorkerEntrypoint { add(a, b) { return a + b } }
        export default { async fetch(request) { return new Response('target of ' + new URL(request.url).pathname) } }
        """
    )
    caller = """export default { async fetch(request, env) {
      return Response.json([await (await env.TARGET.fetch(request)).text(), await env.ADDER.add(1, 2)]) } }"""
    bindings = [
        {"type": "service", "name": "ADDER", "service": target["name"], "entrypoint": "Adder"},
        {"type": "service", "name": "TARGET", "service": target["name"]},
    ]
    worker = rest.deployed_worker(caller, bindings=bindings)
    assert rest.visit(worker["subdomain"]["url"] + "/x").json() == ["target of /x", 3]
    assert rest.result("GET", f"/workers/workers/{worker['id']}/versions/latest")["bindings"] == bindings
    nobody = {"type": "service", "name": "S", "service": unique("nobody")}
    status, code, message = refused(rest, rest.idle_worker(), NO_CLASS, bindings=[nobody])
    assert (status, code) == (400, 10143)
    assert message.startswith(f"Service binding 'S' references Worker '{nobody['service']}' which was not found.")
