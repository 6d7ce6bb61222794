"""The stores and engines that a stack has left: they stay until their last task is over.

A stack's ``state_store`` or ``engine`` can be changed in one ``up``. New tasks go to the new one; those in the old one
are read and finished there until their time to live is over, so its resources stay declared and its code deployed.
Which they are, the program reads from the Worker that is deployed: from its bindings, and from ``FORMER_UNTIL``, the
binding by which the Worker itself knows them.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pulumi
import pulumi_cloudflare as cloudflare

from components.cloudflare_api import ApiError, CloudflareApi, NotFoundError
from components.state_store import Bindings
from components.task_runner_args import Engine, StateStore, TaskRunnerArgs

TASK_LIFE = timedelta(days=8)
"""The longest that a task is kept: a delay of a day and a time to live of a week (``MAX_DELAY_SECONDS`` and
``MAX_TTL_SECONDS`` in ``worker/task.js``)."""

FORMER_BINDING = "FORMER_UNTIL"

FormerParts = dict[StateStore | Engine, str]
"""Until when each former store or engine is in use: ISO 8601, in UTC."""

_BINDINGS: dict[str, StateStore | Engine] = {
    "DB": "d1",
    "KV": "kv",
    "TASK_DO": "durable-object",
    "TASK_QUEUE": "queue",
    "TASK_WORKFLOW": "workflow",
}


def former_bindings(parts: FormerParts) -> Bindings:
    """Return the binding that tells the Worker of its former parts, where it has some."""
    if not parts:
        return {}
    text = json.dumps(parts, sort_keys=True)
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
    recorded: dict[str, str] = json.loads(bindings.get(FORMER_BINDING, {}).get("text") or "{}")
    fresh = (now + TASK_LIFE).isoformat(timespec="seconds")
    deployed: list[StateStore | Engine] = [part for binding, part in _BINDINGS.items() if binding in bindings]
    former: FormerParts = {}
    for part in deployed:
        until = recorded.get(part, fresh)
        if part not in {args.state_store, args.engine} and _is_needed(args, part, until, now):
            former[part] = until
    return former


def _is_needed(args: TaskRunnerArgs, part: StateStore | Engine, until: str, now: datetime) -> bool:
    if part == "durable-object":
        return args.durable_object_data == "keep"
    return datetime.fromisoformat(until) > now


def former_stores(parts: FormerParts) -> list[StateStore]:
    """Return the stores among former parts."""
    names: tuple[StateStore, ...] = get_args(StateStore)
    return [name for name in names if name in parts]


def former_engines(parts: FormerParts) -> list[Engine]:
    """Return the engines among former parts."""
    names: tuple[Engine, ...] = get_args(Engine)
    return [name for name in names if name in parts]


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
