"""Every route that the Python SDK has a method for, called through it once, and each reply held against its model.

A route that comes to local/ needs a line in CALLS, or in SDK_CALLS of its product's own test, test_PRODUCT.py.
"""

import base64
import hashlib
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any, TypeVar

import httpx
import pytest
from cloudflare import Cloudflare, DefaultHttpxClient

from local.cli.instance import Instance
from local.core.registry import products
from tests.local import published, sdk_operations
from tests.local.errata import ERRATA, Erratum
from tests.local.rest import ECHO, Rest, eventually, module, unique

CODE = """
import { DurableObject, WorkflowEntrypoint } from "cloudflare:workers"
export class Counter extends DurableObject {
  async fetch() {
    await this.ctx.storage.put("count", 1)
    return new Response("counted")
  }
}
export class Flow extends WorkflowEntrypoint {
  async run(event, step) {
    await step.do("make", async () => 1)
    return (await step.waitForEvent("wait", { type: "go", timeout: "1 hour" })).payload
  }
}
export default {
  fetch: (request, env) => env.COUNTER.get(env.COUNTER.idFromName("one")).fetch(request),
  async queue() {},
  async scheduled() {},
}
"""
FILE = ("index.js", ECHO.encode(), "application/javascript+module")
LOGS: Any = {"enabled": True, "logs": {"enabled": True}}  # without invocation_logs, which the SDK's type requires
PAGE = b"<h1>the Python SDK</h1>"
PAGE_HASH = hashlib.sha256(PAGE).hexdigest()[:32]
DUMP = b"CREATE TABLE t (a)"

T = TypeVar("T")


def some(value: T | None) -> T:
    """Tell the type checker what the SDK leaves open."""
    assert value is not None
    return value


