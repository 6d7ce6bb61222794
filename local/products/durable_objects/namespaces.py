"""Durable Object namespaces: which classes of a Worker have one, and how a version's upload changes them.

A version declares its classes by `exports`, which are reconciled with the provisioned classes, or by `migrations`,
which are steps with tags. Scenarios, codes and rules are documented (API reference, "exports_reconciliation"; "Durable
Object class exports"); texts marked (quoted) are texts of the real API, quoted in public code and issues.
"""

import json
import sqlite3
import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from local.api.envelope import ApiError, Json, Reply
from local.api.fields import Fields
from local.api.routing import Call, Route, whole_number
from local.products.workers import workers

_PAGE_SIZE = 20
_LARGEST_PAGE = 1000
_OBJECTS = 1000  # the page size of a list of objects
_LARGEST_OBJECTS = 10_000
_STORAGES = ("sqlite", "legacy-kv")
_STATES = ("created", "deleted", "renamed", "transferred", "expecting-transfer")
_ELSEWHERE = ("transferred", "expecting-transfer")

Binding = dict[str, Any]


@dataclass
class Lifecycle:
    """An upload's declaration of its classes: the entries of `exports`, or one migration, or nothing."""

    exports: dict[str, dict[str, Json]] | None = None
    migrations: dict[str, Json] | None = None


@dataclass
class _Plan:
    """The new state of a Worker's namespaces, {class name: row}, and the changes to report."""

    provisioned: dict[str, sqlite3.Row]
    created: dict[str, bool] = field(default_factory=dict[str, bool])  # class name -> whether it uses SQLite
    deleted: list[str] = field(default_factory=list[str])
    renamed: dict[str, str] = field(default_factory=dict[str, str])
    info: list[dict[str, Json]] = field(default_factory=list[dict[str, Json]])
    removable: list[str] = field(default_factory=list[str])

    @property
    def changes(self) -> bool:
        return bool(self.created or self.deleted or self.renamed)

    def names(self) -> set[str]:
        """Return the classes that have a namespace afterwards."""
        return {self.renamed.get(name, name) for name in self._kept} | set(self.created)

    def origin(self, name: str) -> str | None:
        """Return the provisioned class whose namespace a class has afterwards."""
        return next((old for old in self._kept if self.renamed.get(old, old) == name), None)

    @property
    def _kept(self) -> list[str]:
        return [name for name in self.provisioned if name not in self.deleted]


async def list_namespaces(call: Call) -> Reply:
    """GET /workers/durable_objects/namespaces."""
    rows = call.cloud.db.execute(
        "SELECT n.*, w.name AS script FROM durable_object_namespaces n JOIN workers w ON w.id = n.worker_id"
        " ORDER BY w.name, n.class_name"
    ).fetchall()
    page = call.page(len(rows), _invalid_page, size=_PAGE_SIZE, largest=_LARGEST_PAGE)
    shown = [_describe(row) for row in page.cut(rows)]
    return Reply(shown, page.info(len(shown)))


async def list_objects(call: Call) -> Reply:
    """GET /workers/durable_objects/namespaces/{namespace_id}/objects: objects that have data, by id."""
    namespace_id = call.path["namespace_id"]
    if not _exists(call.cloud.db, namespace_id):
        raise ApiError(404, 10066, "The requested Durable Object namespace could not be found.")  # both are ours
    text = call.argument("limit") or str(_OBJECTS)
    limit = whole_number(text) or 0
    if not 1 <= limit <= _LARGEST_OBJECTS:
        raise ApiError(400, 10021, f"Invalid limit: expected a number from 1 to {_LARGEST_OBJECTS}, received {text}")
    ids: list[str] = (await call.cloud.data_plane.call("durable_objects", namespace_id, "list"))["ids"]
    left = [object_id for object_id in ids if object_id > (call.argument("cursor") or "")]
    shown = left[:limit]
    cursor = shown[-1] if len(left) > len(shown) else ""
    return Reply([{"id": object_id, "hasStoredData": True} for object_id in shown], _cursor(len(shown), cursor))


def read_lifecycle(body: Fields) -> Lifecycle:
    """Read `exports` and `migrations` of an upload. Raises ApiError."""
    exports, migrations = body.fields("exports"), body.fields("migrations")
    if exports is not None and migrations is not None:
        raise ApiError(400, 10021, "`exports` and `migrations` are mutually exclusive.")
    if migrations is not None:
        _check_migrations(migrations)
    return Lifecycle(
        None if exports is None else {name: _export(exports, name) for name in exports.values},
        None if migrations is None else dict(migrations.values),
    )


