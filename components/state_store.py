"""Where task state lives: the resources of each ``state_store`` and what the Worker needs of them."""

from __future__ import annotations

import json
from typing import Protocol

import pulumi
import pulumi_cloudflare as cloudflare

from components.d1_migrations import D1Migrations, read_migrations
from components.shards import Shards, shard_binding, shard_name, shard_resource
from components.task_runner_args import StateStore as StateStoreName
from components.task_runner_args import TaskRunnerArgs
from components.worker_code import MIGRATIONS_FOLDER, WORKER_FOLDER

Bindings = dict[str, cloudflare.WorkerVersionBindingArgs]
"""What a Worker reaches its resources by, by name."""


class StateStore(Protocol):
    """A place for task state."""

    bindings: Bindings
    holds_state: list[pulumi.Resource]
    """What the Worker outlives at no time: created before it, deleted after it."""
    ready: list[pulumi.Resource]
    """What must be there before code that uses the store runs."""
    outputs: dict[str, pulumi.Input[str]]


class D1StateStore:
    """A D1 database a shard, each with the schema of ``worker/migrations``."""

    def __init__(self, name: str, args: TaskRunnerArgs, opts: pulumi.ResourceOptions, shards: Shards) -> None:
        self._name = name
        self._args = args
        self._opts = opts
        self.bindings: Bindings = {}
        self.holds_state: list[pulumi.Resource] = []
        self.ready: list[pulumi.Resource] = []
        self.outputs: dict[str, pulumi.Input[str]] = {}
        for number in range(shards.count):
            self._add_shard(number, protect=number < shards.protected)

    def _add_shard(self, number: int, *, protect: bool) -> None:
        args = self._args
        resource_name = shard_resource(f"{self._name}-db", number)
        database = cloudflare.D1Database(
            resource_name,
            account_id=args.account_id,
            name=shard_name("task-runner-db", number, args.env),
            # Set, because the API reports it: unset, some provider versions see a change at every refresh.
            read_replication=cloudflare.D1DatabaseReadReplicationArgs(mode="disabled"),
            opts=pulumi.ResourceOptions.merge(self._opts, pulumi.ResourceOptions(protect=protect)),
        )
        migrations = D1Migrations(
            f"{resource_name}-migrations",
            account_id=args.account_id,
            database_id=database.uuid,
            migrations=read_migrations(MIGRATIONS_FOLDER),
            opts=self._opts,
        )
        binding = shard_binding("DB", number)
        self.bindings[binding] = cloudflare.WorkerVersionBindingArgs(type="d1", name=binding, id=database.uuid)
        self.holds_state.append(database)
        self.ready.append(migrations)
        self.outputs[shard_binding("database_name", number)] = database.name
        self.outputs[shard_binding("database_id", number)] = database.uuid


class KvStateStore:
    """A Workers KV namespace."""

    def __init__(self, name: str, args: TaskRunnerArgs, opts: pulumi.ResourceOptions, shards: Shards) -> None:
        self.namespace = cloudflare.WorkersKvNamespace(
            f"{name}-kv",
            account_id=args.account_id,
            title=f"task-runner-{args.env}",
            opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(protect=shards.protected > 0)),
        )
        binding = cloudflare.WorkerVersionBindingArgs(type="kv_namespace", name="KV", namespace_id=self.namespace.id)
        self.bindings: Bindings = {"KV": binding}
        self.holds_state: list[pulumi.Resource] = [self.namespace]
        self.ready: list[pulumi.Resource] = []
        self.outputs: dict[str, pulumi.Input[str]] = {
            "namespace_name": self.namespace.title,
            "namespace_id": self.namespace.id,
        }


class DurableObjectStateStore:
    """A class of SQLite-backed Durable Objects in the Worker itself; it has no resource of its own."""

    def __init__(self, name: str, args: TaskRunnerArgs, opts: pulumi.ResourceOptions, shards: Shards) -> None:  # noqa: ARG002
        binding = cloudflare.WorkerVersionBindingArgs(
            type="durable_object_namespace", name="TASK_DO", class_name=DURABLE_OBJECT_CLASS
        )
        self.bindings: Bindings = {"TASK_DO": binding}
        self.holds_state: list[pulumi.Resource] = []
        self.ready: list[pulumi.Resource] = []
        self.outputs: dict[str, pulumi.Input[str]] = {"durable_object_class": DURABLE_OBJECT_CLASS}


DURABLE_OBJECT_CLASS = "TaskObject"

STATE_STORES: dict[StateStoreName, type[D1StateStore | KvStateStore | DurableObjectStateStore]] = {
    "d1": D1StateStore,
    "kv": KvStateStore,
    "durable-object": DurableObjectStateStore,
}


def read_caveat(state_store: StateStoreName) -> str | None:
    """Return what a user of this store must know and would not expect, if there is such a thing."""
    promises = json.loads((WORKER_FOLDER / "stores" / "promises.json").read_text(encoding="utf-8"))
    return promises[state_store].get("caveat")
