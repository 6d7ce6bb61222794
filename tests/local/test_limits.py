"""Cloudflare's limits, as local/LIMITS.md lists them: each names what holds it. And those that have no other place."""

import re
from pathlib import Path
from typing import Any

import pytest

from local.products.workers.uploads import KEPT_VERSIONS
from tests.local.rest import ECHO, Rest, form, unique, version

ROOT = Path(__file__).resolve().parent.parent.parent
LINE = re.compile(
    r"^\| (?P<limit>[^|]+) \| (?P<value>[^|]+) \| (?P<here>works|differs) \| (?P<tests>`[^|]+`) \|$", re.MULTILINE
)
TOO_BIG = (400, 7500, "string or blob too big: SQLITE_TOOBIG")


def lines() -> list[re.Match[str]]:
    return list(LINE.finditer((ROOT / "local" / "LIMITS.md").read_text()))


def test_every_line_of_the_list_is_read() -> None:
    text = (ROOT / "local" / "LIMITS.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith(("| Limit", "| ---"))]
    assert len(lines()) == len(rows) > 60


def test_each_limit_names_tests_that_are_there() -> None:
    tests = ROOT / "tests"
    found = {name for path in tests.rglob("test_*.py") for name in re.findall(r"def (test_\w+)", path.read_text())}
    for path in tests.rglob("*.test.js"):
        found.update(re.findall(r"test\((?:'|`)(.+?)(?:'|`), async", path.read_text()))
    listed = {name for line in lines() for name in re.findall(r"`(.+?)`(?:,|$)", line["tests"])}
    assert listed - found == set()


def test_what_differs_is_a_line_of_the_differences() -> None:
    differences = "".join(path.read_text() for path in (ROOT / "local").rglob("DIFFERENCES.md"))
    for line in lines():
        for name in re.findall(r"`(\w+)`", line["tests"]):
            assert (f"`{name}`" in differences) == (line["here"] == "differs"), line["limit"]


D1_USER = """export default { async fetch(request, env) {
  const { sql, params, bytes } = await request.json()
  const values = params.map((length) => bytes ? new Uint8Array(length) : "x".repeat(length))
  try {
    await env.DB.batch([env.DB.prepare(sql).bind(...values), env.DB.prepare("SELECT 1")])
    return new Response("done")
  } catch (error) { return new Response(error.message) }
} }"""


@pytest.mark.parametrize("bytes_too", [False, True])
def test_values_and_rows_hold_2_mb(rest: Rest, *, bytes_too: bool) -> None:
    database = rest.database()["uuid"]
    path = f"/d1/database/{database}/query"
    rest.result("POST", path, {"sql": "CREATE TABLE t (a, b)"})
    binding = {"type": "d1", "name": "DB", "database_id": database}
    url = rest.deployed_worker(D1_USER, bindings=[binding])["subdomain"]["url"]

    def bound(sql: str, *params: int) -> str:
        body = {"sql": sql, "params": params, "bytes": bytes_too}
        return rest.http.post(url, json=body, headers={"Authorization": ""}).text

    one, two = "INSERT INTO t (a) VALUES (?)", "INSERT INTO t VALUES (?, ?)"
    assert bound(one, 2_000_000) == "done"
    assert bound(two, 900_000, 900_000) == "done"
    assert bound("INSERT INTO t (a) VALUES (?), (?)", 1_500_000, 1_500_000) == "done"
    for refused in (bound(one, 2_000_001), bound(two, 1_500_000, 1_500_000)):
        assert refused == "D1_ERROR: string or blob too big: SQLITE_TOOBIG"
    assert rest.result("POST", path, {"sql": "SELECT count(*) AS n FROM t"})[0]["results"] == [{"n": 4}]


def test_values_and_rows_of_rest_hold_2_mb(rest: Rest) -> None:
    path = f"/d1/database/{rest.database()['uuid']}/query"
    rest.result("POST", path, {"sql": "CREATE TABLE t (a, b)"})
    rest.result("POST", path, {"sql": "INSERT INTO t (a) VALUES (?)", "params": ["x" * 2_000_000]})
    for sql, params in (
        ("INSERT INTO t (a) VALUES (?)", ["x" * 2_000_001]),
        ("INSERT INTO t (a) VALUES (?)", ["é" * 1_000_001]),
        ("INSERT INTO t VALUES (?, ?)", ["x" * 1_500_000] * 2),
        ("UPDATE t SET b = ?, a = ?", ["x" * 1_500_000] * 2),
    ):
        assert rest.refusal("POST", path, {"sql": sql, "params": params}) == TOO_BIG


def test_columns_and_patterns_have_limits(rest: Rest) -> None:
    path = f"/d1/database/{rest.database()['uuid']}/query"
    columns = [f"c{n}" for n in range(101)]
    rest.result("POST", path, {"sql": f"CREATE TABLE t ({', '.join(columns[:100])})"})
    assert rest.refusal("POST", path, {"sql": f"CREATE TABLE u ({', '.join(columns)})"})[:2] == (400, 7500)
    rest.result("POST", path, {"sql": "SELECT 'a' LIKE ?", "params": ["x" * 50]})
    assert rest.refusal("POST", path, {"sql": "SELECT 'a' LIKE ?", "params": ["x" * 51]})[:2] == (400, 7500)


def variables(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"type": "plain_text", "name": f"V{n}", "text": "x", **more} for n in range(count)]