def apply_lifecycle(db: sqlite3.Connection, worker: sqlite3.Row, upload: dict[str, Any], *, deploys: bool) -> list[str]:
    """Reconcile a Worker's namespaces with an upload, and record the result in the upload.

    Returns the ids of the namespaces whose data is to be deleted. Raises ApiError: 10211 if a version that is not
    deployed at once changes classes.
    """
    lifecycle = Lifecycle(upload["exports"], upload["migrations"])
    classes: list[str] = upload["classes"]
    plan = _Plan(_provisioned(db, worker["id"]))
    if lifecycle.exports is not None or (worker["class_lifecycle"] == "exports" and lifecycle.migrations is None):
        _reconcile(db, worker, plan, lifecycle.exports or {}, classes)
    elif lifecycle.migrations is not None:
        _migrate(worker, plan, lifecycle.migrations, classes, upload["bindings"])
    _check_exported(plan.names(), classes)
    if (plan.changes or lifecycle.migrations is not None) and not deploys:  # quoted
        message = (
            "Version upload failed. You attempted to upload a version of a Worker that includes a Durable Object"
            " migration, but migrations must be fully applied via a non-versioned deployment."
            " Refer to the documentation for more information."
        )
        raise ApiError(400, 10211, message)
    upload["exports_reconciliation"] = None if lifecycle.exports is None else _summary(plan)
    upload["migration_tag"] = _remember(db, worker, lifecycle)
    return _execute(db, worker["id"], plan)


def bind(db: sqlite3.Connection, worker_id: str, bindings: list[Binding], classes: Collection[str]) -> None:
    """Find the namespaces of an upload's bindings. Raises ApiError 10061 for a class without one."""
    for binding in bindings:
        if binding["type"] != "durable_object_namespace":
            continue
        class_name, script = binding["class_name"], binding.get("script_name")
        row = db.execute(
            "SELECT n.id, w.id AS owner FROM durable_object_namespaces n JOIN workers w ON w.id = n.worker_id"
            " WHERE n.class_name = ? AND (w.name = ? OR (? IS NULL AND w.id = ?))",
            (class_name, script, script, worker_id),
        ).fetchone()
        if row is None and script is None and class_name not in classes:  # quoted
            raise ApiError(
                400, 10061, f"Cannot create binding for class '{class_name}' that is not exported by the script"
            )
        if row is None:  # quoted
            message = (
                f"Cannot create binding for class '{class_name}' because it is not currently configured to implement"
                " Durable Objects. Configure a migration in your configuration to add this class."
            )
            raise ApiError(400, 10061, message)
        binding["namespace_id"] = row["id"]


def check_deployable(db: sqlite3.Connection, worker_id: str, upload: dict[str, Any]) -> None:
    """Refuse to deploy a version that lacks a provisioned class. Raises ApiError 100402 and 10064."""
    worker = workers.find(db, worker_id)
    plan = _Plan(_provisioned(db, worker_id))
    if worker["class_lifecycle"] == "exports":
        declared: dict[str, Json] = upload.get("exports") or {}
        _fail([_missing(plan, name) for name in plan.provisioned if name not in declared])
    _check_exported(plan.names(), upload.get("classes") or [])


def describe(upload: Mapping[str, Any]) -> dict[str, Json]:
    """Return a version's declaration of its classes; tombstones are left out, as documented."""
    shown: dict[str, Json] = {}
    exports: dict[str, dict[str, Json]] | None = upload.get("exports")
    if exports is not None:
        live = {name: entry for name, entry in exports.items() if _state(entry) == "created"}
        shown |= {"exports": live, "exports_reconciliation": upload["exports_reconciliation"]}
    if upload.get("migrations") is not None:
        shown["migrations"] = upload["migrations"]
    if upload.get("migration_tag") is not None:
        shown["migration_tag"] = upload["migration_tag"]
    return shown


def _export(exports: Fields, name: str) -> dict[str, Json]:
    entry = exports.fields(name)
    if entry is None:
        raise exports.wrong(name, "Expected object, received null")
    kind = entry.required_text("type")
    if kind == "workflow":
        raise ApiError(501, 10021, f"The local Cloudflare does not have workflows in exports ({name})")
    entry.choice("type", ("durable-object", "worker"))
    state = entry.choice("state", _STATES) or "created"
    if kind == "worker":
        return dict(entry.values)
    if state in _ELSEWHERE:
        message = f"The local Cloudflare does not have transfers of Durable Object classes ({name}: {state})"
        raise ApiError(501, 10021, message)
    entry.choice("storage", _STORAGES)
    needed = {"created": {"storage"}, "deleted": set[str](), "renamed": {"renamed_to"}}[state]
    wrong = needed ^ {key for key in ("storage", "renamed_to", "transferred_to", "transfer_from") if entry.has(key)}
    if wrong:
        key = min(wrong)
        problem = "needs" if key in needed else "cannot have"
        _fail([_detail("invalid_export", name, f"a `{state}` entry {problem} `{key}`")])
    return dict(entry.values)