class World:
    """What the calls are about; `new_…` is for a call that takes something away."""

    def __init__(self, sdk: Cloudflare, rest: Rest, account: str) -> None:
        self.sdk, self.rest, self.account = sdk, rest, account
        self.database = self.new_database()
        self.namespace = self.new_namespace()
        self.bucket = self.new_bucket()
        self.queue = self.new_queue()
        self.consumer = self.new_consumer(self.queue)
        self.worker = rest.deployed_worker()["id"]
        self.script = self.new_script()
        self.consumed = self.new_queue()
        rest.result("POST", f"/queues/{self.consumed}/consumers", {"type": "worker", "script_name": self.script})
        self.workflow = self.new_workflow()
        self.instance = self.new_instance()

    def new_database(self) -> str:
        return self.rest.database()["uuid"]

    def unexportable(self) -> str:
        database = self.new_database()
        self.rest.result("POST", f"/d1/database/{database}/query", {"sql": "CREATE VIRTUAL TABLE t USING fts5(a)"})
        return database

    def new_namespace(self) -> str:
        namespace_id: str = self.rest.result("POST", "/storage/kv/namespaces", {"title": unique("kv")})["id"]
        self.rest.result("PUT", f"/storage/kv/namespaces/{namespace_id}/values/key?expiration_ttl=600", "value")
        return namespace_id

    def new_bucket(self) -> str:
        return self.rest.result("POST", "/r2/buckets", {"name": unique("bucket")})["name"]

    def new_queue(self) -> str:
        return self.rest.queue()["queue_id"]

    def new_consumer(self, queue: str) -> str:
        return self.rest.result("POST", f"/queues/{queue}/consumers", {"type": "http_pull"})["consumer_id"]

    def new_lease(self) -> str:
        self.rest.result("POST", f"/queues/{self.queue}/messages", {"body": "text", "content_type": "text"})
        [message, *_] = self.rest.result("POST", f"/queues/{self.queue}/messages/pull", {"batch_size": 1})["messages"]
        return message["lease_id"]

    def new_script(self) -> str:
        name = unique("script")
        counter = {"type": "durable_object_namespace", "name": "COUNTER", "class_name": "Counter"}
        secret = {"type": "secret_text", "name": "SECRET", "text": "x"}
        migrations = {"new_tag": "v1", "new_sqlite_classes": ["Counter"]}
        own = {"type": "service", "name": "OWN", "service": name, "props": {"who": "itself"}}
        self.rest.upload(name, CODE, bindings=[counter, own, secret], migrations=migrations)
        return name

    def new_version(self) -> str:
        path = f"/workers/workers/{self.worker}/versions"
        uploaded = {"main_module": "index.js", "compatibility_date": "2025-04-01", "modules": [module()]}
        return self.rest.result("POST", path, uploaded)["id"]

    def script_version(self) -> str:
        return self.rest.result("GET", f"/workers/scripts/{self.script}/versions")["items"][0]["id"]

    def deployments(self) -> list[str]:
        listed = self.rest.result("GET", f"/workers/scripts/{self.script}/deployments")["deployments"]
        return [deployment["id"] for deployment in listed]

    def manifest(self) -> dict[str, Any]:
        return {"/page.html": {"hash": PAGE_HASH, "size": len(PAGE)}}

    def new_upload(self) -> str:
        path = f"/workers/scripts/{self.script}/assets-upload-session"
        return self.rest.result("POST", path, {"manifest": self.manifest()})["jwt"]

    def new_secret(self) -> str:
        secret = {"name": unique("SECRET"), "text": "x", "type": "secret_text"}
        return self.rest.result("PUT", f"/workers/scripts/{self.script}/secrets", secret)["name"]

    def new_tail(self) -> str:
        return self.rest.result("POST", f"/workers/scripts/{self.script}/tails", {"filters": []})["id"]

    def new_workflow(self) -> str:
        name = unique("flow")
        self.rest.result("PUT", f"/workflows/{name}", {"class_name": "Flow", "script_name": self.script})
        return name

    def workflow_version(self) -> str:
        return self.rest.result("GET", f"/workflows/{self.workflow}/versions")[0]["id"]

    def new_instance(self) -> str:
        instance_id: str = self.rest.result("POST", f"/workflows/{self.workflow}/instances", {})["id"]
        path = f"/workflows/{self.workflow}/instances/{instance_id}"
        eventually(lambda: self.rest.result("GET", path)["status"] == "waiting" or None)
        return instance_id

    def counter_namespace(self) -> str:
        url = self.rest.result("GET", f"/workers/workers/{self.script}")["subdomain"]["url"]
        assert self.rest.visit(url).text == "counted"
        found = self.rest.result("GET", "/workers/durable_objects/namespaces?per_page=1000")
        return next(namespace["id"] for namespace in found if namespace["script"] == self.script)

    def imported(self) -> bool:
        etag = hashlib.md5(DUMP).hexdigest()  # noqa: S324 what the API asks for
        import_ = self.sdk.d1.database.import_
        begun = some(import_(self.database, account_id=self.account, action="init", etag=etag))
        early = import_(
            self.database, account_id=self.account, action="ingest", etag=etag, filename=some(begun.filename)
        )
        assert some(early).success is False
        httpx.put(some(begun.upload_url), content=DUMP, trust_env=False).raise_for_status()
        name = some(begun.filename)
        done = import_(self.database, account_id=self.account, action="ingest", etag=etag, filename=name)
        return some(done).status == "complete"


