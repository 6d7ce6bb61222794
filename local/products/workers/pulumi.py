"""Workers, their versions, deployments and cron triggers."""

import base64
import hashlib
import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

from local.pulumi.cloudflare_types.rest_type import Get, RestSpec
from local.pulumi.wire import UNKNOWN, Properties, is_list, is_object

_ALL_TRACES: Properties = {"destinations": [], "enabled": False, "head_sampling_rate": 1, "persist": True}
_ALL_LOGS: Properties = {
    "destinations": [],
    "enabled": False,
    "head_sampling_rate": 1,
    "invocation_logs": True,
    "persist": True,
}
_TEXT_BINDINGS = {"plain_text", "secret_text"}
_TOMBSTONES = {"deleted", "renamed", "transferred"}


def _worker_body(body: Properties) -> Properties:
    """Add the provider's defaults, which it always sends."""
    observability: Properties = {"enabled": False, "head_sampling_rate": 1, **body.get("observability", {"logs": {}})}
    if "logs" in observability:
        observability["logs"] = {**_ALL_LOGS, **observability["logs"]}
    observability["traces"] = {**_ALL_TRACES, **observability.get("traces", {})}
    subdomain: Properties = {"enabled": False, **body.get("subdomain", {})}
    subdomain.setdefault("previews_enabled", subdomain["enabled"])
    defaults: Properties = {"logpush": False, "tags": [], "tail_consumers": []}
    return {**defaults, **body, "observability": observability, "subdomain": subdomain}


_NAMESPACES = "/accounts/{account_id}/workers/durable_objects/namespaces"
_MANY_OBJECTS = 1000


def _objects(get: Get, worker_name: str, classes: Collection[str] | None = None) -> str:
    """Return how many Durable Objects a Worker has, of all classes or of some."""
    found: list[str] = []
    for namespace in get(f"{_NAMESPACES}?per_page=1000"):
        if namespace["script"] == worker_name and (classes is None or namespace["class"] in classes):
            count = len(get(f"{_NAMESPACES}/{namespace['id']}/objects?limit={_MANY_OBJECTS}"))
            objects = f"{count:,} object{'' if count == 1 else 's'}{' or more' if count == _MANY_OBJECTS else ''}"
            found += [f"{objects} of class {namespace['class']}"] if count else []
    return ", ".join(found)


def _worker_contents(get: Get, names: Properties, _planned: Properties | None) -> str:
    return _objects(get, names["name"])


def _version_contents(get: Get, names: Properties, planned: Properties | None) -> str:  # noqa: ARG001 the interface's
    """Return which objects are deleted with classes that the next version deletes; a version itself has no data."""
    classes = _deleted_classes(planned or {})
    return _objects(get, get("/accounts/{account_id}/workers/workers/{worker_id}")["name"], classes) if classes else ""


def _deleted_classes(version: Properties) -> set[str]:
    exports, migrations = version.get("exports"), version.get("migrations")
    found: set[str] = set()
    if is_object(exports):
        found |= {name for name, entry in exports.items() if entry.get("state") == "deleted"}
    if is_object(migrations):
        steps: list[dict[str, list[str] | None]] = [migrations, *(migrations.get("steps") or [])]
        for step in steps:
            found |= set(step.get("deleted_classes") or [])
    return found


WORKER = RestSpec(
    collection="/accounts/{account_id}/workers/workers",
    item="/accounts/{account_id}/workers/workers/{id}",
    id_field="id",
    nested_outputs=(("subdomain", "url"),),
    body=_worker_body,
    find="/accounts/{account_id}/workers/workers/{name}",  # the API accepts a name as an id
    contents=_worker_contents,
)


def _check_version(inputs: Properties) -> Properties:
    """Record the hash of each module that is a file, so that a change of its content is a change of the version."""
    modules = inputs.get("modules")
    return {**inputs, "modules": [_hashed(module) for module in modules]} if is_list(modules) else inputs


def _hashed(module: Any) -> Any:
    path = module.get("contentFile") if is_object(module) else None
    if not isinstance(path, str) or path == UNKNOWN:
        return module
    return {**module, "contentSha256": hashlib.sha256(Path(path).read_bytes()).hexdigest()}


def _version_body(body: Properties) -> Properties:
    """Convert the body: files to base64, bindings sorted by name, JSON bindings to JSON."""
    body = {"usage_model": "standard", **_with_annotations(body)}
    if "modules" in body:
        body["modules"] = [_module(module) for module in body["modules"]]
    if "bindings" in body:
        bindings = [_binding(binding) for binding in body["bindings"]]
        body["bindings"] = sorted(bindings, key=lambda binding: str(binding["name"]).encode())
    return body