def _state(entry: Mapping[str, Json]) -> str:
    return entry.get("state") or "created"


def _check_migrations(part: Fields) -> None:
    part.text("old_tag")
    part.text("new_tag")
    for step in part.objects("steps") or [part]:
        for name in ("new_classes", "new_sqlite_classes", "deleted_classes"):
            step.texts(name)
        for rename in step.objects("renamed_classes") or []:
            rename.required_text("from")
            rename.required_text("to")
        if step.items("transferred_classes"):
            raise ApiError(501, 10021, "The local Cloudflare does not have transfers of Durable Object classes")


def _reconcile(
    db: sqlite3.Connection,
    worker: sqlite3.Row,
    plan: _Plan,
    exports: Mapping[str, dict[str, Json]],
    classes: Collection[str],
) -> None:
    """Compare `exports` with the provisioned classes and with the code, and report all problems at once."""
    declared = {name: entry for name, entry in exports.items() if entry["type"] == "durable-object"}
    problems = [_missing(plan, name) for name in plan.provisioned if name not in declared]
    renames = {name: str(entry["renamed_to"]) for name, entry in declared.items() if _state(entry) == "renamed"}
    for name, target in renames.items():
        problems += _rename(plan, name, target, declared, classes)
    for name, entry in declared.items():
        if _state(entry) == "created":
            problems += _keep(plan, name, entry["storage"], classes)
        elif _state(entry) == "deleted":
            problems += _delete(db, worker, plan, name, classes)
    _fail(problems)


def _rename(
    plan: _Plan, name: str, target: str, declared: Mapping[str, dict[str, Json]], classes: Collection[str]
) -> Iterable[dict[str, Json]]:
    if _state(declared.get(target, {"state": "none"})) != "created":
        yield _detail("invalid_export", name, f"`renamed_to` names '{target}', which is no live entry of `exports`")
    elif name not in plan.provisioned:
        _note_stale(plan, name)
    elif target in plan.provisioned:
        yield _detail("tombstone_renamed_to_occupied", name, f"class '{target}' has a namespace of its own already")
    else:
        plan.renamed[name] = target
        if name in classes:
            message = "the class is still in the code; it can be removed once the rename is deployed"
            plan.info.append(_detail("tombstone_class_still_in_code", name, message))


def _keep(plan: _Plan, name: str, storage: str, classes: Collection[str]) -> Iterable[dict[str, Json]]:
    source = next((old for old, new in plan.renamed.items() if new == name), name)
    row = plan.provisioned.get(source)
    if name not in classes:
        message = f"class '{name}' is declared in `exports` but the uploaded code does not export it"
        yield _detail("config_export_not_in_code", name, message)
    elif row is not None and bool(row["use_sqlite"]) != (storage == "sqlite"):
        yield _detail("storage_type_mismatch", name, f"the namespace was not provisioned with storage '{storage}'")
    elif row is None and storage != "sqlite":
        yield _detail("storage_type_mismatch", name, "a new namespace needs storage 'sqlite'")
    elif row is None:
        plan.created[name] = True


def _delete(
    db: sqlite3.Connection, worker: sqlite3.Row, plan: _Plan, name: str, classes: Collection[str]
) -> Iterable[dict[str, Json]]:
    row = plan.provisioned.get(name)
    others = [] if row is None else _binders(db, row["id"], worker["id"])
    if row is None:
        _note_stale(plan, name)
    elif name in classes:
        yield _detail("tombstone_delete_class_still_in_code", name, "the class is still exported by the uploaded code")
    elif others:
        message = "other Workers bind the namespace"
        yield _detail("tombstone_delete_blocked_by_external_bindings", name, message) | {"referencing_scripts": others}
    else:
        plan.deleted.append(name)


def _note_stale(plan: _Plan, name: str) -> None:
    plan.info.append(_detail("stale_tombstone", name, "the class has no namespace: the entry can be removed"))
    plan.removable.append(name)


