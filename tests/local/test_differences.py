"""What is different from Cloudflare, as local/DIFFERENCES.md lists it: a test fails when a difference is gone."""

import base64
import hashlib
import json
import re
import sys
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from local.cli import log_file
from local.cli.instance import Instance
from local.core.registry import PRODUCTS_FOLDER
from local.products.workers import previews
from tests.local.rest import Rest, eventually, form, unique, version

LIST = PRODUCTS_FOLDER.parent / "DIFFERENCES.md"
KV_OPERATIONS = 1_000  # an invocation, developers.cloudflare.com/kv/platform/limits
FUNCTION_ARGUMENTS = 32  # of SQL, developers.cloudflare.com/d1/platform/limits
CRON_TRIGGERS = 250  # of an account, developers.cloudflare.com/workers/platform/limits
D1_VALUE_BYTES = 2_000_000  # developers.cloudflare.com/d1/platform/limits
API_CALLS = 1_200  # in five minutes, developers.cloudflare.com/fundamentals/api/reference/limits

MANY_READS = """
export default {
  async fetch(request, env) {
    let reads = 0
    for (; reads < COUNT; reads++) await env.KV.get("key")
    return new Response(String(reads))
  },
}
"""

BUCKET_USER = """
export default { async fetch(request, env) {
  const key = { ssecKey: "0".repeat(64) }
  await env.BUCKET.put("encrypted", "text", key)
  await env.BUCKET.put("cold", "text", { storageClass: "InfrequentAccess" })
  await env.BUCKET.createMultipartUpload("unfinished")
  const text = await (await env.BUCKET.get("encrypted")).text()
  const { storageClass: cold } = await env.BUCKET.head("cold")
  await env.BUCKET.delete(["encrypted", "cold"])
  return Response.json({ text, cold })
} }
"""

ECHOING_SOCKET = """
export default {
  fetch() {
    const [client, server] = Object.values(new WebSocketPair())
    server.accept()
    server.addEventListener("message", ({ data }) => server.send(data))
    return new Response(null, { status: 101, webSocket: client })
  },
}
"""


def answer_of(rest: Rest, url: str) -> httpx.Response:
    """Ask a Worker that was just deployed."""

    def probe() -> httpx.Response | None:
        response = rest.visit(url)
        return response if response.status_code == 200 else None

    return eventually(probe)


def namespace(rest: Rest) -> str:
    return rest.result("POST", "/storage/kv/namespaces", {"title": unique("differences")})["id"]


def listed_in(path: Path) -> list[str]:
    return re.findall(r"`(test_\w+)` \|$", path.read_text(), re.MULTILINE)


def test_the_lists_name_these_tests() -> None:
    """A product's list may name tests of the product's own file as well."""
    here = {name for name in dir(sys.modules[__name__]) if name.startswith("test_")} - {
        "test_the_lists_name_these_tests"
    }
    listed = listed_in(LIST)
    for path in PRODUCTS_FOLDER.glob("*/DIFFERENCES.md"):
        own = Path(__file__).parent / f"test_{path.parent.name}.py"
        in_own = set(re.findall(r"^def (test_\w+)", own.read_text() if own.exists() else "", re.MULTILINE))
        listed += [name for name in listed_in(path) if name not in in_own]
    assert len(listed) == len(set(listed))
    assert set(listed) == here


def test_a_product_that_is_not_here_answers_501(rest: Rest) -> None:
    for path in (
        "/pipelines/v1/pipelines",
        "/vectorize/v2/indexes",
        "/ai/models/search",
        "/pages/projects",
    ):
        assert rest.refusal("GET", path)[:2] == (501, 7000)


@pytest.mark.parametrize("kind", ["browser", "stream", "websearch", "worker_loader"])
def test_a_binding_to_such_a_product_is_refused(rest: Rest, kind: str) -> None:
    binding = {"type": kind, "name": "BOUND"}
    refusal = rest.refusal("PUT", f"/workers/scripts/{unique('bound')}", **form(bindings=[binding]))
    assert refusal[:2] == (501, 10021)


def test_there_are_no_python_workers(rest: Rest) -> None:
    files = {
        "metadata": (None, '{"main_module": "main.py", "compatibility_flags": ["python_workers"]}', "application/json"),
        "main.py": ("main.py", "from workers import WorkerEntrypoint", "text/x-python"),
    }
    assert rest.refusal("PUT", f"/workers/scripts/{unique('python')}", files=files)[:2] == (501, 10021)


