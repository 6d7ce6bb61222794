"""The stores of task state: the resources of each ``state_store``, and the bindings that the Worker needs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Protocol

import pulumi
import pulumi_cloudflare as cloudflare

from .d1_migrations import D1Migrations, read_migrations
from .declaration import Bindings, Declaration
from .part import DEFAULT_OBJECTS, Part
from .parts_record import OBJECT_CLASS, RecordedPart
from .shards import shard_binding, shard_resource
from .task_runner_args import StateStore as StateStoreName
from .toolchain import WORKER_FOLDER
from .worker_code import MIGRATIONS_FOLDER


class StateStore(Protocol):
    """A store of task state."""

    bindings: Bindings
    holds_state: list[pulumi.Resource]
    """Resources that must exist as long as the Worker does: created before it, deleted after it."""
    ready: list[pulumi.Resource]
    """Resources that must exist before code that uses the store runs."""


class D1StateStore:
    """One D1 database for each shard, with the schema of ``worker/migrations``."""

    def __init__(self, declaration: Declaration, part: Part) -> None:
        self._declaration = declaration
        self.bindings: Bindings = {}
        self.holds_state: list[pulumi.Resource] = []
        self.ready: list[pulumi.Resource] = []
        self.databases: list[cloudflare.D1Database] = []
        for number in range(part.shards):
            self._add_shard(number, protect=declaration.protects(number < part.shards_in_use))

    def _add_shard(self, number: int, *, protect: bool | None) -> None:
        declaration = self._declaration
        resource_name = shard_resource(f"{declaration.name}-db", number)
        database = cloudflare.D1Database(
            resource_name,
            account_id=declaration.args.account_id,
            name=declaration.names.database(number),
            jurisdiction=declaration.args.jurisdiction or None,
            # It is set because the API reports it: if it is unset, some provider versions see a change at every
            # refresh.
            read_replication=cloudflare.D1DatabaseReadReplicationArgs(mode="disabled"),
            opts=declaration.options(protect=protect),
        )
        migrations = D1Migrations(
            f"{resource_name}-migrations",
            account_id=declaration.args.account_id,
            database_id=database.uuid,
            migrations=read_migrations(MIGRATIONS_FOLDER),
            provider=declaration.provider_settings,
            opts=declaration.options(),
        )
        binding = shard_binding("DB", number)
        self.bindings[binding] = cloudflare.WorkerVersionBindingArgs(type="d1", name=binding, id=database.uuid)
        self.databases.append(database)
        self.holds_state.append(database)
        self.ready.append(migrations)


class KvStateStore:
    """A Workers KV namespace."""

    def __init__(self, declaration: Declaration, part: Part) -> None:
        self.namespace = cloudflare.WorkersKvNamespace(
            f"{declaration.name}-kv",
            account_id=declaration.args.account_id,
            title=declaration.names.namespace,
            jurisdiction=declaration.args.jurisdiction or None,
            opts=declaration.options(protect=declaration.protects(not part.is_former)),
        )
        binding = cloudflare.WorkerVersionBindingArgs(type="kv_namespace", name="KV", namespace_id=self.namespace.id)
        self.bindings: Bindings = {"KV": binding}
        self.holds_state: list[pulumi.Resource] = [self.namespace]
        self.ready: list[pulumi.Resource] = []


class DurableObjectStateStore:
    """A class of SQLite-backed Durable Objects in the Worker itself; it has no resource of its own."""

    def __init__(self, declaration: Declaration, part: Part) -> None:  # noqa: ARG002 the other stores'
        binding = cloudflare.WorkerVersionBindingArgs(
            type="durable_object_namespace", name="TASK_DO", class_name=DURABLE_OBJECT_CLASS
        )
        self.bindings: Bindings = {"TASK_DO": binding}
        self.holds_state: list[pulumi.Resource] = []
        self.ready: list[pulumi.Resource] = []


DURABLE_OBJECT_CLASS = "TaskObject"


STATE_STORES: Mapping[str, type[D1StateStore | KvStateStore | DurableObjectStateStore]] = {
    "d1": D1StateStore,
    "kv": KvStateStore,
    "durable-object": DurableObjectStateStore,
}


def recorded_stores(declaration: Declaration, part: Part) -> list[RecordedPart]:
    """Return what holds a store's tasks, for the record of the stack's parts."""
    names, law = declaration.names, declaration.args.jurisdiction
    where = f" ({law})" if law else ""
    keep = f"former_state_stores: {part.name}"
    if part.name == "d1":
        return [
            {
                "what": f"D1 database {names.database(number)}{where}",
                "keep": keep if number == 0 else f"former_shards: {part.shard_counts[0]}",
                "in_use": number < part.shards_in_use,
            }
            for number in range(part.shards)
        ]
    objects: list[RecordedPart] = [
        {
            "what": f"Durable Object tasks-{number} of Worker {names.worker}{where}",
            "keep": f"former_shards: {part.shard_counts[0]}",
            "in_use": number < part.shards_in_use,
        }
        for number in range(DEFAULT_OBJECTS, part.shards if part.name == "durable-object" else 0)
    ]
    what = {
        "kv": f"KV namespace {names.namespace}{where}",
        "durable-object": f"{OBJECT_CLASS} {DURABLE_OBJECT_CLASS} of Worker {names.worker}{where}",
    }
    return [{"what": what[part.name], "keep": keep, "in_use": not part.is_former}, *objects]


def read_caveat(state_store: StateStoreName) -> str | None:
    """Return a warning about this store's consistency that a user would not expect; None if there is none."""
    guarantees = json.loads((WORKER_FOLDER / "stores" / "guarantees.json").read_text(encoding="utf-8"))
    return guarantees[state_store].get("caveat")