def test_a_worker_has_at_most_128_variables(rest: Rest) -> None:
    path = f"/workers/workers/{rest.worker()['id']}/versions"
    rest.result("POST", path, version(bindings=variables(128)))
    assert rest.refusal("POST", path, version(bindings=variables(129)))[:2] == (400, 10021)


def test_bindings_take_at_most_1_mib(rest: Rest) -> None:
    path = f"/workers/workers/{rest.worker()['id']}/versions"
    large = {"type": "json", "name": "J", "json": "x" * 1024 * 1024}
    assert rest.refusal("POST", path, version(bindings=[large]))[:2] == (400, 10021)


def test_old_versions_go(rest: Rest) -> None:
    worker = rest.deployed_worker()
    path = f"/workers/workers/{worker['id']}/versions"
    [deployed] = rest.result("GET", path)
    former = rest.result("POST", f"{path}?deploy=true", version())["id"]
    split = [{"version_id": deployed["id"], "percentage": 100}]
    deployments = f"/workers/scripts/{worker['name']}/deployments"
    rest.result("POST", deployments, {"strategy": "percentage", "versions": split})
    env = {"env": {"A": {"type": "plain_text", "text": "x"}}}
    for _ in range(KEPT_VERSIONS + 2):
        rest.result("PATCH", f"{path}/latest", env)
    kept = rest.result("GET", f"{path}?per_page=100") + rest.result("GET", f"{path}?per_page=100&page=2")
    assert len(kept) == KEPT_VERSIONS + 1
    assert kept[-1]["id"] == deployed["id"]
    named = {part["version_id"] for one in rest.result("GET", deployments)["deployments"] for part in one["versions"]}
    assert named == {deployed["id"]}, f"the deployment of {former} went with it"
    assert rest.visit(worker["subdomain"]["url"]).status_code == 200


R2_USER = """export default { async fetch(request, env) {
  const attempts = {
    metadata: () => env.BUCKET.put("key", "", { customMetadata: { a: "x".repeat(8192) } }),
    key: () => env.BUCKET.put("x".repeat(1025), ""),
    list: () => env.BUCKET.list({ limit: 1001 }),
  }
  const told = {}
  for (const [name, attempt] of Object.entries(attempts)) {
    told[name] = await attempt().then(() => "done", (error) => error.message)
  }
  return Response.json(told)
} }"""


