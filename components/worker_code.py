"""The Worker's code: the ES modules of ``worker/`` as they lie there, and an entry point that joins those in use."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath

import pulumi_cloudflare as cloudflare

from components.task_runner_args import Engine, StateStore

WORKER_FOLDER = Path(__file__).resolve().parent.parent / "worker"
MIGRATIONS_FOLDER = WORKER_FOLDER / "migrations"

MAIN_MODULE = "index.js"

COMPATIBILITY_DATE = "2026-10-01"
"""The version of the Workers runtime's behaviour that the code was tested with
(https://developers.cloudflare.com/workers/configuration/compatibility-dates/)."""

JAVASCRIPT_MODULE = "application/javascript+module"

_STORE_CLASSES: dict[StateStore, str] = {"d1": "D1Store", "kv": "KvStore", "durable-object": "DurableObjectStore"}
_ENGINE_CLASSES: dict[Engine, str] = {"queue": "QueueEngine", "workflow": "WorkflowEngine"}

SWEPT_STORES: frozenset[StateStore] = frozenset({"d1", "kv"})
"""Stores that need the sweeper; a Durable Object sees to itself."""

_STATIC_IMPORT = re.compile(r"""^(?:import|export)\b[^'"]*?(?:\bfrom\s*)?['"](\.{1,2}/[^'"]+)['"]""", re.MULTILINE)


def read_modules(stores: Sequence[StateStore], engines: Sequence[Engine]) -> list[cloudflare.WorkerVersionModuleArgs]:
    """Read the modules that a Worker with these parts needs, each named by its path below ``worker/``, sorted by name.

    Args:
        stores: the store of new tasks, then former ones.
        engines: the engine of new tasks, then former ones.
    """
    entry = entry_point(stores, engines)
    sources = {MAIN_MODULE: entry, **_reachable(MAIN_MODULE, entry)}
    return [
        cloudflare.WorkerVersionModuleArgs(
            name=name,
            content_type=JAVASCRIPT_MODULE,
            content_base64=base64.b64encode(sources[name].encode()).decode(),
        )
        for name in sorted(sources)
    ]


def entry_point(stores: Sequence[StateStore], engines: Sequence[Engine]) -> str:
    """Write the Worker's main module; ``worker/index.js`` is the one of d1 and queue."""
    engine = _ENGINE_CLASSES[engines[0]]
    parts = ["Store", f"Engine: {engine}", "handler"]
    if "queue" in engines:
        parts.append("Consumer: QueueEngine")
    if SWEPT_STORES.intersection(stores):
        parts.append("sweep")
    exports = [f"export default taskRunner({{ {', '.join(parts)} }});"]
    if "durable-object" in stores:
        exports.append(f"export const TaskObject = taskObject((env) => new {engine}(env, new Store(env), handler));")
    if "workflow" in engines:
        exports.append("export const TaskWorkflow = taskWorkflow(Store, handler);")
    named = f"{stores[0]} and {engines[0]}" + "".join(f", formerly {each}" for each in [*stores[1:], *engines[1:]])
    head = f"/** The Worker's entry point: the parts that a deployment is made of; these are {named}. */"
    imports = "\n".join(sorted(_imports(stores, engines), key=lambda line: line.rsplit("'", 2)[1]))
    return "\n\n".join([head, imports, _store(stores) + "\n" + "\n".join(exports)]) + "\n"


def _imports(stores: Sequence[StateStore], engines: Sequence[Engine]) -> Iterator[str]:
    yield "import handler from './handlers/default.js';"
    yield "import { taskRunner } from './task_runner.js';"
    for engine in engines:
        yield f"import {{ {_ENGINE_CLASSES[engine]} }} from './engines/{engine}.js';"
    if "workflow" in engines:
        yield "import { taskWorkflow } from './engines/task_workflow.js';"
    for store in stores:
        names = _STORE_CLASSES[store] + (", taskObject" if store == "durable-object" else "")
        yield f"import {{ {names} }} from './stores/{store.replace('-', '_')}.js';"
    if len(stores) > 1:
        yield "import { layered } from './stores/layered.js';"
    if SWEPT_STORES.intersection(stores):
        yield "import { sweep } from './sweeper.js';"


def _store(stores: Sequence[StateStore]) -> str:
    present, *formers = stores
    if not formers:
        return f"const Store = {_STORE_CLASSES[present]};"
    by_name = ", ".join(f"'{name}': {_STORE_CLASSES[name]}" for name in formers)
    return f"const Store = layered({_STORE_CLASSES[present]}, {{ {by_name} }});"


def _reachable(importer: str, source: str) -> dict[str, str]:
    """Read the modules that one imports, and those that they import, by name."""
    found: dict[str, str] = {}
    left = [_resolve(importer, path) for path in _STATIC_IMPORT.findall(source)]
    while left:
        name = left.pop()
        if name not in found:
            found[name] = (WORKER_FOLDER / name).read_text(encoding="utf-8")
            left += [_resolve(name, path) for path in _STATIC_IMPORT.findall(found[name])]
    return found


def _resolve(importer: str, path: str) -> str:
    return (WORKER_FOLDER / PurePosixPath(importer).parent / path).resolve().relative_to(WORKER_FOLDER).as_posix()