# One line a method of the SDK: what it gives must be so.
_COMMON: dict[str, Callable[[World], bool]] = {
    "user.get": lambda w: some(w.sdk.user.get()).suspended is False,
    "user.tokens.verify": lambda w: some(w.sdk.user.tokens.verify()).status == "active",
    "accounts.list": lambda w: [one.id for one in w.sdk.accounts.list()] == [w.account],
    "accounts.get": lambda w: some(w.sdk.accounts.get(account_id=w.account)).id == w.account,
    "accounts.tokens.verify": lambda w: some(w.sdk.accounts.tokens.verify(account_id=w.account)).status == "active",
    "memberships.list": lambda w: [one.status for one in w.sdk.memberships.list()] == ["accepted"],
    "containers.applications.list": lambda w: list(w.sdk.containers.applications.list(account_id=w.account)) == [],
    # D1
    "d1.database.create": lambda w: bool(w.sdk.d1.database.create(account_id=w.account, name=unique("db")).uuid),
    "d1.database.list": lambda w: w.database in [one.uuid for one in w.sdk.d1.database.list(account_id=w.account)],
    "d1.database.get": lambda w: w.sdk.d1.database.get(w.database, account_id=w.account).uuid == w.database,
    "d1.database.update": lambda w: (
        some(
            w.sdk.d1.database.update(
                w.database, account_id=w.account, read_replication={"mode": "auto"}
            ).read_replication
        ).mode
        == "auto"
    ),
    "d1.database.edit": lambda w: (
        some(
            w.sdk.d1.database.edit(
                w.database, account_id=w.account, read_replication={"mode": "disabled"}
            ).read_replication
        ).mode
        == "disabled"
    ),
    "d1.database.query": lambda w: (
        [some(one.results) for one in w.sdk.d1.database.query(w.database, account_id=w.account, sql="SELECT 1 AS a")]
        == [[{"a": 1}]]
    ),
    "d1.database.raw": lambda w: (
        [
            some(one.results).rows
            for one in w.sdk.d1.database.raw(w.database, account_id=w.account, sql="SELECT 1, 'x', NULL")
        ]
        == [[[1, "x", None]]]
    ),
    "d1.database.import_": World.imported,
    "d1.database.export": lambda w: (
        [
            some(w.sdk.d1.database.export(database, account_id=w.account, output_format="polling")).status
            for database in (w.database, w.unexportable())
        ]
        == ["complete", "error"]
    ),
    "d1.database.delete": lambda w: w.sdk.d1.database.delete(w.new_database(), account_id=w.account) is None,
    # KV
    "kv.namespaces.create": lambda w: (
        some(w.sdk.kv.namespaces.create(account_id=w.account, title=unique("kv"))).supports_url_encoding is True
    ),
    "kv.namespaces.list": lambda w: w.namespace in [one.id for one in w.sdk.kv.namespaces.list(account_id=w.account)],
    "kv.namespaces.get": lambda w: some(w.sdk.kv.namespaces.get(w.namespace, account_id=w.account)).id == w.namespace,
    "kv.namespaces.update": lambda w: (
        w.sdk.kv.namespaces.update(w.namespace, account_id=w.account, title=unique("kv")).id == w.namespace
    ),
    "kv.namespaces.delete": lambda w: w.sdk.kv.namespaces.delete(w.new_namespace(), account_id=w.account) is None,
    "kv.namespaces.bulk_update": lambda w: (
        some(
            w.sdk.kv.namespaces.bulk_update(w.namespace, account_id=w.account, body=[{"key": "bulk", "value": "value"}])
        ).successful_key_count
        == 1
    ),
    "kv.namespaces.bulk_get": lambda w: (
        some(some(w.sdk.kv.namespaces.bulk_get(w.namespace, account_id=w.account, keys=["bulk"])).values)
        == {"bulk": "value"}
    ),
    "kv.namespaces.bulk_delete": lambda w: (
        some(w.sdk.kv.namespaces.bulk_delete(w.namespace, account_id=w.account, body=["bulk"])).successful_key_count
        == 1
    ),
    "kv.namespaces.keys.list": lambda w: (
        [key.name for key in w.sdk.kv.namespaces.keys.list(w.namespace, account_id=w.account, prefix="k")] == ["key"]
    ),
    "kv.namespaces.metadata.get": lambda w: (
        w.sdk.kv.namespaces.metadata.get("key", account_id=w.account, namespace_id=w.namespace) is None
    ),
    "kv.namespaces.values.update": lambda w: (
        w.sdk.kv.namespaces.values.update("other", account_id=w.account, namespace_id=w.namespace, value=b"x") is None
    ),
    "kv.namespaces.values.get": lambda w: (
        w.sdk.kv.namespaces.values.get("other", account_id=w.account, namespace_id=w.namespace).read() == b"x"
    ),
    "kv.namespaces.values.delete": lambda w: (
        w.sdk.kv.namespaces.values.delete("other", account_id=w.account, namespace_id=w.namespace) is None
    ),
    # R2
    "r2.buckets.create": lambda w: (
        w.sdk.r2.buckets.create(account_id=w.account, name=unique("bucket")).storage_class == "Standard"
    ),
    "r2.buckets.list": lambda w: (
        [one.name for one in some(w.sdk.r2.buckets.list(account_id=w.account, name_contains=w.bucket).buckets)]
        == [w.bucket]
    ),
    "r2.buckets.get": lambda w: w.sdk.r2.buckets.get(w.bucket, account_id=w.account).name == w.bucket,
    "r2.buckets.edit": lambda w: (
        w.sdk.r2.buckets.edit(w.bucket, account_id=w.account, storage_class="InfrequentAccess").storage_class
        == "InfrequentAccess"
    ),
    "r2.buckets.delete": lambda w: w.sdk.r2.buckets.delete(w.new_bucket(), account_id=w.account) == {},
    "r2.buckets.objects.upload": lambda w: (
        w.sdk.r2.buckets.objects.upload("a/b", b"text", account_id=w.account, bucket_name=w.bucket).key == "a/b"
    ),
    "r2.buckets.objects.list": lambda w: (
        [one.key for one in w.sdk.r2.buckets.objects.list(w.bucket, account_id=w.account, prefix="a/")] == ["a/b"]
    ),
    "r2.buckets.objects.get": lambda w: (
        w.sdk.r2.buckets.objects.get("a/b", account_id=w.account, bucket_name=w.bucket).read() == b"text"
    ),
    "r2.buckets.objects.delete": lambda w: (
        w.sdk.r2.buckets.objects.delete("a/b", account_id=w.account, bucket_name=w.bucket).key == "a/b"
    ),
    # Queues
    "queues.create": lambda w: (
        some(w.sdk.queues.create(account_id=w.account, queue_name=unique("queue"))).producers_total_count == 0
    ),
    "queues.list": lambda w: w.queue in [one.queue_id for one in w.sdk.queues.list(account_id=w.account)],
    "queues.get": lambda w: some(w.sdk.queues.get(w.consumed, account_id=w.account)).consumers_total_count == 1,
    "queues.update": lambda w: (
        some(w.sdk.queues.update(w.queue, account_id=w.account, queue_name=unique("queue"))).queue_id == w.queue
    ),
    "queues.edit": lambda w: (
        some(
            some(w.sdk.queues.edit(w.queue, account_id=w.account, settings={"delivery_delay": 0})).settings
        ).delivery_delay
        == 0
    ),
    "queues.delete": lambda w: w.sdk.queues.delete(w.new_queue(), account_id=w.account).success is True,
    "queues.get_metrics": lambda w: some(w.sdk.queues.get_metrics(w.queue, account_id=w.account)).backlog_count == 0,
    "queues.consumers.create": lambda w: (
        some(
            w.sdk.queues.consumers.create(w.new_queue(), account_id=w.account, type="worker", script_name=w.script)
        ).type
        == "worker"
    ),
    "queues.consumers.list": lambda w: (
        [one.consumer_id for one in w.sdk.queues.consumers.list(w.queue, account_id=w.account)] == [w.consumer]
    ),
    "queues.consumers.get": lambda w: (
        some(w.sdk.queues.consumers.get(w.consumer, account_id=w.account, queue_id=w.queue)).type == "http_pull"
    ),
    "queues.consumers.update": lambda w: (
        some(
            w.sdk.queues.consumers.update(w.consumer, account_id=w.account, queue_id=w.queue, type="http_pull")
        ).consumer_id
        == w.consumer
    ),
    "queues.consumers.delete": lambda w: (
        w.sdk.queues.consumers.delete(
            w.new_consumer(queue := w.new_queue()), account_id=w.account, queue_id=queue
        ).success
        is True
    ),
    "queues.messages.push": lambda w: (
        some(w.sdk.queues.messages.push(w.queue, account_id=w.account, body={"n": 1}, content_type="json")).metadata
        is not None
    ),
    "queues.messages.bulk_push": lambda w: (
        some(w.sdk.queues.messages.bulk_push(w.queue, account_id=w.account, messages=[{"body": {"n": 2}}])).metadata
        is not None
    ),
    "queues.messages.peek": lambda w: (
        len(some(some(w.sdk.queues.messages.peek(w.queue, account_id=w.account)).messages)) == 2
    ),
    "queues.messages.pull": lambda w: (
        len(some(some(w.sdk.queues.messages.pull(w.queue, account_id=w.account, batch_size=10)).messages)) == 2
    ),
    "queues.messages.ack": lambda w: (
        some(w.sdk.queues.messages.ack(w.queue, account_id=w.account, acks=[{"lease_id": w.new_lease()}])).ack_count
        == 1
    ),
    "queues.purge.start": lambda w: (
        some(w.sdk.queues.purge.start(w.queue, account_id=w.account, delete_messages_permanently=True)).queue_id
        == w.queue
    ),
    "queues.purge.status": lambda w: some(w.sdk.queues.purge.status(w.queue, account_id=w.account)).completed == "true",
    # Workers
    "workers.beta.workers.create": lambda w: (
        w.sdk.workers.beta.workers.create(account_id=w.account, name=unique("worker")).deployed_on is None
    ),
    "workers.beta.workers.list": lambda w: (
        w.worker in [one.id for one in w.sdk.workers.beta.workers.list(account_id=w.account, per_page=100)]
    ),
    "workers.beta.workers.get": lambda w: (
        w.sdk.workers.beta.workers.get(w.worker, account_id=w.account).deployed_on is not None
    ),
    "workers.beta.workers.update": lambda w: (
        w.sdk.workers.beta.workers.update(w.worker, account_id=w.account, name=unique("worker"), tags=["a"]).tags
        == ["a"]
    ),
    "workers.beta.workers.edit": lambda w: (
        w.sdk.workers.beta.workers.edit(
            w.worker,
            account_id=w.account,
            name=unique("worker"),
            logpush=True,
            observability={"enabled": True},
            subdomain={"enabled": True},
            tags=[],
            tail_consumers=[],
        ).logpush
        is True
    ),
    "workers.beta.workers.delete": lambda w: (
        w.sdk.workers.beta.workers.delete(w.rest.worker()["id"], account_id=w.account).success is True
    ),
    "workers.beta.workers.versions.create": lambda w: (
        w.sdk.workers.beta.workers.versions.create(
            w.rest.worker()["id"],
            account_id=w.account,
            deploy=True,
            main_module="index.js",
            compatibility_date="2025-04-01",
            modules=[module(CODE)],  # pyright: ignore[reportArgumentType] a dict of its very keys
            migrations={"new_tag": "v1", "new_sqlite_classes": ["Counter"]},
        ).number
        == 1
    ),
    "workers.beta.workers.versions.list": lambda w: (
        [one.number for one in w.sdk.workers.beta.workers.versions.list(w.worker, account_id=w.account)] == [1]
    ),
    "workers.beta.workers.versions.get": lambda w: (
        some(
            w.sdk.workers.beta.workers.versions.get(
                "latest", account_id=w.account, worker_id=w.worker, include="modules"
            ).modules
        )[0].name
        == "index.js"
    ),
    "workers.beta.workers.versions.delete": lambda w: (
        w.sdk.workers.beta.workers.versions.delete(w.new_version(), account_id=w.account, worker_id=w.worker).success
        is True
    ),
    "workers.subdomains.update": lambda w: (
        w.sdk.workers.subdomains.update(account_id=w.account, subdomain="local").subdomain == "local"
    ),
    "workers.subdomains.get": lambda w: w.sdk.workers.subdomains.get(account_id=w.account).subdomain == "local",
    # Workers as scripts
    "workers.scripts.update": lambda w: (
        some(
            w.sdk.workers.scripts.update(
                unique("script"),
                account_id=w.account,
                metadata={"main_module": "index.js", "observability": LOGS},
                files=[FILE],
            ).observability
        ).enabled
        is True
    ),
    "workers.scripts.list": lambda w: w.script in [one.id for one in w.sdk.workers.scripts.list(account_id=w.account)],
    "workers.scripts.get": lambda w: "class Counter" in w.sdk.workers.scripts.get(w.script, account_id=w.account),
    "workers.scripts.delete": lambda w: (
        w.sdk.workers.scripts.delete(w.rest.deployed_worker()["name"], account_id=w.account) is None
    ),
    "workers.scripts.content.get": lambda w: (
        b"class Counter" in w.sdk.workers.scripts.content.get(w.script, account_id=w.account).read()
    ),
    "workers.scripts.content.update": lambda w: (
        w.sdk.workers.scripts.content.update(
            w.script,
            account_id=w.account,
            metadata={"main_module": "index.js"},
            files=[("index.js", CODE.encode(), "application/javascript+module")],
        ).id
        == w.script
    ),
    "workers.scripts.versions.create": lambda w: (
        # The model of this answer does not load (cloudflare 5.9.0).
        w.sdk.workers.scripts.versions.with_raw_response.create(
            w.rest.deployed_worker()["name"],
            account_id=w.account,
            metadata={"main_module": "index.js"},
            files=[FILE],
        ).status_code
        == 200
    ),
    "workers.scripts.versions.list": lambda w: (
        len(list(w.sdk.workers.scripts.versions.list(w.script, account_id=w.account))) > 0
    ),
    "workers.scripts.versions.get": lambda w: (
        # As above.
        w.sdk.workers.scripts.versions.with_raw_response.get(
            w.script_version(), account_id=w.account, script_name=w.script
        ).status_code
        == 200
    ),
    "workers.scripts.deployments.create": lambda w: (
        w.sdk.workers.scripts.deployments.create(
            w.script,
            account_id=w.account,
            strategy="percentage",
            versions=[{"percentage": 100, "version_id": w.script_version()}],
        ).strategy
        == "percentage"
    ),
    "workers.scripts.deployments.list": lambda w: (
        # It looks for `result.items`, where the real API says `result.deployments`: it finds none.
        list(w.sdk.workers.scripts.deployments.list(w.script, account_id=w.account)) == []
    ),
    "workers.scripts.deployments.get": lambda w: (
        w.sdk.workers.scripts.deployments.get(
            (latest := w.deployments()[0]), account_id=w.account, script_name=w.script
        ).id
        == latest
    ),
    "workers.scripts.deployments.delete": lambda w: (
        w.sdk.workers.scripts.deployments.delete(
            w.deployments()[-1], account_id=w.account, script_name=w.script
        ).success
        is True
    ),
    "workers.scripts.schedules.update": lambda w: (
        [
            one.cron
            for one in w.sdk.workers.scripts.schedules.update(
                w.script, account_id=w.account, body=[{"cron": "0 0 1 1 *"}]
            ).schedules
        ]
        == ["0 0 1 1 *"]
    ),
    "workers.scripts.schedules.get": lambda w: (
        len(w.sdk.workers.scripts.schedules.get(w.script, account_id=w.account).schedules) == 1
    ),
    "workers.scripts.script_and_version_settings.edit": lambda w: (
        w.sdk.workers.scripts.script_and_version_settings.edit(
            w.script, account_id=w.account, settings={"tags": ["a"]}
        ).tags
        == ["a"]
    ),
    "workers.scripts.script_and_version_settings.get": lambda w: (
        w.sdk.workers.scripts.script_and_version_settings.get(w.script, account_id=w.account).tags == ["a"]
    ),
    "workers.scripts.settings.edit": lambda w: (
        w.sdk.workers.scripts.settings.edit(w.script, account_id=w.account, logpush=True).logpush is True
    ),
    "workers.scripts.settings.get": lambda w: (
        w.sdk.workers.scripts.settings.get(w.script, account_id=w.account).logpush is True
    ),
    "workers.scripts.secrets.update": lambda w: (
        some(
            w.sdk.workers.scripts.secrets.update(
                w.script, account_id=w.account, name="ONE", text="x", type="secret_text"
            )
        ).name
        == "ONE"
    ),
    "workers.scripts.secrets.bulk_update": lambda w: (
        some(
            w.sdk.workers.scripts.secrets.bulk_update(
                w.script, account_id=w.account, secrets={"TWO": {"name": "TWO", "text": "x", "type": "secret_text"}}
            )
        ).keys()
        >= {"ONE", "TWO"}
    ),
    "workers.scripts.secrets.list": lambda w: (
        "TWO" in [one.name for one in w.sdk.workers.scripts.secrets.list(w.script, account_id=w.account)]
    ),
    "workers.scripts.secrets.get": lambda w: (
        some(w.sdk.workers.scripts.secrets.get("TWO", account_id=w.account, script_name=w.script)).type == "secret_text"
    ),
    "workers.scripts.secrets.delete": lambda w: (
        w.sdk.workers.scripts.secrets.delete(w.new_secret(), account_id=w.account, script_name=w.script) is None
    ),
    "workers.scripts.subdomain.create": lambda w: (
        w.sdk.workers.scripts.subdomain.create(w.script, account_id=w.account, enabled=True).enabled is True
    ),
    "workers.scripts.subdomain.get": lambda w: (
        w.sdk.workers.scripts.subdomain.get(w.script, account_id=w.account).enabled is True
    ),
    "workers.scripts.subdomain.delete": lambda w: (
        w.sdk.workers.scripts.subdomain.delete(w.script, account_id=w.account).enabled is False
    ),
    "workers.scripts.tail.create": lambda w: w.sdk.workers.scripts.tail.create(
        w.script, account_id=w.account
    ).url.startswith("ws"),
    "workers.scripts.tail.get": lambda w: (
        # The answer is an array (recorded), which the SDK hands through as it is.
        isinstance(w.sdk.workers.scripts.tail.get(w.script, account_id=w.account), list)
    ),
    "workers.scripts.tail.delete": lambda w: (
        w.sdk.workers.scripts.tail.delete(w.new_tail(), account_id=w.account, script_name=w.script).success is True
    ),
    "workers.scripts.assets.upload.create": lambda w: (
        some(
            some(
                w.sdk.workers.scripts.assets.upload.create(w.script, account_id=w.account, manifest=w.manifest())
            ).buckets
        )
        == [[PAGE_HASH]]
    ),
    "workers.assets.upload.create": lambda w: (
        some(
            w.sdk.workers.assets.upload.create(
                account_id=w.account,
                base64=True,
                body={PAGE_HASH: base64.b64encode(PAGE).decode()},
                extra_headers={"Authorization": f"Bearer {w.new_upload()}"},
            )
        ).jwt
        is not None
    ),
    "durable_objects.namespaces.list": lambda w: (
        w.script in [one.script for one in w.sdk.durable_objects.namespaces.list(account_id=w.account, per_page=1000)]
    ),
    "durable_objects.namespaces.objects.list": lambda w: (
        [
            one.has_stored_data
            for one in w.sdk.durable_objects.namespaces.objects.list(w.counter_namespace(), account_id=w.account)
        ]
        == [True]
    ),
    # Workflows
    "workflows.update": lambda w: (
        w.sdk.workflows.update(w.workflow, account_id=w.account, class_name="Flow", script_name=w.script).name
        == w.workflow
    ),
    "workflows.list": lambda w: (
        w.workflow in [one.name for one in w.sdk.workflows.list(account_id=w.account, per_page=100)]
    ),
    "workflows.get": lambda w: w.sdk.workflows.get(w.workflow, account_id=w.account).class_name == "Flow",
    "workflows.delete": lambda w: w.sdk.workflows.delete(w.new_workflow(), account_id=w.account).status == "ok",
    "workflows.versions.list": lambda w: (
        len(list(w.sdk.workflows.versions.list(w.workflow, account_id=w.account))) == 2
    ),
    "workflows.versions.get": lambda w: (
        w.sdk.workflows.versions.get(w.workflow_version(), account_id=w.account, workflow_name=w.workflow).class_name
        == "Flow"
    ),
    "workflows.instances.create": lambda w: (
        w.sdk.workflows.instances.create(w.workflow, account_id=w.account, params='{"n": 1}').status == "queued"
    ),
    "workflows.instances.bulk": lambda w: (
        len(list(w.sdk.workflows.instances.bulk(w.workflow, account_id=w.account, body=[{}, {}]))) == 2
    ),
    "workflows.instances.list": lambda w: (
        w.instance in [one.id for one in w.sdk.workflows.instances.list(w.workflow, account_id=w.account, per_page=1)]
    ),
    "workflows.instances.get": lambda w: (
        [
            w.sdk.workflows.instances.get(
                w.instance, account_id=w.account, workflow_name=w.workflow, simple=simple
            ).step_count
            for simple in ("true", "false")
        ]
        == [2, 2]
    ),
    "workflows.instances.step": lambda w: (
        w.sdk.workflows.instances.step(
            w.instance, account_id=w.account, workflow_name=w.workflow, name="make-1", type="step"
        ).output
        == 1
    ),
    "workflows.instances.status.edit": lambda w: (
        w.sdk.workflows.instances.status.edit(
            w.new_instance(), account_id=w.account, workflow_name=w.workflow, status="terminate"
        ).status
        == "terminated"
    ),
    "workflows.instances.events.create": lambda w: (
        w.sdk.workflows.instances.events.create(
            "go", account_id=w.account, workflow_name=w.workflow, instance_id=w.instance, body={}
        ).instance_id
        == w.instance
    ),
}


