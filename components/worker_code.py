"""The Worker's code: the ES modules of ``worker/`` as they lie there, and an entry point that joins those in use."""

from __future__ import annotations

import base64
import posixpath
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pulumi
import pulumi_cloudflare as cloudflare

from components.part import Part

WORKER_FOLDER = Path(__file__).resolve().parent.parent / "worker"
MIGRATIONS_FOLDER = WORKER_FOLDER / "migrations"

MAIN_MODULE = "index.js"

COMPATIBILITY_DATE = "2026-10-01"
"""The version of the Workers runtime's behaviour that the code was tested with
(https://developers.cloudflare.com/workers/configuration/compatibility-dates/)."""

JAVASCRIPT_MODULE = "application/javascript+module"
TEXT_MODULE = "text/plain"

TEXT_ENDING = ".txt"
"""A module of this ending is the text of the file without it: `page.js.txt` that of `page.js`."""

HANDLERS_FOLDER = "handlers"

HANDLER_NAME = re.compile(r"[a-z][a-z0-9_-]{0,63}")
MIGRATION_NAME = re.compile(r"[0-9]+_.+\.sql")

_STORE_CLASSES: dict[str, str] = {"d1": "D1Store", "kv": "KvStore", "durable-object": "DurableObjectStore"}
_ENGINE_CLASSES: dict[str, str] = {"queue": "QueueEngine", "workflow": "WorkflowEngine"}

SWEPT_STORES: frozenset[str] = frozenset({"d1", "kv"})
"""Stores that need the sweeper; a Durable Object sees to itself."""

_STATIC_IMPORT = re.compile(
    r"""(?:^|;)[ \t]*(?:import\b[^'"]*?|export\b[^'"]*?\bfrom\s*)['"](\.{1,2}/[^'"]+)['"]""", re.MULTILINE
)


def read_modules(
    parts: Sequence[Part], worker_folder: Path = WORKER_FOLDER
) -> list[cloudflare.WorkerVersionModuleArgs]:
    """Read the modules that a Worker with these parts needs, each named by its path below ``worker/``, sorted by name.

    Args:
        parts: the store of new tasks, then former ones; the engine of new tasks, then former ones.
        worker_folder: where the modules are.

    Raises:
        HandlerNameError, MigrationNameError: as ``entry_point`` does.
        MissingModuleError: one imports a file that is not there.
    """
    entry = entry_point(parts, worker_folder)
    sources = {MAIN_MODULE: entry, **_reachable(entry, worker_folder)}
    return [
        cloudflare.WorkerVersionModuleArgs(
            name=name,
            content_type=TEXT_MODULE if name.endswith(TEXT_ENDING) else JAVASCRIPT_MODULE,
            content_base64=base64.b64encode(sources[name].encode()).decode(),
        )
        for name in sorted(sources)
    ]


def entry_point(parts: Sequence[Part], worker_folder: Path = WORKER_FOLDER) -> str:
    """Write the Worker's main module; ``worker/index.js`` is the one of d1 and queue.

    Args:
        parts: as those of ``read_modules``.
        worker_folder: where the modules are.

    Raises:
        HandlerNameError: a module of ``handlers/`` has a name that no task can ask for.
        MigrationNameError: a migration has no number of its own.
    """
    handlers = read_handlers(worker_folder)
    stores = [part for part in parts if part.is_store]
    engines = list(dict.fromkeys(part.name for part in parts if not part.is_store))
    engine = _ENGINE_CLASSES[engines[0]]
    pieces = ["Store", f"Engine: {engine}", "handlers"]
    if "queue" in engines:
        pieces.append("Consumer: QueueEngine")
    if _are_swept(stores):
        pieces.append("sweep")
    lines = [_store(stores), _handlers(handlers), f"export default taskRunner({{ {', '.join(pieces)} }});"]
    if _has_objects(stores):
        migrations = ", ".join(_migrations(worker_folder))
        make_engine = f"(env, store) => new {engine}(env, store, handlers)"
        lines.append(f"export const TaskObject = taskObject([{migrations}], {make_engine});")
    if "workflow" in engines:
        lines.append("export const TaskWorkflow = taskWorkflow(Store, handlers);")
    named = f"{stores[0]} and {engines[0]}" + "".join(f", formerly {each}" for each in [*stores[1:], *engines[1:]])
    head = f"/** The Worker's entry point: the parts that a deployment is made of; these are {named}. */"
    imports = [*_part_imports(stores, engines), *_file_imports(stores, handlers, worker_folder)]
    ordered = "\n".join(sorted(imports, key=lambda line: line.rsplit("'", 2)[1]))
    return "\n\n".join([head, ordered, "\n".join(lines)]) + "\n"


class HandlerNameError(pulumi.RunError):
    """A handler cannot be called by its name."""


class MigrationNameError(pulumi.RunError):
    """A migration's place in the order cannot be told from its name."""


class MissingModuleError(pulumi.RunError):
    """A module imports a file that is not there."""