def test_a_workflow_needs_its_class(rest: Rest) -> None:
    body = {"class_name": "Absent", "script_name": rest.deployed_worker()["name"]}
    assert rest.refusal("PUT", f"/workflows/{unique('flow')}", body)[:2] == (500, 10001)


def test_d1_has_no_time_travel(rest: Rest) -> None:
    database = rest.database()["uuid"]
    assert rest.refusal("GET", f"/d1/database/{database}/time_travel/bookmark")[0] == 501
    assert rest.refusal("POST", f"/d1/database/{database}/time_travel/restore")[0] == 501


def test_a_worker_has_a_port_and_no_tls(rest: Rest, cloud: Instance) -> None:
    assert cloud.base_url.startswith("http://127.0.0.1:")
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/?", rest.idle_worker()["subdomain"]["url"])


def test_a_disabled_address_still_answers(rest: Rest) -> None:
    worker = rest.deployed_worker()
    rest.result("POST", f"/workers/scripts/{worker['name']}/subdomain", {"enabled": False})
    assert answer_of(rest, worker["subdomain"]["url"])


MARKED_OBJECTS = """
import { DurableObject } from "cloudflare:workers"
export class Marked extends DurableObject { mark() { return "MARK" } }
export default { async fetch(request, env) {
  const names = Array.from({ length: 20 }, (_, number) => `object-${number}`)
  return Response.json(await Promise.all(names.map((name) => env.MARKED.getByName(name).mark())))
} }
"""


def test_all_objects_run_the_version_with_the_greater_share(rest: Rest) -> None:
    worker = rest.worker()
    binding = {"type": "durable_object_namespace", "name": "MARKED", "class_name": "Marked"}
    live = {"Marked": {"type": "durable-object", "storage": "sqlite"}}
    ids: list[str] = []
    for mark, query in (("one", "?deploy=true"), ("other", "")):
        body = version(MARKED_OBJECTS.replace('MARK"', f'{mark}"'), bindings=[binding], exports=live)
        ids.append(rest.result("POST", f"/workers/workers/{worker['id']}/versions{query}", body)["id"])
    shares = [{"version_id": ids[0], "percentage": 40}, {"version_id": ids[1], "percentage": 60}]
    deployment = {"strategy": "percentage", "versions": shares}
    rest.result("POST", f"/workers/scripts/{worker['name']}/deployments", deployment)
    for _ in range(3):
        assert set(rest.visit(worker["subdomain"]["url"]).json()) == {"other"}


def test_a_deployment_cuts_web_sockets_of_a_worker_with_objects(rest: Rest) -> None:
    objects = "import { DurableObject } from 'cloudflare:workers'; export class A extends DurableObject {}"
    code = objects + ECHOING_SOCKET
    exports = {"A": {"type": "durable-object", "storage": "sqlite"}}
    with_objects, other = rest.deployed_worker(code, exports=exports), rest.deployed_worker(ECHOING_SOCKET)
    with ExitStack() as stack:
        urls = [worker["subdomain"]["url"].replace("http", "ws", 1) for worker in (with_objects, other)]
        cut, kept = [stack.enter_context(connect(url, proxy=None)) for url in urls]  # pyright: ignore[reportArgumentType]
        rest.result(
            "POST", f"/workers/workers/{with_objects['id']}/versions?deploy=true", version(code, exports=exports)
        )
        with pytest.raises(ConnectionClosed):
            cut.recv(timeout=10)
        kept.send("hello")
        assert kept.recv(timeout=10) == "hello"


CACHING = """
export default {
  async fetch() {
    const found = await caches.default.match("http://cached/")
    await caches.default.put("http://cached/", new Response("kept", { headers: { "Cache-Control": "max-age=60" } }))
    return new Response(found ? await found.text() : "empty")
  },
}
"""


def test_the_cache_goes_with_a_deployment(rest: Rest) -> None:
    workers = [rest.deployed_worker(CACHING) for _ in range(2)]
    urls = [worker["subdomain"]["url"] for worker in workers]
    assert [answer_of(rest, url).text for url in (*urls, *urls)] == ["empty", "empty", "kept", "kept"]
    path = f"/workers/workers/{workers[0]['id']}/versions?deploy=true"
    rest.result("POST", path, version(CACHING + "// another version"))
    assert [answer_of(rest, url).text for url in urls] == ["empty", "kept"]


