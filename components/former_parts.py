"""The stores and engines that a stack has left: they stay until their last task is over.

A stack's ``state_store``, ``engine`` or ``shards`` can be changed in one ``up``. New tasks go to the new one; those in
the old one are read and finished there until their time to live is over, so its resources stay declared and its code
deployed. Which they are, the program reads from the Worker that is deployed: from its bindings, and from
``FORMER_UNTIL``, the binding by which the Worker itself knows them.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pulumi
import pulumi_cloudflare as cloudflare

from components.cloudflare_api import ApiError, CloudflareApi, NotFoundError
from components.part import SHARDED, Part, PartName, engine_of, store_of
from components.state_store import Bindings
from components.task_runner_args import TaskRunnerArgs
from components.worker_settings import SHARDS_BINDING

TASK_LIFE = timedelta(days=8)
"""The longest that a task is kept: a delay of a day and a time to live of a week (``MAX_DELAY_SECONDS`` and
``MAX_TTL_SECONDS`` in ``worker/task.js``)."""

FORMER_BINDING = "FORMER_UNTIL"

FormerParts = dict[Part, str]
"""Until when each former store or engine is in use, ISO 8601, in UTC; the one that was left last comes first."""

_STORES: dict[str, PartName] = {"KV": "kv", "TASK_DO": "durable-object", "DB": "d1"}
_ENGINES: dict[str, PartName] = {"TASK_WORKFLOW": "workflow", "TASK_QUEUE": "queue"}
"""By their bindings; those that can be sharded last, for they alone may be in use and have left other shards too."""


def former_bindings(parts: FormerParts) -> Bindings:
    """Return the binding that tells the Worker of its former parts, where it has some."""
    if not parts:
        return {}
    text = json.dumps({str(part): until for part, until in parts.items()}, sort_keys=True)
    return {FORMER_BINDING: cloudflare.WorkerVersionBindingArgs(type="plain_text", name=FORMER_BINDING, text=text)}


class DeployedWorkerError(pulumi.RunError):
    """What is deployed could not be read."""


def read_former_parts(args: TaskRunnerArgs) -> FormerParts:
    """Tell which stores and engines the stack's deployed Worker uses beside those that it is to have.

    Raises:
        DeployedWorkerError: the API refused, or could not be reached.
    """
    provider = pulumi.Config("cloudflare")
    api = CloudflareApi.from_config(lambda key: provider.get(key.removeprefix("cloudflare:")))
    try:
        bindings = _deployed_bindings(api, args)
    except ApiError as error:
        raise DeployedWorkerError(f"cannot tell what stack {pulumi.get_stack()} has deployed: {error}") from error
    return former_parts(args, bindings, datetime.now(UTC))


def former_parts(args: TaskRunnerArgs, bindings: dict[str, dict[str, Any]], now: datetime) -> FormerParts:
    """Tell which parts of a deployed Worker, given by its bindings, are former ones and until when.

    A Durable Object class outlasts its tasks: Cloudflare does not let a Worker lose a class that has objects, unless it
    is told to delete them.
    """
    texts: dict[str, str] = json.loads(bindings.get(FORMER_BINDING, {}).get("text") or "{}")
    recorded = {Part.parse(text): until for text, until in texts.items()}
    fresh = (now + TASK_LIFE).isoformat(timespec="seconds")
    deployed = recorded | dict.fromkeys(_deployed_parts(bindings, recorded), fresh)
    former = {
        part: deployed[part]
        for part in sorted(deployed, key=lambda each: each.order)
        if not _is_in(part, args) and _is_needed(args, part, deployed[part], now)
    }
    return dict(sorted(former.items(), key=lambda item: datetime.fromisoformat(item[1]), reverse=True))


def _deployed_parts(bindings: dict[str, dict[str, Any]], recorded: FormerParts) -> list[Part]:
    """Return the store and the engine that a deployed Worker has in use."""
    shards = int(bindings.get(SHARDS_BINDING, {}).get("text") or 1)
    left = {part.name for part in recorded}
    parts: list[Part] = []
    for kinds in (_STORES, _ENGINES):
        bound: list[PartName] = [part for binding, part in kinds.items() if binding in bindings]
        in_use: list[PartName] = [part for part in bound if part not in left] or bound[-1:]
        parts += [Part(name, shards if name in SHARDED else 1) for name in in_use[:1]]
    return parts


def _is_in(part: Part, args: TaskRunnerArgs) -> bool:
    """Tell whether new deployments have a part in any case; more queues have the fewer among them."""
    if part.name == "queue" and args.engine == "queue":
        return part.shards <= args.shards
    return part in {store_of(args), engine_of(args)}


def _is_needed(args: TaskRunnerArgs, part: Part, until: str, now: datetime) -> bool:
    if part.name == "durable-object":
        return args.durable_object_data == "keep"
    return datetime.fromisoformat(until) > now


def _deployed_bindings(api: CloudflareApi, args: TaskRunnerArgs) -> dict[str, dict[str, Any]]:
    """Return the bindings, by name, of the version that has the most traffic; none when nothing is deployed."""
    account = f"accounts/{args.account_id}"
    name = f"task-runner-{args.env}"
    try:
        worker = api.get(f"{account}/workers/workers/{name}")
        deployments = api.get(f"{account}/workers/scripts/{name}/deployments")["deployments"]
    except NotFoundError:
        return {}
    if not deployments:
        return {}
    version_id = max(deployments[0]["versions"], key=lambda version: version["percentage"])["version_id"]
    version = api.get(f"{account}/workers/workers/{worker['id']}/versions/{version_id}")
    bindings: list[dict[str, Any]] = version.get("bindings") or []
    return {binding["name"]: binding for binding in bindings}
