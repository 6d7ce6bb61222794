"""Workers as scripts: PUT with a form, versions with a form, and what is read back."""

import json
from typing import Any

import httpx
import pytest
from cloudflare import Cloudflare

from local.api.multipart import Part, boundary_of, form_parts
from local.cli.instance import Instance
from tests.local.rest import ECHO, Rest, form, unique

WRANGLER = {"User-Agent": "wrangler/4.164.0"}
COUNTER = """
import { DurableObject } from "cloudflare:workers"
export class Counter extends DurableObject {}
export default { fetch: (request, env) => Response.json(Object.keys(env).sort()) }
"""
RECORDED = {  # fields of the answer to an upload, recorded 2026-09-29 (chenhunghan/flare-operator)
    "created_on",
    "modified_on",
    "id",
    "tag",
    "entry_point",
    "tags",
    "deployment_id",
    "tail_consumers",
    "logpush",
    "observability",
    "has_assets",
    "has_modules",
    "etag",
    "handlers",
    "last_deployed_from",
    "compatibility_date",
    "usage_model",
    "startup_time_ms",
}


def address(rest: Rest, name: str) -> str:
    return rest.result("GET", f"/workers/workers/{name}")["subdomain"]["url"]


def parts_of(response: httpx.Response) -> list[Part]:
    assert response.status_code == 200
    return form_parts(response.content, boundary_of(response.headers["content-type"]) or "")


def text(name: str, value: str, kind: str = "plain_text") -> dict[str, str]:
    return {"name": name, "type": kind, "text": value}


def test_an_upload_creates_a_worker_and_deploys_it(rest: Rest) -> None:
    name = unique("script")
    answer = rest.upload(name, bindings=[text("GREETING", "hello")])
    assert set(answer) >= RECORDED
    assert (answer["id"], answer["has_modules"], answer["last_deployed_from"]) == (name, True, "api")
    assert answer["handlers"] == ["fetch", "scheduled", "queue"]
    assert rest.visit(address(rest, name)).json() == {"greeting": "hello"}
    [deployment] = rest.result("GET", f"/workers/scripts/{name}/deployments")["deployments"]
    assert deployment["annotations"] == {  # recorded
        "workers/message": "Automatic deployment on upload.",
        "workers/triggered_by": "upload",
    }
    assert deployment["versions"][0]["version_id"].replace("-", "") == answer["deployment_id"]
    assert name in [script["id"] for script in rest.result("GET", "/workers/scripts")]


def test_another_upload_replaces_it_in_place(rest: Rest) -> None:
    name = unique("script")
    first = rest.upload(name, bindings=[text("GREETING", "one")], logpush=True, tags=["a"])
    url = address(rest, name)
    rest.result("POST", f"/workers/scripts/{name}/subdomain", {"enabled": True})
    second = rest.upload(name, bindings=[text("GREETING", "two")])
    assert (first["etag"], first["tag"]) == (second["etag"], second["tag"])
    assert (second["logpush"], second["tags"]) == (False, ["a"])
    assert rest.visit(url).json() == {"greeting": "two"}
    assert rest.result("GET", f"/workers/scripts/{name}/subdomain")["enabled"] is True
    rest.upload(name)
    assert rest.visit(url).json() == {"greeting": None}


def test_uploads_through_the_sdk(sdk: Cloudflare, rest: Rest, cloud: Instance) -> None:
    name, account = unique("script"), cloud.account_id
    code = ("main.js", ECHO.encode(), "application/javascript+module")
    made = sdk.workers.scripts.update(
        name, account_id=account, metadata={"main_module": "main.js", "logpush": True}, files=[code]
    )
    assert (made.id, made.logpush) == (name, True)
    # The SDK's own type of this answer does not load (cloudflare 5.9.0).
    version = sdk.workers.scripts.versions.with_raw_response.create(
        name, account_id=account, metadata={"main_module": "main.js"}, files=[code]
    )
    assert json.loads(version.text())["result"]["resources"]["script"]["etag"] == made.etag
    settings = sdk.workers.scripts.script_and_version_settings.get(name, account_id=account)
    assert settings.logpush is True
    changed = sdk.workers.scripts.settings.edit(name, account_id=account, tags=["one"])
    assert (changed.tags, changed.logpush) == (["one"], True)
    read = sdk.workers.scripts.settings.get(name, account_id=account)
    assert read is not None
    assert read.tags == ["one"]
    assert [part.filename for part in parts_of(rest.send("GET", f"/workers/scripts/{name}"))] == ["main.js"]
    sdk.workers.scripts.delete(name, account_id=account)
    assert rest.refusal("GET", f"/workers/scripts/{name}")[:2] == (404, 10007)