def site(rest: Rest, name: str, files: dict[str, tuple[str, str]]) -> str:
    """Deploy a Worker of files alone, {path: (content, content type)}, and give its address."""
    hashes = {path: hashlib.sha256(repr(file).encode()).hexdigest()[:32] for path, file in files.items()}
    manifest = {path: {"hash": hashes[path], "size": len(content)} for path, (content, _) in files.items()}
    session = rest.result("POST", f"/workers/scripts/{name}/assets-upload-session", {"manifest": manifest})
    parts = {hashes[path]: (path, base64.b64encode(content.encode()), kind) for path, (content, kind) in files.items()}
    authorization = {"Authorization": f"Bearer {session['jwt']}"}
    answer = rest.send("POST", "/workers/assets/upload?base64=true", files=parts, headers=authorization)
    metadata = {"assets": {"jwt": answer.json()["result"]["jwt"]}, "compatibility_date": "2025-04-01"}
    form = {"metadata": (None, json.dumps(metadata), "application/json")}
    rest.result("PUT", f"/workers/scripts/{name}", files=form)
    return rest.result("GET", f"/workers/workers/{name}")["subdomain"]["url"]


def test_an_asset_has_the_content_type_of_its_name(rest: Rest) -> None:
    url = site(rest, unique("site"), {"/feed.txt": ("<rss/>", "application/rss+xml")})
    assert answer_of(rest, f"{url}/feed.txt").headers["content-type"] == "text/plain; charset=utf-8"


def test_an_asset_has_another_etag_once_another_changed(rest: Rest) -> None:
    name, same = unique("site"), ("same", "text/plain")
    url = site(rest, name, {"/a.txt": ("one", "text/plain"), "/b.txt": same})
    before = answer_of(rest, f"{url}/b.txt").headers["etag"]
    site(rest, name, {"/a.txt": ("two", "text/plain"), "/b.txt": same})
    assert answer_of(rest, f"{url}/b.txt").headers["etag"] != before


def test_request_cf_knows_no_place(rest: Rest) -> None:
    worker = rest.deployed_worker("export default { fetch: ({ cf }) => Response.json(Object.keys(cf)) }")
    known = answer_of(rest, worker["subdomain"]["url"]).json()
    assert sorted(known) == ["clientAcceptEncoding", "httpProtocol", "timezone"]


def test_a_tail_worker_is_not_told_names(rest: Rest) -> None:
    code = """
      let told
      export default {
        fetch: () => Response.json(told ?? null),
        tail([event]) { told = [event.scriptName, event.scriptVersion === undefined] },
      }
    """
    listener = rest.deployed_worker(code)
    name = unique("talker")
    rest.upload(name, tail_consumers=[{"service": listener["name"]}])
    answer_of(rest, rest.result("GET", f"/workers/workers/{name}")["subdomain"]["url"])
    told = eventually(lambda: rest.visit(listener["subdomain"]["url"]).json())
    assert told == [None, True]


def test_answers_carry_no_ray(rest: Rest) -> None:
    assert "cf-ray" not in rest.send("GET", "/queues").headers
    assert "cf-ray" not in answer_of(rest, rest.deployed_worker()["subdomain"]["url"]).headers


def test_faults_come_on_request(rest: Rest) -> None:
    assert rest.http.get("/local/faults").status_code == 200
    assert rest.http.get("/local/anything-else").status_code == 501


def test_a_key_may_be_written_more_than_once_a_second(rest: Rest) -> None:
    path = f"/storage/kv/namespaces/{namespace(rest)}/values/key"
    assert [rest.send("PUT", path, content=b"1").status_code for _ in range(5)] == [200] * 5


def test_kv_is_consistent_at_once(rest: Rest) -> None:
    path = f"/storage/kv/namespaces/{namespace(rest)}/values/key"
    for value in (b"1", b"2", b"3"):
        assert rest.send("PUT", path, content=value).status_code == 200
        assert rest.send("GET", path).content == value