def read_handlers(worker_folder: Path) -> list[str]:
    """Return the names of the handlers: the modules of ``handlers/`` but for those that begin with ``_``, in order.

    Raises:
        HandlerNameError: one has a name that no task can ask for, or that is too much like another's.
    """
    names = sorted(file.stem for file in (worker_folder / HANDLERS_FOLDER).glob("*.js") if file.name[0] != "_")
    bad = [f"worker/{HANDLERS_FOLDER}/{name}.js" for name in names if not HANDLER_NAME.fullmatch(name)]
    if bad:
        raise HandlerNameError(
            "expected a handler's name to be at most 64 lower-case letters, digits, _ or -, with a letter first, "
            f"got {', '.join(bad)}: rename it, or begin its name with _ if it is no handler"
        )
    alike = _not_unique(names, _handler_variable)
    if alike:
        raise HandlerNameError(f"expected handlers whose names differ in more than - and _, got {', '.join(alike)}")
    return names


def _part_imports(stores: Sequence[Part], engines: Sequence[str]) -> Iterator[str]:
    yield "import { taskRunner } from './task_runner.js';"
    for engine in engines:
        yield f"import {{ {_ENGINE_CLASSES[engine]} }} from './engines/{engine}.js';"
    if "workflow" in engines:
        yield "import { taskWorkflow } from './engines/task_workflow.js';"
    kinds = _kinds(stores)
    for kind in kinds.values():
        yield _store_import(kind)
    if len(kinds) > 1:
        yield "import { layered } from './stores/layered.js';"
    if _are_swept(stores):
        yield "import { sweep } from './sweeper.js';"


def _kinds(stores: Sequence[Part]) -> dict[str, list[Part]]:
    """Group stores that differ in their shards alone, which share databases, by the name of the first."""
    by_name = {each.name: [other for other in stores if other.name == each.name] for each in stores}
    return {str(kind[0]): kind for kind in by_name.values()}


def _store_import(kind: Sequence[Part]) -> str:
    if _is_sharded(kind):
        return "import { shardedD1 } from './stores/sharded_d1.js';"
    name = kind[0].name
    names = _STORE_CLASSES[name] + (", taskObject" if name == "durable-object" else "")
    return f"import {{ {names} }} from './stores/{name.replace('-', '_')}.js';"


def _store_class(kind: Sequence[Part]) -> str:
    if _is_sharded(kind):
        return f"shardedD1([{', '.join(str(each.shards) for each in kind)}])"
    return _STORE_CLASSES[kind[0].name]


def _is_sharded(kind: Sequence[Part]) -> bool:
    return any(each.shards > 1 for each in kind)


def _are_swept(stores: Sequence[Part]) -> bool:
    return any(store.name in SWEPT_STORES for store in stores)


def _has_objects(stores: Sequence[Part]) -> bool:
    return any(store.name == "durable-object" for store in stores)


def _file_imports(stores: Sequence[Part], handlers: Sequence[str], worker_folder: Path) -> Iterator[str]:
    for name in handlers:
        yield f"import * as {_handler_variable(name)} from './{HANDLERS_FOLDER}/{name}.js';"
    if _has_objects(stores):
        for variable, file_name in _migrations(worker_folder).items():
            yield f"import {variable} from './{MIGRATIONS_FOLDER.name}/{file_name}{TEXT_ENDING}';"


def _handlers(names: Sequence[str]) -> str:
    by_name = ", ".join(f"'{name}': {_handler_variable(name)}" for name in names)
    return f"const handlers = {{ {by_name} }};"


def _handler_variable(name: str) -> str:
    first, *others = re.split(r"[_-]+", name)
    return first + "".join(word.capitalize() for word in others) + "Handler"


def _migrations(worker_folder: Path) -> dict[str, str]:
    """Return the migrations' file names by the variables that hold their text, in order."""
    names = sorted(file.name for file in (worker_folder / MIGRATIONS_FOLDER.name).glob("*.sql"))
    bad = [name for name in names if not MIGRATION_NAME.fullmatch(name)] or _not_unique(names, _migration_variable)
    if bad:
        raise MigrationNameError(
            f"expected each of worker/{MIGRATIONS_FOLDER.name} to begin with a number of its own and _, "
            f"as 0001_tasks.sql does, got {', '.join(bad)}"
        )
    return {_migration_variable(name): name for name in names}


def _migration_variable(name: str) -> str:
    return f"migration{name.split('_')[0]}"


def _not_unique(names: Sequence[str], variable: Callable[[str], str]) -> list[str]:
    """Return the names whose variable is another's as well."""
    variables = [variable(name) for name in names]
    return [name for name in names if variables.count(variable(name)) > 1]


def _store(stores: Sequence[Part]) -> str:
    present, *formers = _kinds(stores).items()
    if not formers:
        return f"const Store = {_store_class(present[1])};"
    by_name = ", ".join(f"'{name}': {_store_class(kind)}" for name, kind in formers)
    return f"const Store = layered({_store_class(present[1])}, {{ {by_name} }});"


def _reachable(entry: str, worker_folder: Path) -> dict[str, str]:
    """Read the modules that the main module imports, and those that they import, by name."""
    found: dict[str, str] = {}
    left = [(MAIN_MODULE, path) for path in _STATIC_IMPORT.findall(entry)]
    while left:
        importer, path = left.pop()
        name = posixpath.normpath(posixpath.join(posixpath.dirname(importer), path))
        if name in found:
            continue
        file = worker_folder / name.removesuffix(TEXT_ENDING)
        if name.startswith("../") or not file.is_file():
            raise MissingModuleError(f"worker/{importer} imports {path}: expected a file of worker/, found none there")
        found[name] = file.read_text(encoding="utf-8")
        if not name.endswith(TEXT_ENDING):
            left += [(name, imported) for imported in _STATIC_IMPORT.findall(found[name])]
    return found