def test_wrangler_is_told_as_the_source(rest: Rest) -> None:
    name = unique("script")
    rest.result("PUT", f"/workers/scripts/{name}", **form(), headers=WRANGLER)
    service = rest.result("GET", f"/workers/services/{name}")
    assert service["default_environment"]["environment"] == "production"
    assert service["default_environment"]["script"]["last_deployed_from"] == "wrangler"
    [version] = rest.result("GET", f"/workers/scripts/{name}/versions")["items"]
    assert version["metadata"]["source"] == "wrangler"
    assert version["annotations"] == {"workers/triggered_by": "upload"}


def test_a_version_waits_for_its_deployment(rest: Rest) -> None:
    name = unique("script")
    rest.upload(name, bindings=[text("GREETING", "old")])
    bindings = [text("GREETING", "new")]
    version = rest.upload(name, path="/versions", bindings=bindings, annotations={"workers/tag": "v2"})
    assert version["number"] == 2
    assert version["annotations"] == {"workers/tag": "v2", "workers/triggered_by": "version_upload"}
    assert version["resources"]["script"]["etag"]
    assert version["startup_time_ms"] >= 1
    assert rest.visit(address(rest, name)).json() == {"greeting": "old"}
    split = {"strategy": "percentage", "versions": [{"version_id": version["id"], "percentage": 100}]}
    made = rest.result("POST", f"/workers/scripts/{name}/deployments", split)
    assert made["annotations"] == {"workers/triggered_by": "deployment"}
    assert rest.visit(address(rest, name)).json() == {"greeting": "new"}


def test_bindings_are_kept_and_inherited(rest: Rest) -> None:
    name, queue = unique("script"), rest.queue()
    first = [
        text("SECRET", "s3cret", "secret_text"),
        text("VAR", "v"),
        {"name": "Q", "type": "queue", "queue_name": queue["queue_name"]},
    ]
    rest.upload(name, COUNTER, bindings=first)
    rest.upload(name, COUNTER, bindings=[{"name": "Q", "type": "inherit"}], keep_bindings=["secret_text"])
    assert rest.visit(address(rest, name)).json() == ["Q", "SECRET"]
    renamed = [{"name": "TASKS", "type": "inherit", "old_name": "Q", "version_id": "latest"}]
    rest.upload(name, COUNTER, bindings=renamed)
    assert rest.visit(address(rest, name)).json() == ["TASKS"]


def test_a_first_upload_may_bind_itself(rest: Rest) -> None:
    """As OpenNext's WORKER_SELF_REFERENCE does, and workers-sdk's fixtures/workers-with-assets."""
    code = """
      import { WorkerEntrypoint } from 'cloudflare:workers';
      export class Adder extends WorkerEntrypoint { add(a, b) { return a + b } }
      export default { async fetch(request, env) { return Response.json(await env.SELF.add(1, 2)) } }
    """
    name = unique("script")
    rest.upload(name, code, bindings=[{"name": "SELF", "type": "service", "service": name, "entrypoint": "Adder"}])
    assert rest.visit(address(rest, name)).json() == 3


