"""Where task state lives: the resources of each ``state_store`` and what the Worker needs of them."""

from __future__ import annotations

import pulumi
import pulumi_cloudflare as cloudflare

from components.d1_migrations import D1Migrations, read_migrations
from components.task_runner_args import TaskRunnerArgs
from components.worker_code import MIGRATIONS_FOLDER


class D1StateStore:
    """A D1 database with the schema of ``worker/migrations``."""

    def __init__(self, name: str, args: TaskRunnerArgs, opts: pulumi.ResourceOptions) -> None:
        self.database = cloudflare.D1Database(
            f"{name}-db",
            account_id=args.account_id,
            name=f"task-runner-db-{args.env}",
            # Set, because the API reports it: unset, some provider versions see a change at every refresh.
            read_replication=cloudflare.D1DatabaseReadReplicationArgs(mode="disabled"),
            opts=opts,
        )
        self.migrations = D1Migrations(
            f"{name}-db-migrations",
            account_id=args.account_id,
            database_id=self.database.uuid,
            migrations=read_migrations(MIGRATIONS_FOLDER),
            opts=opts,
        )

    @property
    def bindings(self) -> dict[str, cloudflare.WorkerVersionBindingArgs]:
        """What the Worker reaches the store by, by name."""
        return {"DB": cloudflare.WorkerVersionBindingArgs(type="d1", name="DB", id=self.database.uuid)}

    @property
    def holds_state(self) -> pulumi.Resource:
        """What the Worker outlives at no time: created before it, deleted after it."""
        return self.database

    @property
    def ready(self) -> pulumi.Resource:
        """What must be there before the code that uses it is deployed."""
        return self.migrations