def test_an_invocation_may_use_kv_without_limit(rest: Rest) -> None:
    binding = {"type": "kv_namespace", "name": "KV", "namespace_id": namespace(rest)}
    code = MANY_READS.replace("COUNT", str(KV_OPERATIONS + 1))
    worker = rest.deployed_worker(code, bindings=[binding])
    assert answer_of(rest, worker["subdomain"]["url"]).text == str(KV_OPERATIONS + 1)


def test_sql_makes_large_values(rest: Rest) -> None:
    path = f"/d1/database/{rest.database()['uuid']}/query"
    rest.result("POST", path, {"sql": "CREATE TABLE large (value BLOB)"})
    body = {"sql": "INSERT INTO large VALUES (zeroblob(?))", "params": [D1_VALUE_BYTES + 1]}
    [answer] = rest.result("POST", path, body)
    assert answer["success"] is True


def test_a_function_of_sql_takes_many_arguments(rest: Rest) -> None:
    path = f"/d1/database/{rest.database()['uuid']}/query"
    arguments = ", ".join(map(str, range(FUNCTION_ARGUMENTS + 1)))
    [answer] = rest.result("POST", path, {"sql": f"SELECT max({arguments}) AS largest"})
    assert answer["results"] == [{"largest": FUNCTION_ARGUMENTS}]


def test_kept_settings_have_no_effect(rest: Rest) -> None:
    code = """export default { fetch() {
      let n = 0; for (let i = 0; i < 3e7; i++) n += i % 7
      return new Response(String(n))
    } }"""
    settings = {"limits": {"cpu_ms": 1, "subrequests": 1}, "placement": {"mode": "smart"}, "usage_model": "bundled"}
    worker = rest.deployed_worker(code, **settings, cache_options={"enabled": True})
    assert rest.visit(worker["subdomain"]["url"]).status_code == 200


def test_logs_are_kept_whatever_the_settings_say(rest: Rest, cloud: Instance) -> None:
    worker = rest.deployed_worker("export default { fetch() { console.log('said'); return new Response() } }")
    logs = {"enabled": False, "invocation_logs": False, "destinations": ["nowhere"], "persist": False}
    traces = {"enabled": True, "head_sampling_rate": 0.05, "destinations": ["nowhere"], "persist": False}
    observability = {"enabled": False, "logs": logs, "traces": traces}
    kept = rest.result("PATCH", f"/workers/workers/{worker['id']}", {"observability": observability})["observability"]
    assert (kept["logs"]["destinations"], kept["logs"]["persist"], kept["traces"]) == (["nowhere"], False, traces)
    rest.visit(worker["subdomain"]["url"])

    def said() -> bool | None:
        entries = log_file.read(log_file.log_path(cloud.state_dir), follow=False)
        return any(e.get("worker") == worker["name"] and e["message"] == "said" for e in entries) or None

    assert eventually(said)


def test_there_is_one_place(rest: Rest) -> None:
    name = unique("placed")
    code = """import { DurableObject } from "cloudflare:workers"
    export class A extends DurableObject {}
    export default { fetch(_, env) {
      try { env.A.jurisdiction("eu") } catch (error) { return new Response(error.message) }
    } }"""
    bound = [{"type": "durable_object_namespace", "name": "A", "class_name": "A"}]
    rest.upload(name, code, bindings=bound, migrations={"new_tag": "v1", "new_sqlite_classes": ["A"]})
    url = rest.result("GET", f"/workers/workers/{name}")["subdomain"]["url"]
    assert "not implemented" in rest.visit(url).text


def test_nothing_of_an_account_is_counted(rest: Rest) -> None:
    worker = rest.deployed_worker()
    crons = [{"cron": f"{n % 60} {n // 60} * * *"} for n in range(CRON_TRIGGERS + 1)]
    told = rest.result("PUT", f"/workers/scripts/{worker['name']}/schedules", crons)
    assert len(told["schedules"]) == CRON_TRIGGERS + 1


def test_a_worker_may_start_slowly(rest: Rest) -> None:
    code = "let n = 0; for (let i = 0; i < 3e8; i++) n += i % 7; export default { fetch() { return new Response(n) } }"
    path = f"/workers/workers/{rest.worker()['id']}/versions"
    assert rest.result("POST", path, version(code))["startup_time_ms"] > 0