def test_what_cannot_be_inherited(rest: Rest) -> None:
    """The texts are quoted: workers-sdk, wrangler's tests of secrets; and users' logs of a refused version_id."""
    name = unique("script")
    rest.upload(name, COUNTER)
    missing = [{"name": "A", "type": "inherit"}, {"name": "B", "type": "inherit"}]
    response = rest.send("PUT", f"/workers/scripts/{name}?bindings_inherit=strict", **form(COUNTER, bindings=missing))
    assert response.status_code == 400
    assert response.json()["errors"] == [
        {
            "code": 10057,
            "message": f"inherit binding '{n}' is invalid: previous version does not have binding named '{n}'",
        }
        for n in ("A", "B")
    ]
    rest.upload(name, COUNTER, bindings=missing)  # left out when nobody insists
    assert rest.visit(address(rest, name)).json() == []
    other = [{"name": "A", "type": "inherit", "version_id": "d464c58d-36c5-4976-9962-3c37d512bbfa"}]
    status, code, message = rest.refusal("PUT", f"/workers/scripts/{name}", **form(COUNTER, bindings=other))
    assert (status, code) == (400, 10057)
    assert message.endswith("is invalid, only the literal 'latest' is supported by this API")


def test_migrations_come_with_an_upload_and_not_with_a_version(rest: Rest) -> None:
    name = unique("script")
    migrations = {"new_tag": "v1", "new_sqlite_classes": ["Counter"]}
    binding = {"name": "COUNTER", "type": "durable_object_namespace", "class_name": "Counter"}
    answer = rest.upload(name, COUNTER, migrations=migrations, bindings=[binding])
    assert answer["migration_tag"] == "v1"
    script = rest.result("GET", f"/workers/services/{name}")["default_environment"]["script"]
    assert script["migration_tag"] == "v1"
    assert rest.upload(name, COUNTER, bindings=[binding])["migration_tag"] == "v1"
    again = form(COUNTER, migrations=migrations, bindings=[binding])
    assert rest.refusal("PUT", f"/workers/scripts/{name}", **again)[:2] == (400, 10079)
    more = form(COUNTER, migrations={"old_tag": "v1", "new_tag": "v2", "steps": []}, bindings=[binding])
    assert rest.refusal("POST", f"/workers/scripts/{name}/versions", **more)[:2] == (400, 10211)


def test_the_code_comes_back_byte_for_byte(rest: Rest) -> None:
    name = unique("script")
    main = "import data from './data.bin'; import './lib/a.js'; export default { fetch: () => new Response(data) }\n\n"
    blob = bytes(range(256))
    files = {
        "./lib/a.js": ("./lib/a.js", "export {}", "application/javascript+module"),
        "metadata": ("blob", '{"main_module": "worker.mjs"}', "application/json"),
        "worker.mjs": ("worker.mjs", main, "application/javascript+module"),
        "./data.bin": ("./data.bin", blob, "application/octet-stream"),
        "worker.mjs.map": ("worker.mjs.map", "{}", "application/source-map"),
    }
    rest.result("PUT", f"/workers/scripts/{name}", files=files)
    assert rest.visit(address(rest, name)).content == blob
    response = rest.send("GET", f"/workers/scripts/{name}/content/v2")
    assert response.headers["cf-entrypoint"] == "worker.mjs"
    first, *others = parts_of(response)
    assert first == Part("worker.mjs", "worker.mjs", "application/javascript+module", main.encode())
    assert Part("./data.bin", "./data.bin", "application/octet-stream", blob) in others
    assert len(others) == 3


def test_the_code_alone_can_be_replaced(rest: Rest) -> None:
    name = unique("script")
    rest.upload(name, bindings=[text("GREETING", "kept"), text("SECRET", "s", "secret_text")], logpush=True)
    code = ECHO.replace("greeting:", "salute:")
    answer = rest.result("PUT", f"/workers/scripts/{name}/content", **form(code))
    assert answer["logpush"] is True
    assert rest.visit(address(rest, name)).json() == {"salute": "kept"}
    kept = rest.result("GET", f"/workers/scripts/{name}/settings")["bindings"]
    assert [binding["name"] for binding in kept] == ["GREETING", "SECRET"]


