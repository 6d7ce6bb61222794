"""Versions of a Worker: uploads, what they bind, and why they are refused."""

import base64
import os
from typing import Any

import pytest
from cloudflare import Cloudflare

from local.cli.instance import Instance
from tests.local.rest import ECHO, Rest, module, unique, version

VERSION_NOT_FOUND = (
    404,
    100146,
    "The requested Worker version could not be found, please check the ID being passed and try again.",
)


def upload(rest: Rest, worker: dict[str, Any], body: dict[str, Any], query: str = "") -> dict[str, Any]:
    return rest.result("POST", f"/workers/workers/{worker['id']}/versions{query}", body)


def refused(rest: Rest, body: dict[str, Any]) -> tuple[int, int, str]:
    return rest.refusal("POST", f"/workers/workers/{rest.idle_worker()['id']}/versions", body)


def test_lives_through_the_sdk(sdk: Cloudflare, rest: Rest, cloud: Instance) -> None:
    worker, account = rest.worker(), cloud.account_id
    database = rest.database()
    versions = sdk.workers.beta.workers.versions
    content = base64.b64encode(ECHO.encode()).decode()
    created = versions.create(
        worker["id"],
        account_id=account,
        main_module="index.js",
        compatibility_date="2025-04-01",
        compatibility_flags=["nodejs_compat"],
        modules=[{"name": "index.js", "content_type": "application/javascript+module", "content_base64": content}],
        bindings=[{"name": "DB", "type": "d1", "database_id": database["uuid"]}],
        annotations={"workers_message": "first"},
    )
    assert created.number == 1
    assert created.usage_model == "standard"
    assert created.startup_time_ms is not None
    assert created.urls == []
    assert created.annotations is not None
    assert created.annotations.workers_message == "first"
    got = versions.get(created.id, account_id=account, worker_id=worker["id"], include="modules")
    assert got.modules is not None
    assert [part.content_base64 for part in got.modules] == [content]
    assert got.compatibility_flags == ["nodejs_compat"]
    latest = versions.get("latest", account_id=account, worker_id=worker["name"])
    assert latest.id == created.id
    assert latest.modules is None
    assert [one.id for one in versions.list(worker["id"], account_id=account)] == [created.id]
    versions.delete(created.id, account_id=account, worker_id=worker["id"])
    assert list(versions.list(worker["id"], account_id=account)) == []


def test_a_version_runs_once_it_is_deployed(rest: Rest) -> None:
    worker = rest.worker()
    greeting = [{"name": "GREETING", "type": "plain_text", "text": "hello"}]
    upload(rest, worker, version(bindings=greeting))
    url = worker["subdomain"]["url"]
    assert rest.visit(url).status_code == 404
    second = upload(rest, worker, version(bindings=greeting), "?deploy=true")
    assert second["number"] == 2
    assert rest.visit(url).json() == {"greeting": "hello"}
    [deployment] = rest.result("GET", f"/workers/scripts/{worker['name']}/deployments")["deployments"]
    assert deployment["versions"] == [{"version_id": second["id"], "percentage": 100}]
    assert rest.result("GET", f"/workers/workers/{worker['id']}")["deployed_on"] == deployment["created_on"]


def test_modules_come_back_byte_for_byte_and_in_order(rest: Rest) -> None:
    main = "import { text } from './lib/text.js'; export default { fetch: () => new Response(text) }\n\n"
    library = module("export const text = 'ü';", "lib/text.js")
    source_map = module("{}", "index.js.map") | {"content_type": "application/source-map; charset=utf-8"}
    modules = [library | {"content_type": "application/javascript+module; charset=utf-8"}, module(main), source_map]
    worker = rest.worker()
    created = upload(rest, worker, {**version(), "modules": modules}, "?deploy=true")
    got = rest.result("GET", f"/workers/workers/{worker['id']}/versions/{created['id']}?include=modules")
    assert got["modules"] == modules
    assert rest.visit(worker["subdomain"]["url"]).text == "ü"