def test_a_binding_of_r2_refuses_what_r2_refuses(rest: Rest) -> None:
    name = rest.result("POST", "/r2/buckets", {"name": unique("limits")})["name"]
    binding = {"type": "r2_bucket", "name": "BUCKET", "bucket_name": name}
    told = rest.visit(rest.deployed_worker(R2_USER, bindings=[binding])["subdomain"]["url"]).json()
    assert "done" not in told.values()
    assert "10012" in told["metadata"]  # documented: MetadataTooLarge


@pytest.mark.parametrize(
    ("settings", "where"),
    [
        ({"limits": {"cpu_ms": 300_001}}, "limits.cpu_ms"),
        ({"limits": {"cpu_ms": "30"}}, "limits.cpu_ms"),
        ({"limits": {"subrequests": 0}}, "limits.subrequests"),
        ({"placement": {"mode": "anywhere"}}, "placement.mode"),
        ({"placement": {"region": 1}}, "placement.region"),
        ({"cache_options": {"enabled": "yes"}}, "cache_options.enabled"),
        ({"annotations": {"workers/tag": 1}}, "annotations.workers/tag"),
        ({"package_dependencies": {}}, "package_dependencies"),
    ],
)
def test_what_is_kept_without_effect_is_checked(rest: Rest, settings: dict[str, Any], where: str) -> None:
    path = f"/workers/workers/{rest.idle_worker()['id']}/versions"
    status, code, message = rest.refusal("POST", path, version(**settings))
    assert (status, code) == (400, 10021)
    assert where in message


@pytest.mark.parametrize(
    "binding",
    [
        {"type": "service", "name": "A", "service": "SELF", "environment": "staging"},
        {"type": "durable_object_namespace", "name": "A", "class_name": "A", "environment": "staging"},
        {"type": "durable_object_namespace", "name": "A", "class_name": "A", "dispatch_namespace": "tenants"},
        {
            "type": "ratelimit",
            "name": "A",
            "namespace_id": "1",
            "simple": {"limit": 1, "period": 10, "mitigation_timeout": 60},
        },
    ],
)
def test_a_field_of_a_binding_that_is_not_here_is_refused(rest: Rest, binding: dict[str, Any]) -> None:
    name = unique("fields")
    sent = {key: name if value == "SELF" else value for key, value in binding.items()}
    assert rest.refusal("PUT", f"/workers/scripts/{name}", **form(ECHO, bindings=[sent]))[:2] == (501, 10021)


def test_a_durable_object_namespace_is_bound_by_its_id(rest: Rest) -> None:
    owner, user = unique("owner"), unique("user")
    code = """import { DurableObject } from "cloudflare:workers"
    export class A extends DurableObject { who() { return "A of the owner" } }
    export default { fetch() {} }"""
    rest.upload(owner, code, migrations={"new_tag": "v1", "new_sqlite_classes": ["A"]})
    found = rest.result("GET", "/workers/durable_objects/namespaces?per_page=1000")
    [namespace] = [one for one in found if one["script"] == owner]
    asks = "export default { async fetch(_, env) { return new Response(await env.A.getByName('x').who()) } }"
    rest.upload(
        user, asks, bindings=[{"type": "durable_object_namespace", "name": "A", "namespace_id": namespace["id"]}]
    )
    url = rest.result("GET", f"/workers/workers/{user}")["subdomain"]["url"]
    assert rest.visit(url).text == "A of the owner"
    missing = [{"type": "durable_object_namespace", "name": "A", "namespace_id": "0" * 32}]
    assert rest.refusal("PUT", f"/workers/scripts/{user}", **form(asks, bindings=missing))[:2] == (400, 10066)


def test_previews_have_no_settings_of_their_own(rest: Rest) -> None:
    body = {"name": unique("worker"), "previews_base_config": {"logpush": True}}
    assert rest.refusal("POST", "/workers/workers", body)[:2] == (501, 10021)
