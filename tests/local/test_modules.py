"""The kinds of modules that an upload may hold, each imported and used by a Worker that runs."""

import json
from typing import Any

import pytest

from tests.local.rest import Rest, eventually, unique

# (module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))
ADD_WASM = bytes.fromhex(
    "0061736d01000000 0107016002 7f7f017f 03020100 0707010361646400 00 0a09010700 20002001 6a0b".replace(" ", "")
)
MODULE, SCRIPT = "application/javascript+module", "application/javascript"

MAIN = """
import { double } from "./lib/math/double.js"
import add from "./add.wasm"
import text from "./texts/greeting.txt"
import data from "./data.bin"
import settings from "./settings.json"
import legacy from "./legacy.cjs"

const { exports } = new WebAssembly.Instance(add)
export default {
  async fetch() {
    const later = await import("./lib/later.js")
    return Response.json({
      double: double(21),
      add: [add instanceof WebAssembly.Module, exports.add(40, 2)],
      text,
      data: [data instanceof ArrayBuffer, ...new Uint8Array(data)],
      settings,
      legacy: legacy.answer,
      later: later.default,
    })
  },
}
"""
MODULES: dict[str, tuple[bytes | str, str]] = {
    "index.js": (MAIN, MODULE),
    "lib/math/double.js": ('import { two } from "../two.mjs"\nexport const double = (n) => n * two', MODULE),
    "lib/two.mjs": ("export const two = 2", "text/javascript+module"),
    "lib/later.js": ('export { default } from "../texts/greeting.txt"', MODULE),
    "add.wasm": (ADD_WASM, "application/wasm"),
    "texts/greeting.txt": ("grüße", "text/plain"),
    "data.bin": (bytes([0, 255, 13, 10]), "application/octet-stream"),
    "settings.json": ('{"deep": [1, {"a": null}]}', "application/json"),
    "legacy.cjs": ('exports.answer = require("./other.cjs")', SCRIPT),
    "other.cjs": ("module.exports = 42", "text/javascript"),
    "index.js.map": ('{"version": 3, "sources": ["index.ts"], "mappings": ""}', "application/source-map"),
}
EXPECTED = {
    "double": 42,
    "add": [True, 42],
    "text": "grüße",
    "data": [True, 0, 255, 13, 10],
    "settings": {"deep": [1, {"a": None}]},
    "legacy": 42,
    "later": "grüße",
}

NODE = """
import assert from "node:assert"
import { AsyncLocalStorage } from "node:async_hooks"
import { Buffer } from "node:buffer"
import { createHash, randomUUID } from "node:crypto"
import { EventEmitter, once } from "node:events"
import { join } from "node:path"
import { promisify } from "node:util"

const requests = new AsyncLocalStorage()
const wait = promisify((ms, done) => setTimeout(() => done(null, requests.getStore()), ms))
export default {
  async fetch(request) {
    const id = new URL(request.url).pathname.slice(1)
    const [, emitted] = await requests.run(id, async () => {
      const emitter = new EventEmitter()
      queueMicrotask(() => emitter.emit("done", requests.getStore()))
      return ["", ...await once(emitter, "done")]
    })
    return Response.json({
      buffer: Buffer.from("grüße").toString("base64"),
      sha256: createHash("sha256").update("abc").digest("hex"),
      uuid: randomUUID().length,
      local: [await requests.run(id, () => wait(5)), emitted, requests.getStore() ?? null],
      env: [process.env.GREETING, globalThis.Buffer === Buffer],
      path: join("a", "..", "b"),
      assertion: assert.throws(() => assert.equal(1, 2), assert.AssertionError) ?? "thrown",
    })
  },
}
"""


def upload(rest: Rest, modules: dict[str, tuple[bytes | str, str]], **metadata: Any) -> str:
    """Upload modules by their names, and give the Worker's address."""
    name = unique("modules")
    rest.result("PUT", f"/workers/scripts/{name}", files=parts(modules, **metadata))
    return rest.result("GET", f"/workers/workers/{name}")["subdomain"]["url"]


def parts(modules: dict[str, tuple[bytes | str, str]], **metadata: Any) -> list[tuple[str, Any]]:
    known = {"main_module": "index.js", "compatibility_date": "2026-03-01"}
    form: list[tuple[str, Any]] = [("metadata", (None, json.dumps(known | metadata), "application/json"))]
    return form + [(name, (name, content, kind)) for name, (content, kind) in modules.items()]


def test_each_kind_of_module_can_be_imported(rest: Rest) -> None:
    url = upload(rest, MODULES)
    eventually(lambda: rest.visit(url).is_success or None)
    assert rest.visit(url).json() == EXPECTED


def test_node_compat_brings_nodes_modules(rest: Rest) -> None:
    greeting = {"name": "GREETING", "type": "plain_text", "text": "hello"}
    modules: dict[str, tuple[bytes | str, str]] = {"index.js": (NODE, MODULE)}
    url = upload(rest, modules, compatibility_flags=["nodejs_compat"], bindings=[greeting])
    eventually(lambda: rest.visit(url).is_success or None)
    assert rest.visit(f"{url.rstrip('/')}/r1").json() == {
        "buffer": "Z3LDvMOfZQ==",
        "sha256": "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "uuid": 36,
        "local": ["r1", "r1", None],
        "env": ["hello", True],
        "path": "b",
        "assertion": "thrown",
    }


def test_without_the_flag_there_is_no_node(rest: Rest) -> None:
    """workerd names the flag; Cloudflare's API passes its words on."""
    refusal = rest.refusal(
        "PUT",
        f"/workers/scripts/{unique('modules')}",
        files=parts({"index.js": (NODE, MODULE)}, compatibility_date="2024-01-01"),
    )
    assert refusal[:2] == (400, 10021)
    assert "node:" in refusal[2]


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ({"index.js": ('import "./missing.js"', MODULE)}, 'No such module "missing.js".'),
        ({"index.js": ('import "./a.wasm"', MODULE), "a.wasm": (b"no wasm", "application/wasm")}, "WasmModuleObject"),
        ({"index.js": ('import "./a.json"', MODULE), "a.json": ("{", "application/json")}, "JSON"),
    ],
)
def test_a_broken_module_is_named(rest: Rest, modules: dict[str, tuple[bytes | str, str]], message: str) -> None:
    refusal = rest.refusal("PUT", f"/workers/scripts/{unique('modules')}", files=parts(modules))
    assert refusal[:2] == (400, 10021)
    assert message in refusal[2]