def test_bindings_come_back_sorted_and_without_secrets(rest: Rest) -> None:
    database, queue = rest.database(), rest.queue()
    bindings = [
        {"name": "b", "type": "json", "json": {"deep": [1, None]}},
        {"name": "TASKS", "type": "queue", "queue_name": queue["queue_name"]},
        {"name": "SECRET", "type": "secret_text", "text": "s3cret"},
        {"name": "DB", "type": "d1", "id": database["uuid"]},
        {"name": "ENV", "type": "plain_text", "text": ""},
    ]
    worker = rest.worker()
    created = upload(rest, worker, version(bindings=bindings))
    assert created["bindings"] == [
        {"name": "DB", "type": "d1", "id": database["uuid"], "database_id": database["uuid"]},
        {"name": "ENV", "type": "plain_text", "text": ""},
        {"name": "SECRET", "type": "secret_text"},
        {"name": "TASKS", "type": "queue", "queue_name": queue["queue_name"]},
        {"name": "b", "type": "json", "json": {"deep": [1, None]}},
    ]
    got = rest.send("GET", f"/workers/workers/{worker['id']}/versions/{created['id']}")
    assert "s3cret" not in got.text


def test_a_worker_reaches_what_it_binds(rest: Rest) -> None:
    database, queue = rest.database(), rest.queue()
    code = """
        export default { async fetch(request, env) {
            await env.DB.exec("CREATE TABLE t (v TEXT)")
            await env.DB.prepare("INSERT INTO t VALUES (?)").bind(env.SECRET).run()
            await env.TASKS.send({ hello: env.CONFIG.name })
            return new Response("done")
        } }
    """
    bindings = [
        {"name": "DB", "type": "d1", "id": database["uuid"]},
        {"name": "TASKS", "type": "queue", "queue_name": queue["queue_name"]},
        {"name": "SECRET", "type": "secret_text", "text": "s3cret"},
        {"name": "CONFIG", "type": "json", "json": {"name": "queue"}},
    ]
    worker = rest.deployed_worker(code, bindings=bindings)
    assert rest.visit(worker["subdomain"]["url"]).text == "done"
    [result] = rest.result("POST", f"/d1/database/{database['uuid']}/query", {"sql": "SELECT v FROM t"})
    assert result["results"] == [{"v": "s3cret"}]
    [message] = rest.result("POST", f"/queues/{queue['queue_id']}/messages/peek", {})["messages"]
    assert base64.b64decode(message["body"]) == b'{"hello":"queue"}'


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import 'nowhere'; export default { fetch() {} }", 'Uncaught Error: No such module "nowhere".'),
        ("export default { fetch() {", "Uncaught SyntaxError: Unexpected end of input"),
        ("throw new Error('not today')", "Uncaught Error: not today"),
        ("nothing.here()", "Uncaught ReferenceError: nothing is not defined"),
    ],
)
def test_what_does_not_start_is_refused_in_the_words_of_the_runtime(rest: Rest, code: str, message: str) -> None:
    status, error_code, text = refused(rest, version(code))
    assert (status, error_code) == (400, 10021)
    assert text.startswith(message)
    assert "/" not in text


def test_a_broken_upload_takes_nothing_down(rest: Rest) -> None:
    worker = rest.deployed_worker()
    path = f"/workers/workers/{worker['id']}/versions?deploy=true"
    assert rest.refusal("POST", path, version("throw new Error('broken')"))[:2] == (400, 10021)
    assert rest.visit(worker["subdomain"]["url"]).json() == {"greeting": None}
    assert len(rest.result("GET", f"/workers/workers/{worker['id']}/versions")) == 1


def test_code_without_handlers_is_refused(rest: Rest) -> None:
    expected = (400, 10068, "The uploaded script has no registered event handlers.")
    assert refused(rest, version("export default {}")) == expected