def test_settings_can_be_changed_alone(rest: Rest) -> None:
    name = unique("script")
    rest.upload(name, bindings=[text("GREETING", "one"), text("SECRET", "s", "secret_text")])
    patch = {"bindings": [text("GREETING", "two"), {"name": "SECRET", "type": "inherit"}], "logpush": True}
    part = {"settings": (None, json.dumps(patch), "application/json")}
    settings = rest.result("PATCH", f"/workers/scripts/{name}/settings", files=part)
    assert (settings["logpush"], len(settings["bindings"])) == (True, 2)
    assert rest.visit(address(rest, name)).json() == {"greeting": "two"}
    refusal = rest.refusal("PATCH", f"/workers/scripts/{name}/settings", {"logpush": False})
    assert refusal == (400, 10001, "Content-Type must be one of: multipart/form-data.")  # quoted in public code
    rest.upload(name, path="/versions")
    assert rest.refusal("PATCH", f"/workers/scripts/{name}/settings", files=part)[:2] == (400, 10214)


def test_settings_echo_the_metadata_and_add_nothing(rest: Rest) -> None:
    name = unique("script")
    rest.upload(name)
    assert rest.result("GET", f"/workers/scripts/{name}/settings") == {  # recorded
        "placement": {},
        "compatibility_date": "2025-04-01",
        "compatibility_flags": [],
        "usage_model": "standard",
        "tags": [],
        "tail_consumers": [],
        "logpush": False,
        "annotations": {"workers/triggered_by": "upload"},
        "bindings": [],
    }


def test_lines_of_a_form_may_end_in_a_line_feed_alone(rest: Rest) -> None:
    """The Terraform provider's acceptance tests of a script send it so, to the real API."""
    name, boundary = unique("script"), "--form-data-boundary"
    lines = (
        f"--{boundary}",
        'Content-Disposition: form-data; name="files"; filename="worker.mjs"',
        "Content-Type: application/javascript+module",
        "",
        ECHO,
        f"--{boundary}",
        'Content-Disposition: form-data; name="metadata"; filename="metadata.json"',
        "Content-Type: application/json",
        "",
        json.dumps({"main_module": "worker.mjs", "bindings": [text("GREETING", "hello")]}),
        f"--{boundary}--",
        "",
    )
    headers = {"content-type": f"multipart/form-data;boundary={boundary}"}
    sent = "\n".join(lines).encode()
    assert rest.result("PUT", f"/workers/scripts/{name}", content=sent, headers=headers)["id"] == name
    [code] = parts_of(rest.send("GET", f"/workers/scripts/{name}/content/v2"))
    assert code.content.decode() == ECHO
    [binding] = rest.result("GET", f"/workers/scripts/{name}/settings")["bindings"]
    assert binding == text("GREETING", "hello")


def test_a_compatibility_date_that_was_not_given_is_not_told(rest: Rest) -> None:
    """To the Terraform provider, which sends "", any date is a difference; its acceptance tests upload without one."""
    name = unique("script")
    rest.result("PUT", f"/workers/scripts/{name}", **form(compatibility_date=None))
    script = rest.result("GET", f"/workers/services/{name}")["default_environment"]["script"]
    assert script["compatibility_date"] == ""
    assert rest.result("GET", f"/workers/scripts/{name}/settings")["compatibility_date"] == ""


PROVIDERS_METADATA: dict[str, Any] = {
    "bindings": [
        text("MODE", "dev"),
        text("TOKEN", "s3cret", "secret_text"),
        {"class_name": "Counter", "name": "ROOM", "type": "durable_object_namespace"},
    ],
    "compatibility_date": "2025-04-01",
    "compatibility_flags": ["nodejs_compat"],
    "logpush": False,
    "main_module": "index.js",
    "observability": {
        "enabled": True,
        "head_sampling_rate": 1,
        "logs": {"enabled": True, "head_sampling_rate": 1, "invocation_logs": True, "persist": True},
    },
    "usage_model": "standard",
}


