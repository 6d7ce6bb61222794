"""Kinds of modules, as wrangler finds, bundles and uploads them."""

import json
from pathlib import Path
from typing import Any

import pytest

from local.cli.instance import Instance
from tests.local.rest import Rest, eventually
from tests.local.test_modules import ADD_WASM, EXPECTED, MODULES
from tests.wrangler.wrangler_cli import Wrangler

RULES = [
    {"type": "ESModule", "globs": ["lib/**/*.js", "lib/**/*.mjs"]},
    {"type": "CommonJS", "globs": ["*.cjs"]},
    {"type": "CompiledWasm", "globs": ["*.wasm"]},
    {"type": "Text", "globs": ["texts/*.txt"]},
    {"type": "Data", "globs": ["*.bin"]},
]
BUNDLED = """
import { AsyncLocalStorage } from "node:async_hooks"
import { Buffer } from "node:buffer"
import { createHash } from "node:crypto"
import add from "./add.wasm"
import data from "./data.bin"
import text from "./greeting.txt"
import settings from "./settings.json"

const seen = new AsyncLocalStorage()
const { exports } = await WebAssembly.instantiate(add)
function fail(): never { throw new Error("on purpose") }
export default {
  async fetch(request: Request): Promise<Response> {
    if (new URL(request.url).pathname === "/fail") fail()
    const sum: number = (exports as any).add(40, 2)
    return seen.run("seen", () => Response.json({
      sum, text, settings, data: data.byteLength, seen: seen.getStore(), greeting: process.env.GREETING,
      sha1: createHash("sha1").update(Buffer.from(text)).digest("base64"),
    }))
  },
}
"""


SERVICE_WORKER = """
import add from "./add.wasm"
const { exports } = new WebAssembly.Instance(add)
addEventListener("fetch", (event) => event.respondWith(Response.json([GREETING, exports.add(40, 2)])))
"""


@pytest.fixture(name="wrangler")
def new_wrangler(cloud: Instance, tmp_path: Path) -> Wrangler:
    (tmp_path / "project").mkdir()
    return Wrangler(cloud, tmp_path / "project", tmp_path)


def deploy(wrangler: Wrangler, rest: Rest, name: str, files: dict[str, bytes | str], **config: Any) -> str:
    """Write a project, deploy it, and give its address."""
    for path, content in files.items():
        file = wrangler.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)
    known = {"name": name, "main": "index.js", "compatibility_date": "2026-03-01"}
    (wrangler.folder / "wrangler.json").write_text(json.dumps(known | config))
    wrangler("deploy")
    return rest.result("GET", f"/workers/workers/{name}")["subdomain"]["url"]


def test_modules_go_up_as_they_are(wrangler: Wrangler, rest: Rest) -> None:
    """All but JSON, for which wrangler has no rule."""
    main = str(MODULES["index.js"][0]).replace('import settings from "./settings.json"', "const settings = null")
    files = {name: content for name, (content, _) in MODULES.items()} | {"index.js": main}
    url = deploy(wrangler, rest, "unbundled", files, no_bundle=True, find_additional_modules=True, rules=RULES)
    eventually(lambda: rest.visit(url).is_success or None)
    assert rest.visit(url).json() == EXPECTED | {"settings": None}


def test_a_bundle_keeps_its_modules_and_its_source_map(wrangler: Wrangler, rest: Rest) -> None:
    files = {
        "index.ts": BUNDLED,
        "add.wasm": ADD_WASM,
        "data.bin": bytes(3),
        "greeting.txt": "grüße",
        "settings.json": '{"deep": [1]}',
    }
    config = {"compatibility_flags": ["nodejs_compat"], "upload_source_maps": True, "vars": {"GREETING": "hello"}}
    url = deploy(wrangler, rest, "bundled", files, main="index.ts", **config)
    eventually(lambda: rest.visit(url).is_success or None)
    assert rest.visit(url).json() == {
        "sum": 42,
        "text": "grüße",
        "settings": {"deep": [1]},
        "data": 3,
        "seen": "seen",
        "greeting": "hello",
        "sha1": "zVbLCsRWkHMa/td/9mZV39+Fdto=",
    }
    assert "application/source-map" in rest.send("GET", "/workers/scripts/bundled").text
    assert rest.visit(f"{url.rstrip('/')}/fail").status_code == 500


def test_a_script_in_the_service_worker_syntax_is_deployed(wrangler: Wrangler, rest: Rest) -> None:
    files: dict[str, bytes | str] = {"index.js": SERVICE_WORKER, "add.wasm": ADD_WASM}
    url = deploy(wrangler, rest, "service-worker", files, vars={"GREETING": "hello"})
    eventually(lambda: rest.visit(url).is_success or None)
    assert rest.visit(url).json() == ["hello", 42]
    wrangler("deploy", "--var", "GREETING:hello again")
    eventually(lambda: rest.visit(url).json()[0] == "hello again" or None)