@pytest.mark.parametrize(
    ("more", "code", "message"),
    [
        ({"main_module": "other.js"}, 10021, 'No such module "other.js".'),
        ({"modules": []}, 10021, "A Worker version needs at least one module"),
        ({"modules": [module(), module()]}, 10021, 'Duplicate module "index.js".'),
        (
            {"modules": [module() | {"content_base64": "%"}]},
            10021,
            "Invalid Worker version: modules.0.content_base64: Invalid base64",
        ),
        (
            {"modules": [module() | {"content_type": "text/html"}]},
            10021,
            "Invalid Worker version: modules.0.content_type: Unsupported content type 'text/html'",
        ),
        (
            {"compatibility_date": "today"},
            10021,
            "Invalid Worker version: compatibility_date: Expected a date like 2025-04-01, received 'today'",
        ),
        (
            {"bindings": [{"name": "DB", "type": "d1"}]},
            10021,
            "binding DB of type d1 must have a valid `database_id` specified",
        ),
        (
            {"bindings": [{"name": "DB", "type": "d1", "id": "nope"}]},
            10181,
            "D1 binding 'DB' references database 'nope' which was not found.",
        ),
        (
            {"bindings": [{"name": "Q", "type": "queue"}]},
            10021,
            "binding Q of type queue must have a queue specified",
        ),
        ({"bindings": [{"name": "Q", "type": "queue", "queue_name": "nope"}]}, 11002, "Queue 'nope' was not found"),
        (
            {"bindings": [{"name": "V", "type": "plain_text"}]},
            10021,
            "binding V of type plain_text must have `text` specified",
        ),
        ({"bindings": [{"name": "X", "type": "teapot"}]}, 10021, "binding X has unknown type teapot"),
        (
            {"bindings": [{"name": "A", "type": "json", "json": n} for n in (1, 2)]},
            10021,
            "binding name 'A' already in use",
        ),
    ],
)
def test_what_does_not_fit_is_refused(rest: Rest, more: dict[str, Any], code: int, message: str) -> None:
    assert refused(rest, version(**more)) == (400, code, message)


@pytest.mark.parametrize(
    "more",
    [
        {"bindings": [{"name": "B", "type": "browser"}]},
        {"containers": [{"class_name": "Room"}]},
    ],
)
def test_what_is_not_here_yet_says_so(rest: Rest, more: dict[str, Any]) -> None:
    status, _, message = refused(rest, version(**more))
    assert status == 501
    assert message.startswith("The local Cloudflare does not have ")


def test_a_version_has_a_size_limit(rest: Rest) -> None:
    blob = base64.b64encode(os.urandom(10 * 1024 * 1024 + 1)).decode()
    data = {"name": "blob.bin", "content_type": "application/octet-stream", "content_base64": blob}
    body = version(modules=[module(), data])
    assert refused(rest, body) == (413, 10027, "Your Worker exceeded the size limit of 10 MiB.")


def test_versions_are_found_by_the_start_of_their_id(rest: Rest) -> None:
    worker = rest.worker()
    created = upload(rest, worker, version())
    path = f"/workers/workers/{worker['id']}/versions"
    assert rest.result("GET", f"{path}/{created['id'][:8]}")["id"] == created["id"]
    for unknown in (created["id"][:7], "00000000-0000-4000-8000-000000000000"):
        assert rest.refusal("GET", f"{path}/{unknown}") == VERSION_NOT_FOUND
    assert rest.refusal("DELETE", f"{path}/unknown-version") == VERSION_NOT_FOUND
    assert rest.refusal("GET", f"{path}/{created['id']}?include=everything")[:2] == (400, 10021)


def test_a_deployed_version_cannot_be_deleted(rest: Rest) -> None:
    worker = rest.worker()
    created = upload(rest, worker, version(), "?deploy=true")
    assert rest.refusal("DELETE", f"/workers/workers/{worker['id']}/versions/{created['id']}")[:2] == (400, 10021)


def test_a_database_deleted_under_a_worker_is_gone_for_it(rest: Rest) -> None:
    database = rest.database()
    code = "export default { fetch: (request, env) => new Response(typeof env.DB) }"
    worker = rest.deployed_worker(code, bindings=[{"name": "DB", "type": "d1", "id": database["uuid"]}])
    assert rest.visit(worker["subdomain"]["url"]).text == "object"
    rest.result("DELETE", f"/d1/database/{database['uuid']}")
    assert rest.visit(worker["subdomain"]["url"]).text == "undefined"


