"""What the Worker is built of: the parts in use, handlers in JavaScript and TypeScript, and packages of npm."""

from __future__ import annotations

import base64
import json
import random
import re
import shutil
from pathlib import Path

import pytest

from components.part import Part
from components.toolchain import BUNDLE_FOLDER, WORKER_FOLDER
from components.worker_code import HandlersError, WorkerCode, build_worker

ROOT = Path(__file__).resolve().parent.parent.parent
QUEUE = [Part("queue")]
D1 = [Part("d1")]

HANDLER = "export default () => null;"


def build(folder: Path, files: dict[str, str], *, nodejs: bool = False) -> WorkerCode:
    """Build a Worker with a folder of handlers."""
    for name, source in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(source)
    return build_worker(D1, QUEUE, folder, nodejs=nodejs)


def text(code: WorkerCode) -> str:
    return code.modules[0].content.decode()


PARTS: dict[str, set[str]] = {
    "d1": {"stores/d1.js", "stores/task_table.js", "sweeper.js"},
    "kv": {"stores/kv.js", "stores/kv_list.js", "stores/patient_kv.js", "sweeper.js"},
    "durable-object": {"stores/durable_object.js", "stores/sharded.js", "stores/task_table.js", "sweeper.js"},
    "queue": {"engines/queue.js", "engines/task_messages.js"},
    "workflow": {"engines/workflow.js", "engines/task_workflow.js"},
}


@pytest.mark.parametrize("engine", ["queue", "workflow"])
@pytest.mark.parametrize("store", ["d1", "kv", "durable-object"])
def test_a_worker_carries_the_parts_that_it_uses_and_no_others(store: str, engine: str) -> None:
    sources = set(build_worker([Part(store)], [Part(engine)]).sources)  # pyright: ignore[reportArgumentType] the names
    kept = {name.removeprefix("worker/") for name in sources}
    wanted = PARTS[store] | PARTS[engine]
    assert wanted <= kept
    others = {name for names in PARTS.values() for name in names} - wanted
    assert not others & kept
    assert {"index.js", "task_runner.js", "handlers/default.js", "page/main.tsx", "page/task.tsx"} <= kept
    assert "node_modules/preact/dist/preact.mjs" in sources
    assert ("migrations/0001_tasks.sql" in kept) == (store == "durable-object")


def test_former_parts_are_in_it_too() -> None:
    stores = [Part("kv"), Part("d1", (3, 1), is_former=True), Part("durable-object", is_former=True)]
    code = build_worker(stores, [Part("workflow"), Part("queue", is_former=True)])
    assert re.search(
        r"layered\(KvStore,\{.?d1.?:shardedD1\(\[3,1\]\),.durable-object.:DurableObjectStore\}\)", text(code)
    )
    assert {"worker/engines/queue.js", "worker/engines/workflow.js"} <= set(code.sources)


def test_the_same_sources_make_the_same_worker_wherever_they_are(tmp_path: Path) -> None:
    folder = tmp_path / "elsewhere" / "worker"
    shutil.copytree(WORKER_FOLDER, folder)
    copied = build_worker(D1, QUEUE, worker_folder=folder)
    assert copied == build_worker(D1, QUEUE)
    assert str(ROOT) not in text(copied)
    source_map = json.loads(copied.modules[1].content)
    assert "worker/engines/queue.js" in source_map["sources"]
    assert all(not name.startswith(("/", "..")) for name in source_map["sources"])


def test_handlers_are_named_after_their_files(tmp_path: Path) -> None:
    code = build(tmp_path, {"resize.js": HANDLER, "send-mail.ts": HANDLER, "_shared.js": HANDLER})
    assert {"handlers/resize.js", "handlers/send-mail.ts", "worker/handlers/default.js"} <= set(code.sources)
    assert "handlers/_shared.js" not in code.sources
    assert re.search(r".send-mail.:\w", text(code))
    assert code.remarks == ()


def test_a_handler_of_ones_own_takes_the_place_of_a_built_in_one(tmp_path: Path) -> None:
    code = build(tmp_path, {"default.js": "export default () => 'my own';"})
    assert "my own" in text(code)
    assert "worker/handlers/default.js" not in code.sources


def test_a_handler_in_typescript_brings_what_it_imports(tmp_path: Path) -> None:
    greet = [
        "import { loud } from './lib/loud';",
        "import text from './greeting.md.txt';",
        "export default (name: string): string => loud(text + name);",
    ]
    files = {
        "greet.ts": "\n".join(greet),
        "lib/loud.ts": "export const loud = (text: string): string => `${text}!`;",
        "greeting.md": "Good day ",
        "tsconfig.json": "{}",
        "greet.test.ts": "throw new Error('not in the Worker')",
    }
    code = build(tmp_path, files)
    assert {"handlers/greet.ts", "handlers/lib/loud.ts", "handlers/greeting.md"} <= set(code.sources)
    assert "Good day " in text(code)
    assert code.remarks == ()


def test_a_package_of_npm_is_part_of_it(tmp_path: Path) -> None:
    package = tmp_path / "node_modules" / "shout"
    package.mkdir(parents=True)
    (package / "package.json").write_text('{"name": "shout", "version": "1.0.0", "main": "main.cjs"}')
    (package / "main.cjs").write_text("module.exports = (text) => text.toUpperCase();")
    code = build(tmp_path, {"shout.js": "import shout from 'shout';\nexport default (payload) => shout(payload);"})
    assert "node_modules/shout/main.cjs" in code.sources


