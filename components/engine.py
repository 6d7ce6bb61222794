"""What carries a task to its handler: the resources of each ``engine`` and what the Worker needs of them."""

from __future__ import annotations

from typing import Protocol

import pulumi
import pulumi_cloudflare as cloudflare

from components.shards import Shards, shard_binding, shard_name, shard_resource
from components.state_store import Bindings
from components.task_runner_args import Engine as EngineName
from components.task_runner_args import TaskRunnerArgs


class Engine(Protocol):
    """A way to a task's handler. What the Worker binds is declared at once; what starts the Worker, by ``attach``."""

    bindings: Bindings
    precedes_worker: list[pulumi.Resource]
    outputs: dict[str, pulumi.Input[str]]

    def attach(self, script_name: pulumi.Input[str]) -> None:
        """Let the engine start a deployed Worker."""
        ...


class QueueEngine:
    """A queue a shard, each with a consumer in the Worker, and one dead-letter queue that is read over HTTP."""

    def __init__(self, name: str, args: TaskRunnerArgs, opts: pulumi.ResourceOptions, shards: Shards) -> None:
        self._name = name
        self._args = args
        self._opts = opts
        self.dead_letter_queue = self._queue(
            f"{name}-dlq", f"task-runner-dlq-{args.env}", args.dlq_message_retention_seconds, 0, opts
        )
        after = pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[self.dead_letter_queue]))
        self.queues = [
            self._queue(
                shard_resource(f"{name}-queue", number),
                shard_name("task-runner-queue", number, args.env),
                args.message_retention_seconds,
                args.delivery_delay_seconds,
                after,
            )
            for number in range(shards.count)
        ]
        self._dead_letter_consumer()
        self.bindings: Bindings = {"TASK_DLQ": _producer("TASK_DLQ", self.dead_letter_queue)}
        self.precedes_worker: list[pulumi.Resource] = [*self.queues, self.dead_letter_queue]
        self.outputs: dict[str, pulumi.Input[str]] = {}
        for number, queue in enumerate(self.queues):
            binding = shard_binding("TASK_QUEUE", number)
            self.bindings[binding] = _producer(binding, queue)
            self.outputs[shard_binding("queue_name", number)] = queue.queue_name
            self.outputs[shard_binding("queue_id", number)] = queue.queue_id
        self.outputs["dlq_name"] = self.dead_letter_queue.queue_name
        self.outputs["dlq_id"] = self.dead_letter_queue.queue_id

    def attach(self, script_name: pulumi.Input[str]) -> None:
        """Make a deployed Worker the queues' consumer."""
        args = self._args
        for number, queue in enumerate(self.queues):
            cloudflare.QueueConsumer(
                shard_resource(f"{self._name}-consumer", number),
                account_id=args.account_id,
                queue_id=queue.queue_id,
                type="worker",
                script_name=script_name,
                dead_letter_queue=self.dead_letter_queue.queue_name,
                settings=cloudflare.QueueConsumerSettingsArgs(
                    batch_size=args.batch_size,
                    max_concurrency=args.max_concurrency,
                    max_retries=args.max_retries,
                    max_wait_time_ms=args.max_wait_time_ms,
                    retry_delay=args.retry_delay_seconds,
                ),
                opts=self._opts,
            )

    def _dead_letter_consumer(self) -> None:
        args = self._args
        cloudflare.QueueConsumer(
            f"{self._name}-dlq-consumer",
            account_id=args.account_id,
            queue_id=self.dead_letter_queue.queue_id,
            type="http_pull",
            settings=cloudflare.QueueConsumerSettingsArgs(
                batch_size=args.dlq_batch_size,
                max_retries=args.dlq_max_retries,
                retry_delay=args.dlq_retry_delay_seconds,
                visibility_timeout_ms=args.dlq_visibility_timeout_ms,
            ),
            opts=self._opts,
        )

    def _queue(
        self,
        resource_name: str,
        queue_name: str,
        retention_seconds: int,
        delay_seconds: int,
        opts: pulumi.ResourceOptions,
    ) -> cloudflare.Queue:
        # All three settings, because the API reports all three: one left out is a change at every refresh.
        settings = cloudflare.QueueSettingsArgs(
            delivery_delay=delay_seconds, delivery_paused=False, message_retention_period=retention_seconds
        )
        return cloudflare.Queue(
            resource_name, account_id=self._args.account_id, queue_name=queue_name, settings=settings, opts=opts
        )


class WorkflowEngine:
    """A Workflow whose class is in the Worker."""

    def __init__(self, name: str, args: TaskRunnerArgs, opts: pulumi.ResourceOptions, shards: Shards) -> None:  # noqa: ARG002
        self._name = name
        self._args = args
        self._opts = opts
        self._workflow_name = f"task-runner-workflow-{args.env}"
        binding = cloudflare.WorkerVersionBindingArgs(
            type="workflow", name="TASK_WORKFLOW", workflow_name=self._workflow_name, class_name=WORKFLOW_CLASS
        )
        self.bindings: Bindings = {"TASK_WORKFLOW": binding}
        self.precedes_worker: list[pulumi.Resource] = []
        self.outputs: dict[str, pulumi.Input[str]] = {"workflow_name": self._workflow_name}

    def attach(self, script_name: pulumi.Input[str]) -> None:
        """Make a deployed Worker's class the workflow's."""
        cloudflare.Workflow(
            f"{self._name}-workflow",
            account_id=self._args.account_id,
            workflow_name=self._workflow_name,
            class_name=WORKFLOW_CLASS,
            script_name=script_name,
            opts=self._opts,
        )


WORKFLOW_CLASS = "TaskWorkflow"

ENGINES: dict[EngineName, type[QueueEngine | WorkflowEngine]] = {"queue": QueueEngine, "workflow": WorkflowEngine}


def _producer(name: str, queue: cloudflare.Queue) -> cloudflare.WorkerVersionBindingArgs:
    return cloudflare.WorkerVersionBindingArgs(type="queue", name=name, queue_name=queue.queue_name)
