"""What carries a task to its handler: the resources of each ``engine`` and what the Worker needs of them."""

from __future__ import annotations

import pulumi
import pulumi_cloudflare as cloudflare

from components.task_runner_args import TaskRunnerArgs


class QueueEngine:
    """A queue with a consumer in the Worker, and a dead-letter queue that is read over HTTP.

    The queues come before the Worker, which binds them; the consumers after it, by ``attach_consumer``.
    """

    def __init__(self, name: str, args: TaskRunnerArgs, opts: pulumi.ResourceOptions) -> None:
        self._name = name
        self._args = args
        self._opts = opts
        self.dead_letter_queue = self._queue(
            f"{name}-dlq", f"task-runner-dlq-{args.env}", args.dlq_message_retention_seconds, 0, opts
        )
        self.queue = self._queue(
            f"{name}-queue",
            f"task-runner-queue-{args.env}",
            args.message_retention_seconds,
            args.delivery_delay_seconds,
            pulumi.ResourceOptions.merge(opts, pulumi.ResourceOptions(depends_on=[self.dead_letter_queue])),
        )
        self.dead_letter_consumer = cloudflare.QueueConsumer(
            f"{name}-dlq-consumer",
            account_id=args.account_id,
            queue_id=self.dead_letter_queue.queue_id,
            type="http_pull",
            settings=cloudflare.QueueConsumerSettingsArgs(
                batch_size=args.dlq_batch_size,
                max_retries=args.dlq_max_retries,
                retry_delay=args.dlq_retry_delay_seconds,
                visibility_timeout_ms=args.dlq_visibility_timeout_ms,
            ),
            opts=opts,
        )

    @property
    def bindings(self) -> dict[str, cloudflare.WorkerVersionBindingArgs]:
        """What the Worker reaches the queue by, and the setting that it shares with the consumer; by name."""
        retries = cloudflare.WorkerVersionBindingArgs(
            type="plain_text", name="MAX_RETRIES", text=str(self._args.max_retries)
        )
        queue = cloudflare.WorkerVersionBindingArgs(type="queue", name="TASK_QUEUE", queue_name=self.queue.queue_name)
        return {"MAX_RETRIES": retries, "TASK_QUEUE": queue}

    def attach_consumer(self, script_name: pulumi.Input[str]) -> cloudflare.QueueConsumer:
        """Make a deployed Worker the queue's consumer."""
        args = self._args
        return cloudflare.QueueConsumer(
            f"{self._name}-consumer",
            account_id=args.account_id,
            queue_id=self.queue.queue_id,
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