def test_a_version_whose_queue_is_gone_cannot_be_deployed(rest: Rest) -> None:
    worker, queue = rest.worker(), rest.queue()
    bindings = [{"name": "Q", "type": "queue", "queue_name": queue["queue_name"]}]
    created = upload(rest, worker, version(bindings=bindings))
    rest.result("DELETE", f"/queues/{queue['queue_id']}")
    body = {"strategy": "percentage", "versions": [{"percentage": 100, "version_id": created["id"]}]}
    refusal = rest.refusal("POST", f"/workers/scripts/{worker['name']}/deployments", body)
    assert refusal == (400, 11002, f"Queue '{queue['queue_name']}' was not found")


def test_a_version_tells_what_made_it_and_of_no_bindings_where_it_has_none(rest: Rest) -> None:
    """The provider's acceptance tests of a version, which run on the real API: the empty list is a difference to it.

    The word is in public code, of an answer of the real API.
    """
    path = f"/workers/workers/{rest.worker()['id']}/versions"
    without = rest.result("POST", path, version())
    assert "bindings" not in without
    assert without["annotations"] == {"workers/triggered_by": "create_version_api"}
    assert "bindings" not in rest.result("GET", f"{path}/{without['id']}?include=modules")
    deployed = rest.result("POST", path + "?deploy=true", version(annotations={"workers/message": "m"}))
    assert deployed["annotations"] == {"workers/message": "m", "workers/triggered_by": "create_version_api"}


def test_the_name_of_a_worker_serves_as_its_id(rest: Rest) -> None:
    worker = rest.result("POST", "/workers/workers", {"name": unique("by-name")})
    assert rest.result("POST", f"/workers/workers/{worker['name']}/versions", version())["number"] == 1


def test_a_version_knows_itself(rest: Rest) -> None:
    code = "export default { async fetch(request, env) { return Response.json(env.VERSION) } }"
    worker = rest.worker()
    body = version(
        code,
        bindings=[{"type": "version_metadata", "name": "VERSION"}],
        annotations={"workers/tag": "v7"},
    )
    uploaded = rest.result("POST", f"/workers/workers/{worker['id']}/versions?deploy=true", body)
    assert uploaded["bindings"] == [{"name": "VERSION", "type": "version_metadata"}]
    seen = rest.visit(worker["subdomain"]["url"]).json()
    assert (seen["id"], seen["tag"]) == (uploaded["id"], "v7")
    assert seen["timestamp"] <= uploaded["created_on"]


@pytest.mark.parametrize("kind", ["plain_text", "secret_text"])
def test_a_text_has_at_most_5_kib(rest: Rest, kind: str) -> None:
    worker = rest.worker()
    longest = {"type": kind, "name": "TEXT", "text": "ü" * (5 * 512)}
    upload(rest, worker, version(bindings=[longest]))
    path = f"/workers/workers/{worker['id']}/versions"
    refusal = rest.refusal("POST", path, version(bindings=[longest | {"text": longest["text"] + "."}]))
    assert refusal == (400, 10054, "workers.api.error.text_binding_too_large")


def test_a_rate_limit_holds(rest: Rest) -> None:
    code = "export default { async fetch(request, env) { return Response.json(await env.LIMIT.limit({ key: 'k' })) } }"
    binding = {"type": "ratelimit", "name": "LIMIT", "namespace_id": "1", "simple": {"limit": 2, "period": 60}}
    worker = rest.deployed_worker(code, bindings=[binding])
    answers = [rest.visit(worker["subdomain"]["url"]).json()["success"] for _ in range(4)]
    assert answers.count(True) >= 2
    assert False in answers
    wrong = binding | {"simple": {"limit": 2, "period": 30}}
    path = f"/workers/workers/{rest.idle_worker()['id']}/versions"
    assert rest.refusal("POST", path, version(code, bindings=[wrong]))[:2] == (400, 10021)