def _own_calls(product: str) -> dict[str, Callable[[World], bool]]:
    """Find the calls that a product's own test adds."""
    name = f"tests.local.test_{product}"
    return getattr(import_module(name), "SDK_CALLS", {}) if find_spec(name) else {}


CALLS = _COMMON | {name: call for product in products() for name, call in _own_calls(product.name).items()}


class Walk:
    """All calls, in order: what each gave, which routes it asked for, and which errata its replies needed."""

    def __init__(self, rest: Rest, cloud: Instance) -> None:
        self.outcomes: dict[str, bool | Exception] = {}
        self.routes: dict[str, set[sdk_operations.RouteKey]] = {}
        self.errata: set[Erratum] = set()
        self._current = ""
        http = DefaultHttpxClient(event_hooks={"response": [self._notice]}, trust_env=False)
        sdk = Cloudflare(api_token=cloud.api_token, base_url=cloud.base_url, max_retries=0, http_client=http)
        with sdk:
            world = World(sdk, rest, cloud.account_id)
            for name, call in CALLS.items():
                self._current = name
                self.routes[name] = set()
                try:
                    self.outcomes[name] = call(world)
                except Exception as error:  # the test of this call tells it
                    self.outcomes[name] = error

    def _notice(self, response: httpx.Response) -> None:
        route = published.route_of(response.request)
        if route is not None:
            self.routes[self._current].add(route)
        self.errata |= published.check(response)


@pytest.fixture(scope="module")
def walk(rest: Rest, cloud: Instance) -> Walk:
    return Walk(rest, cloud)


def operations() -> dict[str, sdk_operations.Operation]:
    here = {sdk_operations.nameless(route.method, route.path) for product in products() for route in product.routes}
    return {operation.name: operation for operation in sdk_operations.operations() if operation.route in here}


def test_every_route_is_called() -> None:
    found = operations()
    assert sorted({operation.route for operation in found.values()} - {found[name].route for name in CALLS}) == []


@pytest.mark.parametrize("name", CALLS)
def test_is_called(walk: Walk, name: str) -> None:
    outcome = walk.outcomes[name]
    if isinstance(outcome, Exception):
        raise outcome
    assert outcome
    assert walk.routes[name] == {operations()[name].route}


def test_every_erratum_is_needed(walk: Walk) -> None:
    assert [(one.operations, one.place) for one in ERRATA if one not in walk.errata] == []