def test_a_package_that_is_not_installed_is_told_with_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(HandlersError) as raised:
        build(tmp_path, {"broken.js": "import _ from 'lodash/fp';\nexport default () => _;"})
    assert str(raised.value) == (
        "handlers/broken.js:1:15: expected the npm package lodash to be installed: "
        f"run npm install lodash in {tmp_path}"
    )


def test_a_file_that_is_no_handler_is_told(tmp_path: Path) -> None:
    code = build(tmp_path, {"good.js": HANDLER, "thing.py": "", "README.md": "", "package.json": "{}", ".env": ""})
    assert code.remarks == (
        f"{tmp_path}/thing.py is no handler and no handler uses it: a handler's file ends in .js, .mjs, .ts, .mts",
    )


def test_a_link_to_a_file_is_a_handler_too(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.js"
    elsewhere.write_text("export default () => 'from elsewhere';")
    folder = tmp_path / "handlers"
    folder.mkdir()
    (folder / "linked.js").symlink_to(elsewhere)
    (folder / "notes.txt").symlink_to(elsewhere)
    code = build(folder, {"types.d.mts": "export type Size = number;"})
    assert "from elsewhere" in text(code)
    assert [remark.split(" is no handler")[0] for remark in code.remarks] == [f"{folder}/notes.txt"]
    (folder / "broken.js").symlink_to(tmp_path / "nowhere.js")
    with pytest.raises(HandlersError, match=r"broken\.js"):
        build(folder, {})


@pytest.mark.parametrize(
    ("source", "is_checked"),
    [
        ("export const payload = {}; export default () => null;", True),
        ("const payload = {}; export { payload }; export default () => null;", True),
        ("export * from './_schema.js'; export default () => null;", True),
        ("module.exports = { default: () => null, payload: {} };", True),
        ("export default (payload) => payload;", False),
    ],
)
def test_a_schema_of_the_payload_brings_what_checks_it_however_it_is_exported(
    tmp_path: Path, source: str, *, is_checked: bool
) -> None:
    code = build(tmp_path, {"_schema.js": "export const payload = {};", "typed.js": source})
    assert any("@cfworker/json-schema" in name for name in code.sources) == is_checked


@pytest.mark.parametrize("name", ["Resize.js", "2x.ts", "a.b.js"])
def test_a_handler_that_cannot_be_called_is_an_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(HandlersError, match=f"expected a handler's name to be .*, got {tmp_path}/{name}: rename it"):
        build(tmp_path, {name: HANDLER})


def test_a_handler_has_one_file(tmp_path: Path) -> None:
    with pytest.raises(HandlersError, match=r"expected one file a handler, got .*/mail\.js and .*/mail\.ts"):
        build(tmp_path, {"mail.js": HANDLER, "mail.ts": HANDLER})


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("export default (", r"handlers/bad\.ts:1:17: Unexpected end of file"),
        ("import './nowhere';", r'handlers/bad\.ts:1:8: Could not resolve "\./nowhere"'),
        ("export const work = () => null;", r"handlers/bad\.ts: expected a default export, got work"),
        ("export const x: number = 1", r"handlers/bad\.ts: expected a default export, got x"),
        ("import 'node:fs'; export default 1", r"expected nodejs_compat among compatibility_flags, .* imports node:fs"),
        ("import 'fs'; export default 1", r"expected nodejs_compat among compatibility_flags, .* imports node:fs"),
    ],
)
def test_what_is_wrong_with_a_handler_is_told_with_its_place(tmp_path: Path, source: str, said: str) -> None:
    with pytest.raises(HandlersError, match=said):
        build(tmp_path, {"bad.ts": source})


def test_modules_of_node_are_left_to_the_runtime_that_has_them(tmp_path: Path) -> None:
    source = "import { Buffer } from 'buffer';\nexport default (payload) => Buffer.from(payload).toString('hex');"
    assert 'from"node:buffer"' in text(build(tmp_path, {"hex.js": source}, nodejs=True))


def test_a_folder_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HandlersError, match=f"handlers: expected a folder, found none at {tmp_path}/nowhere"):
        build_worker(D1, QUEUE, tmp_path / "nowhere")


@pytest.mark.parametrize("name", ["0002_other.sql", "tasks.sql", "0003-more.sql"])
def test_a_migration_without_a_number_of_its_own_is_an_error(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "worker"
    shutil.copytree(WORKER_FOLDER, folder)
    (folder / "migrations" / name).touch()
    with pytest.raises(HandlersError, match=f"begin with a number of its own and _, .*got .*{name}"):
        build_worker([Part("durable-object")], QUEUE, worker_folder=folder)


def test_a_worker_that_no_plan_takes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(HandlersError, match=r"KiB compressed: expected at most 10 MiB"):
        build(tmp_path, {"large.js": large(12)})


def test_a_worker_that_the_free_plan_does_not_take_is_told(tmp_path: Path) -> None:
    (remark,) = build(tmp_path, {"large.js": large(4)}).remarks
    assert remark.endswith("more than the 3 MiB of the Free plan")


def large(mebibytes: int) -> str:
    """A handler that hardly gets smaller when it is compressed."""
    noise = random.Random(1).randbytes(mebibytes * 1024 * 1024)  # noqa: S311 no secret
    return f"export default () => '{base64.b64encode(noise).decode()}';"


def test_what_builds_the_worker_is_of_one_version_here_and_where_the_component_is_installed() -> None:
    wanted = json.loads((BUNDLE_FOLDER / "package.json").read_text())["dependencies"]
    project = json.loads((ROOT / "package.json").read_text())
    assert wanted.items() <= {**project["dependencies"], **project["devDependencies"]}.items()