def test_a_worker_may_use_much_memory(rest: Rest) -> None:
    code = "export default { fetch() { return new Response(String(new Uint8Array(160e6).fill(1).at(-1))) } }"
    assert rest.visit(rest.deployed_worker(code)["subdomain"]["url"]).text == "1"


def test_previews_are_few_and_speak_http(rest: Rest) -> None:
    worker = rest.worker()
    path = f"/workers/workers/{worker['id']}"
    rest.result("PATCH", path, {"subdomain": {"enabled": True, "previews_enabled": True}})
    for mark in range(previews.KEPT + 1):
        rest.result(
            "POST", f"{path}/versions", version(f"export default {{ fetch() {{ return new Response('{mark}') }} }}")
        )
    urls = [one["urls"] for one in rest.result("GET", f"{path}/versions?per_page=100")]
    assert [len(found) for found in urls] == [1] * previews.KEPT + [0]
    assert urls[0][0].startswith("http://")


def bucket_and_its_user(rest: Rest) -> tuple[str, dict[str, str]]:
    """Make a bucket that a Worker has used, and give its path and what the Worker saw."""
    name = rest.result("POST", "/r2/buckets", {"name": unique("differences")})["name"]
    binding = {"type": "r2_bucket", "name": "BUCKET", "bucket_name": name}
    url = rest.deployed_worker(BUCKET_USER, bindings=[binding])["subdomain"]["url"]
    return f"/r2/buckets/{name}", answer_of(rest, url).json()


def test_r2_has_buckets_and_objects_only(rest: Rest) -> None:
    bucket, _ = bucket_and_its_user(rest)
    for path in ("cors", "lifecycle", "lock", "sippy", "domains/custom", "domains/managed", "local-uploads"):
        assert rest.refusal("GET", f"{bucket}/{path}")[:2] == (501, 7000)
    notifications = bucket.replace("/r2/buckets/", "/event_notifications/r2/") + "/configuration"
    assert rest.refusal("GET", notifications)[:2] == (501, 7000)
    assert rest.refusal("POST", "/r2/temp-access-credentials", {})[:2] == (501, 7000)


def test_objects_of_r2_have_no_storage_class(rest: Rest) -> None:
    bucket, seen = bucket_and_its_user(rest)
    assert seen["cold"] == ""
    cold = {"cf-r2-storage-class": "InfrequentAccess"}
    assert rest.result("PUT", f"{bucket}/objects/cold", content=b"", headers=cold)["storage_class"] == "Standard"


def test_r2_ignores_encryption_keys(rest: Rest) -> None:
    assert bucket_and_its_user(rest)[1]["text"] == "text"


def test_a_key_of_r2_may_be_written_more_than_once_a_second(rest: Rest) -> None:
    bucket, _ = bucket_and_its_user(rest)
    for text in (b"1", b"2", b"3"):
        rest.result("PUT", f"{bucket}/objects/key", content=text)


def test_a_bucket_with_an_unfinished_upload_can_be_deleted(rest: Rest) -> None:
    bucket, _ = bucket_and_its_user(rest)
    rest.result("DELETE", bucket)


def test_graphql_knows_r2_only(rest: Rest) -> None:
    query = "{ viewer { accounts { d1AnalyticsAdaptiveGroups(limit: 1) { sum { readQueries } } } } }"
    [error] = rest.http.post("/graphql", json={"query": query}).json()["errors"]
    assert "Cannot query field 'd1AnalyticsAdaptiveGroups'" in error["message"]


def test_points_of_analytics_engine_cannot_be_read(rest: Rest) -> None:
    code = (
        "export default { fetch(_, env) { return new Response(String(env.POINTS.writeDataPoint({ doubles: [1] }))) } }"
    )
    dataset = {"type": "analytics_engine", "name": "POINTS", "dataset": "points"}
    url = rest.deployed_worker(code, bindings=[dataset])["subdomain"]["url"]
    assert answer_of(rest, url).text == "undefined"
    assert rest.refusal("POST", "/analytics_engine/sql", content="SELECT 1 FROM points")[:2] == (501, 7000)


def test_the_api_may_be_called_at_any_rate(rest: Rest) -> None:
    assert {rest.send("GET", "/queues?per_page=1").status_code for _ in range(API_CALLS + 1)} == {200}