def _binders(db: sqlite3.Connection, namespace_id: str, owner: str) -> list[str]:
    """Return the other Workers whose deployed versions bind a namespace."""
    rows = db.execute(
        "SELECT w.name, v.upload FROM workers w JOIN worker_deployments d ON d.worker_id = w.id"
        " JOIN json_each(d.versions) part JOIN worker_versions v ON v.id = part.value ->> 'version_id'"
        " WHERE w.id <> ? AND d.sequence = (SELECT max(sequence) FROM worker_deployments WHERE worker_id = w.id)",
        (owner,),
    ).fetchall()
    bound = [row["name"] for row in rows if _binds(json.loads(row["upload"])["bindings"], namespace_id)]
    return sorted(set(bound))


def _binds(bindings: list[Binding], namespace_id: str) -> bool:
    return any(
        binding["type"] == "durable_object_namespace" and binding["namespace_id"] == namespace_id
        for binding in bindings
    )


def _migrate(
    worker: sqlite3.Row,
    plan: _Plan,
    migrations: Mapping[str, Json],
    classes: Collection[str],
    bindings: list[Binding],
) -> None:
    if worker["class_lifecycle"] == "exports":
        # The code is quoted (workers-sdk #14614), the text is not known.
        raise ApiError(400, 100403, "This Worker uses `exports`; it cannot go back to `migrations`.")
    current = worker["migration_tag"]
    if (migrations.get("old_tag") or None) != current:  # quoted
        raise ApiError(400, 10079, f"Migration tag precondition failed; current tag is '{current or ''}'")
    bound = {b["class_name"] for b in bindings if b["type"] == "durable_object_namespace" and not b.get("script_name")}
    steps = cast("list[dict[str, list[Any]]]", migrations.get("steps") or [migrations])
    for step in steps:
        for use_sqlite, key in ((False, "new_classes"), (True, "new_sqlite_classes")):
            for name in step.get(key) or []:
                _migrate_new(plan, name, use_sqlite=use_sqlite)
        for rename in step.get("renamed_classes") or []:
            _migrate_renamed(plan, rename["from"], rename["to"])
        for name in step.get("deleted_classes") or []:
            _migrate_deleted(plan, name)
    _check_migrated(plan, classes, bound)


def _migrate_new(plan: _Plan, name: str, *, use_sqlite: bool) -> None:
    if name in plan.names():  # the code is quoted
        raise _occupied("new-class", name)
    plan.created[name] = use_sqlite


def _migrate_renamed(plan: _Plan, name: str, target: str) -> None:
    origin = plan.origin(name)
    if origin is None and name not in plan.created:
        raise ApiError(
            400, 10074, f"Cannot apply renamed-class migration to class '{name}' that has no Durable Objects"
        )
    if target in plan.names():
        raise _occupied("renamed-class", target)
    if origin is None:
        plan.created[target] = plan.created.pop(name)
    else:
        plan.renamed[origin] = target


def _occupied(migration: str, name: str) -> ApiError:
    message = (
        f"Cannot apply {migration} migration to class '{name}' that is already depended on by existing Durable Objects"
    )
    return ApiError(400, 10074, message)


def _migrate_deleted(plan: _Plan, name: str) -> None:
    origin = plan.origin(name)
    if origin is None and name not in plan.created:  # quoted
        message = (
            f"Cannot apply delete-class migration to class '{name}'"
            " which was not exported in the previous version of the script"
        )
        raise ApiError(400, 10074, message)
    if origin is None:
        del plan.created[name]
    else:
        plan.renamed.pop(origin, None)
        plan.deleted.append(origin)


def _check_migrated(plan: _Plan, classes: Collection[str], bound: Collection[str]) -> None:
    """Compare the result of all steps with the code: in between, a class may have had another name, or been deleted."""
    for migration, names in (("new", plan.created), ("renamed", plan.renamed.values())):
        for name in names:
            if name not in classes:  # quoted
                message = f"Cannot apply {migration}-class migration to class '{name}' that is not exported by script"
                raise ApiError(400, 10070, message)
    for name in plan.deleted:
        if name in bound and name not in plan.names():  # quoted
            message = (
                f"Cannot apply --delete-class migration to class '{name}'"
                " without also removing the binding that references it."
            )
            raise ApiError(400, 10061, message)


def _check_exported(needed: Collection[str], classes: Collection[str]) -> None:
    for name in sorted(needed):
        if name not in classes:  # quoted
            message = (
                f"New version of script does not export class '{name}' which is depended on by existing Durable"
                " Objects. If you want to delete the class's Durable Objects, use a delete-class migration."
            )
            raise ApiError(400, 10064, message)