def test_the_providers_three_reads(rest: Rest) -> None:
    """What the provider's WorkersScript sends and reads: services, settings, content/v2 (recorded traffic)."""
    name = unique("script")
    migrations = {"new_sqlite_classes": ["Counter"], "new_tag": "v1"}
    rest.upload(name, COUNTER, **PROVIDERS_METADATA, migrations=migrations)
    rest.result("POST", f"/workers/scripts/{name}/subdomain", {"enabled": True, "previews_enabled": True})
    reads = [rest.result("GET", path) for path in (f"/workers/services/{name}", f"/workers/scripts/{name}/settings")]
    settings = reads[1]
    assert reads[0]["default_environment"]["script"]["observability"] == PROVIDERS_METADATA["observability"]
    for key in ("compatibility_date", "compatibility_flags", "logpush", "observability", "usage_model"):
        assert settings[key] == PROVIDERS_METADATA[key]
    assert settings["placement"] == {}
    assert "migrations" not in settings
    shown = {binding["name"]: binding for binding in settings["bindings"]}
    assert shown["MODE"] == text("MODE", "dev")
    assert shown["TOKEN"] == {"name": "TOKEN", "type": "secret_text"}
    assert shown["ROOM"]["class_name"] == "Counter"
    [code] = parts_of(rest.send("GET", f"/workers/scripts/{name}/content/v2"))
    assert code.content.decode() == COUNTER
    assert [rest.result("GET", f"/workers/services/{name}"), settings] == reads
    without = {key: value for key, value in PROVIDERS_METADATA.items() if key != "observability"}
    rest.upload(name, COUNTER, **without)  # taking the block out of the program is a key less, not a null
    assert "observability" not in rest.result("GET", f"/workers/scripts/{name}/settings")
    assert "observability" not in rest.result("GET", f"/workers/services/{name}")["default_environment"]["script"]
    assert rest.result("DELETE", f"/workers/scripts/{name}/subdomain") == {"enabled": False, "previews_enabled": False}
    assert rest.result("DELETE", f"/workers/scripts/{name}") is None
    for path in ("services/" + name, f"scripts/{name}/settings", f"scripts/{name}/content/v2"):
        assert rest.refusal("GET", f"/workers/{path}")[0] == 404


@pytest.mark.parametrize(
    ("more", "status", "code", "message"),
    [
        ({"main_module": "other.js"}, 400, 10021, 'No such module "other.js".'),
        ({"exports": {"Flow": {"type": "workflow"}}}, 501, 10021, "The local Cloudflare does not have workflows in"),
        ({"bindings": [text("A", "1"), text("A", "2")]}, 400, 10021, "binding name 'A' already in use"),
    ],
)
def test_what_does_not_fit_is_refused(rest: Rest, more: dict[str, Any], status: int, code: int, message: str) -> None:
    name = unique("script")
    refusal = rest.refusal("PUT", f"/workers/scripts/{name}", **form(**more))
    assert refusal[:2] == (status, code)
    assert refusal[2].startswith(message)
    assert rest.refusal("GET", f"/workers/scripts/{name}")[:2] == (404, 10007)


def test_what_is_no_form_is_refused(rest: Rest) -> None:
    name = unique("script")
    path = f"/workers/scripts/{name}"
    assert rest.refusal("PUT", path, {"main_module": "x"})[:2] == (400, 10001)
    # quoted in cloudflare-typescript #158 and #2645
    no_metadata = (400, 10021, "could not read content for part metadata")
    assert rest.refusal("PUT", path, files={"index.js": ("index.js", ECHO)}) == no_metadata
    assert rest.refusal("PUT", path, files={"metadata": (None, "{")})[:2] == (400, 10021)
    assert rest.refusal("PUT", "/workers/scripts/Not%20A%20Name", **form())[:2] == (400, 10016)
    assert rest.refusal("POST", f"{path}/versions", **form())[:2] == (404, 10007)


def test_a_script_that_does_not_start_leaves_no_worker(rest: Rest) -> None:
    name = unique("script")
    refusal = rest.refusal("PUT", f"/workers/scripts/{name}", **form("throw new Error('not today')"))
    assert refusal[:2] == (400, 10021)
    assert rest.refusal("GET", f"/workers/workers/{name}")[:2] == (404, 10007)
