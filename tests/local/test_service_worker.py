"""Workers in the service worker syntax: a script that listens to events, and finds its bindings as globals."""

import json
from typing import Any

from local.cli import log_file
from local.cli.instance import Instance
from tests.local.rest import Rest, eventually, unique
from tests.local.test_modules import ADD_WASM

SCRIPT = """
const { exports } = new WebAssembly.Instance(ADD)
let ran = null
addEventListener("scheduled", (event) => { ran = event.cron })
self.addEventListener("fetch", (event) => {
  if (new URL(event.request.url).pathname === "/fail") throw new Error("on purpose")
  event.respondWith(answer())
})
async function answer() {
  await KV.put("key", "value")
  return Response.json([GREETING, exports.add(40, 2), PAGE, new Uint8Array(BYTES)[1], await KV.get("key"), ran])
}
"""
JAVASCRIPT = "application/javascript"


def form(
    script: str = SCRIPT,
    *,
    bindings: list[dict[str, Any]] | None = None,
    parts: dict[str, tuple[Any, str]] | None = None,
) -> Any:
    metadata = {"body_part": "script", "bindings": bindings or [], "compatibility_date": "2024-01-01"}
    files: dict[str, Any] = {
        "metadata": (None, json.dumps(metadata), "application/json"),
        "script": ("worker.js", script, JAVASCRIPT),
    }
    return {"files": files | {name: (f"some/{name}.file", *part) for name, part in (parts or {}).items()}}


def upload(rest: Rest, name: str) -> dict[str, Any]:
    namespace = rest.result("POST", "/storage/kv/namespaces", {"title": unique("service-worker")})["id"]
    bindings = [
        {"type": "plain_text", "name": "GREETING", "text": "hello"},
        {"type": "kv_namespace", "name": "KV", "namespace_id": namespace},
        {"type": "wasm_module", "name": "ADD", "part": "add"},
        {"type": "text_blob", "name": "PAGE", "part": "page"},
        {"type": "data_blob", "name": "BYTES", "part": "bytes"},
    ]
    parts: dict[str, tuple[Any, str]] = {
        "add": (ADD_WASM, "application/wasm"),
        "page": ("grüße", "text/plain"),
        "bytes": (bytes([1, 255]), "application/octet-stream"),
    }
    return rest.result("PUT", f"/workers/scripts/{name}", **form(bindings=bindings, parts=parts))


def address(rest: Rest, name: str) -> str:
    return rest.result("GET", f"/workers/workers/{name}")["subdomain"]["url"].rstrip("/")


def test_it_runs_with_its_bindings_as_globals(rest: Rest, cloud: Instance) -> None:
    name = unique("script")
    made = upload(rest, name)
    assert (made["has_modules"], made["handlers"]) == (False, ["fetch", "scheduled"])
    url = address(rest, name)
    eventually(lambda: rest.visit(url).is_success or None)
    assert rest.visit(url).json() == ["hello", 42, "grüße", 255, "value", None]
    assert rest.visit(f"{url}/fail").status_code == 500
    eventually(lambda: "Uncaught Error: on purpose" in log_file.log_path(cloud.state_dir).read_text() or None)
    response = rest.send("GET", f"/workers/scripts/{name}")
    assert (response.text, response.headers["content-type"]) == (SCRIPT, JAVASCRIPT)


def test_it_keeps_its_bindings_when_its_code_or_a_secret_changes(rest: Rest) -> None:
    name = unique("script")
    upload(rest, name)
    url = address(rest, name)
    rest.result("PUT", f"/workers/scripts/{name}/secrets", {"name": "SECRET", "text": "s", "type": "secret_text"})
    eventually(lambda: rest.visit(url).is_success or None)
    assert rest.visit(url).json()[0] == "hello"


def test_it_becomes_a_module(rest: Rest) -> None:
    name = unique("script")
    rest.result("PUT", f"/workers/scripts/{name}", **form("addEventListener('fetch', () => {})"))
    code = "export default { fetch: () => new Response('a module') }"
    files = {
        "metadata": (None, '{"main_module": "index.js"}', "application/json"),
        "index.js": ("index.js", code, "application/javascript+module"),
    }
    made = rest.result("PUT", f"/workers/scripts/{name}/content", files=files)
    assert (made["has_modules"], made["handlers"]) == (True, ["fetch"])
    url = address(rest, name)
    eventually(lambda: rest.visit(url).text == "a module" or None)


def test_what_the_syntax_does_not_have_is_refused(rest: Rest) -> None:
    """100329 and 10216 are quoted in public code and issues, each with its text."""
    name = unique("script")
    path = f"/workers/scripts/{name}"
    database = [{"type": "d1", "name": "DB", "id": rest.database()["uuid"]}]
    message = "Binding 'DB' of type 'd1' requires a Worker written in ES module format."
    assert rest.refusal("PUT", path, **form(bindings=database)) == (400, 100329, message)
    missing = [{"type": "wasm_module", "name": "ADD", "part": "add"}]
    assert rest.refusal("PUT", path, **form(bindings=missing))[:2] == (400, 10021)
    assert rest.refusal("PUT", path, **form("export default {}"))[:2] == (400, 10021)
    assert "not today" in rest.refusal("PUT", path, **form("throw new Error('not today')"))[2]
    assert rest.refusal("PUT", path, **form("let nothing"))[:2] == (400, 10068)
    upload(rest, name)
    assert rest.refusal("POST", f"{path}/versions", **form())[:2] == (400, 10216)


def test_a_module_has_no_bindings_to_parts(rest: Rest) -> None:
    metadata = {"main_module": "index.js", "bindings": [{"type": "text_blob", "name": "PAGE", "part": "page"}]}
    files = {
        "metadata": (None, json.dumps(metadata), "application/json"),
        "index.js": ("index.js", "export default { fetch() {} }", "application/javascript+module"),
        "page": ("page", "text", "text/plain"),
    }
    message = "Binding 'PAGE' of type 'text_blob' requires a Worker written in service worker format."
    assert rest.refusal("PUT", f"/workers/scripts/{unique('script')}", files=files) == (400, 10021, message)
