"""The task runner as one Pulumi component."""

from __future__ import annotations

from collections.abc import Mapping

import pulumi
import pulumi_cloudflare as cloudflare

from components.engine import QueueEngine
from components.state_store import D1StateStore
from components.task_runner_args import TaskRunnerArgs
from components.worker_code import COMPATIBILITY_DATE, MAIN_MODULE, read_modules

SWEEP_SCHEDULE = "* * * * *"
"""When the sweeper runs: every minute, the shortest that a cron trigger takes."""


class TaskRunner(pulumi.ComponentResource):
    """An asynchronous task runner: an HTTP API, a queue with a dead-letter queue, and a store of task state.

    Resources are created in the order in which they need each other, so that no request, message or cron run ever meets
    a Worker without its parts: dead-letter queue, queue and database; schema; code; consumer and cron. They are deleted
    in the reverse order.
    """

    url: pulumi.Output[str | None]
    """The address of the API; providers before 6.23 do not tell it."""
    worker_name: pulumi.Output[str]
    database_name: pulumi.Output[str]
    database_id: pulumi.Output[str]
    queue_name: pulumi.Output[str]
    queue_id: pulumi.Output[str]
    dlq_name: pulumi.Output[str]
    dlq_id: pulumi.Output[str]

    def __init__(self, name: str, args: TaskRunnerArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        """Declare a task runner.

        Args:
            name: the component's name; its children's names begin with it.
            args: the settings.
            opts: the component's options.
        """
        super().__init__("ephemera:index:TaskRunner", name, {}, opts)
        child = pulumi.ResourceOptions(parent=self)

        store = D1StateStore(name, args, child)
        engine = QueueEngine(name, args, child)
        worker = _worker(name, args, child, needs=[store.holds_state, engine.queue])
        deployment = _deploy(name, args, child, worker, bindings=store.bindings | engine.bindings, needs=[store.ready])
        engine.attach_consumer(deployment.script_name)
        cloudflare.WorkersCronTrigger(
            f"{name}-sweeper",
            account_id=args.account_id,
            script_name=deployment.script_name,
            schedules=[cloudflare.WorkersCronTriggerScheduleArgs(cron=SWEEP_SCHEDULE)],
            opts=child,
        )

        self.url = worker.subdomain.apply(_url)
        self.worker_name = worker.name
        self.database_name = store.database.name
        self.database_id = store.database.uuid
        self.queue_name = engine.queue.queue_name
        self.queue_id = engine.queue.queue_id
        self.dlq_name = engine.dead_letter_queue.queue_name
        self.dlq_id = engine.dead_letter_queue.queue_id
        self.register_outputs({output: getattr(self, output) for output in OUTPUTS})


OUTPUTS = (
    "url",
    "worker_name",
    "database_name",
    "database_id",
    "queue_name",
    "queue_id",
    "dlq_name",
    "dlq_id",
)
"""The component's outputs, by name."""


def _worker(
    name: str, args: TaskRunnerArgs, opts: pulumi.ResourceOptions, *, needs: list[pulumi.Resource]
) -> cloudflare.Worker:
    return cloudflare.Worker(
        f"{name}-worker",
        account_id=args.account_id,
        name=f"task-runner-{args.env}",
        subdomain=cloudflare.WorkerSubdomainArgs(enabled=True, previews_enabled=False),
        observability=cloudflare.WorkerObservabilityArgs(
            enabled=True,
            head_sampling_rate=1,
            logs=cloudflare.WorkerObservabilityLogsArgs(
                enabled=True, head_sampling_rate=1, invocation_logs=True, persist=True
            ),
        ),
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=needs)),
    )


def _url(subdomain: Mapping[str, str]) -> str | None:
    return subdomain.get("url")


def _deploy(
    name: str,
    args: TaskRunnerArgs,
    opts: pulumi.ResourceOptions,
    worker: cloudflare.Worker,
    *,
    bindings: dict[str, cloudflare.WorkerVersionBindingArgs],
    needs: list[pulumi.Resource],
) -> cloudflare.WorkersDeployment:
    """Upload the code as a new version and send all traffic to it.

    Versions cannot change, so each change of code or bindings is a new one.
    """
    version = cloudflare.WorkerVersion(
        f"{name}-version",
        account_id=args.account_id,
        worker_id=worker.id,
        main_module=MAIN_MODULE,
        compatibility_date=COMPATIBILITY_DATE,
        modules=read_modules(),
        # In the order in which the API answers: another one is a change.
        bindings=[bindings[binding_name] for binding_name in sorted(bindings)],
        opts=opts,
    )
    return cloudflare.WorkersDeployment(
        f"{name}-deployment",
        account_id=args.account_id,
        script_name=worker.name,
        strategy="percentage",
        versions=[cloudflare.WorkersDeploymentVersionArgs(version_id=version.id, percentage=100)],
        opts=pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=needs)),
    )