def _missing(plan: _Plan, name: str) -> dict[str, Json]:
    namespace_id = plan.provisioned[name]["id"]
    message = (  # quoted
        f"class '{name}' has a provisioned Durable Object namespace ({namespace_id}) but is not declared in `exports`."
        " Every provisioned class must be declared in `exports` (live or tombstone); silent drift is not permitted."
    )
    suggestion = (
        f'add \'{name}\' back to `exports` as {{"type": "durable-object", "storage": "sqlite"}} (or "legacy-kv"),'
        " or replace the entry with a `deleted` / `renamed` tombstone"
    )
    return _detail("provisioned_class_missing_from_config", name, message) | {"suggestion": suggestion}


def _detail(scenario: str, class_name: str, message: str) -> dict[str, Json]:
    return {"class": class_name, "scenario": scenario, "message": message}


def _fail(problems: list[dict[str, Json]]) -> None:
    """Raise 100402 with every problem, as text (quoted) and as `meta.details`, which wrangler shows."""
    if not problems:
        return
    told = [
        f"[{p['scenario']}] class '{p['class']}': {p['message']}"
        + (f" ({p['suggestion']})" if "suggestion" in p else "")
        for p in problems
    ]
    message = f"Durable Object exports reconciliation failed: {'; '.join(told)}"
    raise ApiError(400, 100402, message, meta={"details": problems})


def _summary(plan: _Plan) -> dict[str, Json]:
    return {
        "created": sorted(plan.created),
        "updated": [],
        "deleted": sorted(plan.deleted),
        "renamed": [{"from": name, "to": target} for name, target in sorted(plan.renamed.items())],
        "transferred": [],
        "transfer_pending": [],
        "warnings": [],
        "info": plan.info,
        "removable_entries": plan.removable,
    }


def _remember(db: sqlite3.Connection, worker: sqlite3.Row, lifecycle: Lifecycle) -> str | None:
    """Record how a Worker declares its classes, and return its migration tag."""
    tag: str | None = worker["migration_tag"]
    mode: str | None = worker["class_lifecycle"]
    if lifecycle.exports is not None:
        mode, tag = "exports", None
    elif lifecycle.migrations is not None:
        mode, tag = "migrations", lifecycle.migrations.get("new_tag") or tag
    db.execute("UPDATE workers SET class_lifecycle = ?, migration_tag = ? WHERE id = ?", (mode, tag, worker["id"]))
    return tag


def _execute(db: sqlite3.Connection, worker_id: str, plan: _Plan) -> list[str]:
    deleted = [plan.provisioned[name]["id"] for name in plan.deleted]
    db.executemany("DELETE FROM durable_object_namespaces WHERE id = ?", [(row_id,) for row_id in deleted])
    renamed = [(target, plan.provisioned[name]["id"]) for name, target in plan.renamed.items()]
    db.executemany("UPDATE durable_object_namespaces SET class_name = id WHERE id = ?", [(one,) for _, one in renamed])
    db.executemany("UPDATE durable_object_namespaces SET class_name = ? WHERE id = ?", renamed)
    db.executemany(
        "INSERT INTO durable_object_namespaces VALUES (?, ?, ?, ?)",
        [(uuid.uuid4().hex, worker_id, name, use_sqlite) for name, use_sqlite in plan.created.items()],
    )
    return deleted


def _provisioned(db: sqlite3.Connection, worker_id: str) -> dict[str, sqlite3.Row]:
    rows = db.execute(
        "SELECT * FROM durable_object_namespaces WHERE worker_id = ? ORDER BY class_name", (worker_id,)
    ).fetchall()
    return {row["class_name"]: row for row in rows}


def _exists(db: sqlite3.Connection, namespace_id: str) -> bool:
    found = db.execute("SELECT 1 FROM durable_object_namespaces WHERE id = ?", (namespace_id,)).fetchone()
    return found is not None


def _describe(row: sqlite3.Row) -> dict[str, Json]:
    return {
        "id": row["id"],
        "name": f"{row['script']}_{row['class_name']}",
        "script": row["script"],
        "class": row["class_name"],
        "use_sqlite": bool(row["use_sqlite"]),
    }


def _cursor(count: int, cursor: str) -> dict[str, Json]:
    # `cursors` is documented; the SDK reads `cursor`.
    return {"count": count, "cursor": cursor, "cursors": {"after": cursor}}


def _invalid_page(name: str, problem: str) -> ApiError:
    return ApiError(400, 10021, f"Invalid {name}: {problem}")


ROUTES = (
    Route("GET", "/accounts/{account_id}/workers/durable_objects/namespaces", list_namespaces),
    Route("GET", "/accounts/{account_id}/workers/durable_objects/namespaces/{namespace_id}/objects", list_objects),
)