def _module(module: Properties) -> Properties:
    sent = {key: value for key, value in module.items() if key not in {"content_file", "content_sha256"}}
    if "content_file" in module:
        sent["content_base64"] = base64.b64encode(Path(module["content_file"]).read_bytes()).decode()
    return sent


def _binding(binding: Properties) -> Properties:
    return {**binding, "json": json.loads(binding["json"])} if "json" in binding else binding


def _with_annotations(body: Properties) -> Properties:
    if "annotations" not in body:
        return body
    return {**body, "annotations": {key.replace("_", "/", 1): text for key, text in body["annotations"].items()}}


def _version_reply(reply: Properties, inputs: Properties) -> Properties:
    """Add to a reply what the API leaves out, or convert what it writes differently."""
    reply = dict(reply)
    bindings, modules = reply.get("bindings"), reply.get("modules")
    if is_list(bindings):
        configured = _by_name(inputs.get("bindings"))
        reply["bindings"] = [_binding_reply(item, configured.get(item.get("name"), {})) for item in bindings]
    if is_list(modules):
        sources = _by_name(inputs.get("modules"))
        reply["modules"] = [_module_reply(item, sources.get(item.get("name"), {})) for item in modules]
    if is_object(reply.get("exports")):
        reply["exports"] = {**_tombstones(inputs.get("exports")), **reply["exports"]}
    return reply


def _tombstones(exports: Any) -> Properties:
    """Return the entries that the API accepts and never returns: those of deleted classes."""
    if not is_object(exports):
        return {}
    return {name: entry for name, entry in exports.items() if entry.get("state") in _TOMBSTONES}


def _by_name(items: Any) -> dict[str, Properties]:
    return {item["name"]: item for item in items} if is_list(items) else {}


def _binding_reply(shown: Properties, configured: Properties) -> Properties:
    completed = dict(shown)
    if shown.get("type") in _TEXT_BINDINGS and "text" in configured:
        completed["text"] = configured["text"]
    if shown.get("type") == "d1":
        completed["id"] = shown.get("id") or shown.get("database_id")
    if "json" in shown:
        given = configured.get("json")
        same = isinstance(given, str) and json.loads(given) == shown["json"]
        completed["json"] = given if same else json.dumps(shown["json"])
    return completed


def _module_reply(shown: Properties, configured: Properties) -> Properties:
    file = configured.get("contentFile")
    if file is None or "content_base64" not in shown:
        return shown
    content = base64.b64decode(shown["content_base64"])
    named = {key: value for key, value in shown.items() if key != "content_base64"}
    return {**named, "content_file": file, "content_sha256": hashlib.sha256(content).hexdigest()}


VERSION = RestSpec(
    collection="/accounts/{account_id}/workers/workers/{worker_id}/versions",
    item="/accounts/{account_id}/workers/workers/{worker_id}/versions/{id}",
    id_field="id",
    updates=False,
    deletes=False,
    replace_on=None,
    never_replace_on=frozenset({"contentFile"}),  # the hash shows whether the code has changed
    sticky=frozenset({"usageModel", "compatibilityFlags", "annotations", "limits", "cacheOptions"}),
    keyed_lists={"modules": "name", "bindings": "name"},
    verbatim_maps=frozenset({"exports"}),
    query_inputs=frozenset({"deploy", "include"}),
    read_query={"include": "modules"},
    check=_check_version,
    body=_version_body,
    reply=_version_reply,
    contents=_version_contents,
)

DEPLOYMENT = RestSpec(
    collection="/accounts/{account_id}/workers/scripts/{script_name}/deployments",
    item="/accounts/{account_id}/workers/scripts/{script_name}/deployments/{id}",
    id_field="id",
    updates=False,
    deletes=False,
    replace_on=None,
    in_force="deployments",
    body=_with_annotations,
)


def _cron_reply(reply: Properties, _inputs: Properties) -> Properties:
    return {"schedules": reply.get("schedules", [])}


CRON_TRIGGER = RestSpec(
    collection="/accounts/{account_id}/workers/scripts/{script_name}/schedules",
    item="/accounts/{account_id}/workers/scripts/{script_name}/schedules",
    id_field="script_name",
    create_method="PUT",
    deletes=False,  # the schedules are deleted with the Worker
    replace_on=frozenset({"accountId", "scriptName"}),
    keyed_lists={"schedules": "cron"},
    body=lambda body: body["schedules"],
    reply=_cron_reply,
)

TYPES = {
    "cloudflare:index/worker:Worker": WORKER,
    "cloudflare:index/workerVersion:WorkerVersion": VERSION,
    "cloudflare:index/workersDeployment:WorkersDeployment": DEPLOYMENT,
    "cloudflare:index/workersCronTrigger:WorkersCronTrigger": CRON_TRIGGER,
}
