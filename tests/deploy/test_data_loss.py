"""No command deletes data unasked: on a real instance, by each of the ways that data can go."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local.cli import instance
from local.cli.api_client import ApiClient
from local.cli.instance import Instance
from local.pulumi.target import Target
from tests.deploy.conftest import Stack
from tests.deploy.stand_in_api import StandInApi

LIVE = '{"Counter": {"type": "durable-object", "storage": "sqlite"}}'
DELETED = '{"Counter": {"type": "durable-object", "state": "deleted"}}'
NEW_CLASS = '{"new_tag": "v1", "new_sqlite_classes": ["Counter"]}'
DELETED_CLASS = '{"old_tag": "v1", "new_tag": "v2", "deleted_classes": ["Counter"]}'
COUNTED = """
    import { DurableObject } from "cloudflare:workers";
    export class Counter extends DurableObject {
        async fetch() { await this.ctx.storage.put("n", 1); return new Response("counted"); }
    }
    export default { fetch: (request, env) => env.COUNTER.getByName("one").fetch(request) };
"""
EMPTY = "export default { fetch: () => new Response('empty') };"
PROGRAM = """
    worker = cf.Worker("worker", account_id=ACCOUNT, name="counted", subdomain={{"enabled": True}})
    version = cf.WorkerVersion(
        "version", account_id=ACCOUNT, worker_id=worker.id, main_module="index.js", compatibility_date="2026-03-01",
        modules=[{{
            "name": "index.js", "content_type": "application/javascript+module", "content_file": "index.js",
        }}],
        bindings={bindings}, exports={exports}, migrations={migrations}, deploy=True,
    )
    pulumi.export("url", worker.subdomain.url)
"""
BINDINGS = '[{"type": "durable_object_namespace", "name": "COUNTER", "class_name": "Counter"}]'
LOST = "nothing was touched: it would delete data: "


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    state_dir = tmp_path_factory.mktemp("cloudflare") / "state"
    running, _ = instance.start(state_dir, port=0)
    yield running
    instance.stop(state_dir)


@pytest.fixture
def lossy(tmp_path: Path, api: StandInApi, cloud: Instance) -> Stack:
    return Stack(tmp_path / "program", api, Target(cloud.base_url, cloud.api_token))


def declare(stack: Stack, code: str, bindings: str = "None", exports: str = "None", migrations: str = "None") -> None:
    stack.write("index.js", code)
    stack.program(PROGRAM.format(bindings=bindings, exports=exports, migrations=migrations))


def namespaces(cloud: Instance) -> list[str]:
    with ApiClient(cloud) as api:
        return [one["class"] for one in api.all("workers/durable_objects/namespaces")]


@pytest.mark.parametrize(
    ("live", "deleted"),
    [({"exports": LIVE}, {"exports": DELETED}), ({"migrations": NEW_CLASS}, {"migrations": DELETED_CLASS})],
    ids=["exports", "migrations"],
)
def test_objects_go_when_asked(lossy: Stack, cloud: Instance, live: dict[str, str], deleted: dict[str, str]) -> None:
    declare(lossy, COUNTED, BINDINGS, **live)
    lossy.up()
    assert httpx.get(lossy.outputs["url"], trust_env=False).text == "counted"

    declare(lossy, EMPTY, **deleted)
    assert lossy.deploy("up").errors == [f"{LOST}WorkerVersion version (1 object of class Counter)"]
    assert lossy.deploy("destroy").errors == [f"{LOST}Worker worker (1 object of class Counter)"]
    lossy.program("")
    assert lossy.deploy("up").errors == [f"{LOST}Worker worker (1 object of class Counter)"]
    assert namespaces(cloud) == ["Counter"]

    lossy.allow_data_loss = True
    declare(lossy, EMPTY, **deleted)
    lossy.up()
    assert namespaces(cloud) == []
    lossy.allow_data_loss = False
    assert lossy.deploy("destroy").errors == []


def test_stores_go_when_asked(lossy: Stack, cloud: Instance) -> None:
    declared = """
        db = cf.D1Database("db", account_id=ACCOUNT, name="{name}", read_replication={{"mode": "disabled"}})
        kv = cf.WorkersKvNamespace("kv", account_id=ACCOUNT, title="kept")
        pulumi.export("db", db.uuid)
        pulumi.export("kv", kv.id)
    """
    lossy.program(declared.format(name="first"))
    lossy.up()
    with ApiClient(cloud) as api:
        api.call("POST", f"d1/database/{lossy.outputs['db']}/query", {"sql": "CREATE TABLE t (a)"})
        pairs = [{"key": "a", "value": "b"}]
        api.call("PUT", f"storage/kv/namespaces/{lossy.outputs['kv']}/bulk", pairs)
    lossy.program(declared.format(name="second"))
    assert lossy.deploy("up").errors == [f"{LOST}D1Database db (1 table)"], "it is replaced"
    lossy.program("")
    for command in ("up", "destroy"):
        [error] = lossy.deploy(command).errors
        assert error.startswith(LOST)
        assert set(error.removeprefix(LOST).split(", ")) == {"D1Database db (1 table)", "WorkersKvNamespace kv (1 key)"}
    lossy.allow_data_loss = True
    assert lossy.deploy("destroy").errors == []
