"""The engines, which deliver tasks to handlers: each ``engine``'s resources, and the bindings that the Worker needs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

import pulumi
import pulumi_cloudflare as cloudflare

from .dead_letters import dead_letter_bindings
from .declaration import Bindings, Declaration, applied
from .part import DEFAULT_OBJECTS, Part
from .parts_record import RecordedPart
from .priorities import OWN_PRIORITIES, Priority, queue_binding, queue_resource, share_of
from .shards import shard_resource
from .task_runner_args import MAX_CONCURRENCY


class Engine(Protocol):
    """Delivers tasks to handlers.

    The constructor declares what the Worker binds; ``attach`` declares what starts the Worker.
    """

    bindings: Bindings
    precedes_worker: list[pulumi.Resource]

    def attach(self, script_name: pulumi.Input[str]) -> None:
        """Let the engine start a deployed Worker."""
        ...


BATCHES_A_DATABASE = 10
"""How many batches one table of tasks can bear at the same time. A D1 database, like a Durable Object, runs one query
at a time, each about a millisecond (https://developers.cloudflare.com/d1/platform/limits/), and refuses queries that
wait too long. A batch of quick tasks makes about three queries in about ten milliseconds. So ten batches keep a
database busy, and the 250 to which Cloudflare scales would overload it."""


LEAST_RETRIES = 1
"""The fewest retries of a queue's consumer, whatever the tasks allow: when an isolate dies, its message must be
delivered again, because the task has not failed. ``worker/engines/queue.js`` relies on it."""


def bearable_concurrency(state_store: str, queues: int) -> int:
    """Return the default concurrency of each queue's consumer: how many batches the store bears at the same time.

    With several queues, each queue's tasks are in a database or object of their own. With one queue, they are spread
    over several objects. KV has no queries that wait for each other, so it bears all that Cloudflare allows.
    """
    match state_store:
        case "d1":
            return BATCHES_A_DATABASE
        case "durable-object":
            return BATCHES_A_DATABASE * (DEFAULT_OBJECTS if queues == 1 else 1)
        case _:
            return MAX_CONCURRENCY


class QueueEngine:
    """One queue for each shard (three with priorities), which the Worker consumes, and one dead-letter queue.

    The dead letters are read over HTTP.
    """

    def __init__(self, declaration: Declaration, part: Part) -> None:
        self._declaration = declaration
        args, names = declaration.args, declaration.names
        self.dead_letter_queue = self._queue(
            f"{declaration.name}-dlq", names.dead_letter_queue, args.dlq_message_retention_seconds, 0, []
        )
        priorities: tuple[Priority, ...] = ("normal", *(OWN_PRIORITIES if args.priorities else ()))
        self.queues_of: Mapping[Priority, list[cloudflare.Queue]] = {
            priority: [
                self._queue(
                    shard_resource(queue_resource(declaration.name, priority), number),
                    names.queue(number, priority),
                    args.message_retention_seconds,
                    args.delivery_delay_seconds,
                    [self.dead_letter_queue],
                )
                for number in range(part.shards)
            ]
            for priority in priorities
        }
        """The queues of each priority, one for each shard; a priority without queues is missing."""
        self.queues = self.queues_of["normal"]
        self._dead_letter_consumer()
        self.bindings: Bindings = {
            "TASK_DLQ": _producer("TASK_DLQ", self.dead_letter_queue),
            **dead_letter_bindings(declaration, self.dead_letter_queue),
        }
        self.precedes_worker: list[pulumi.Resource] = [self.dead_letter_queue]
        for priority, number, queue in self._each_queue():
            binding = queue_binding(priority, number)
            self.bindings[binding] = _producer(binding, queue)
            self.precedes_worker.append(queue)

    def attach(self, script_name: pulumi.Input[str]) -> None:
        """Make a deployed Worker the queues' consumer."""
        args: Any = self._declaration.args  # none of its settings is None
        bearable = bearable_concurrency(args.state_store, len(self.queues))
        for priority, number, queue in self._each_queue():
            cloudflare.QueueConsumer(
                shard_resource(_consumer_resource(self._declaration.name, priority), number),
                account_id=args.account_id,
                queue_id=queue.queue_id,
                type="worker",
                script_name=script_name,
                dead_letter_queue=self.dead_letter_queue.queue_name,
                settings=cloudflare.QueueConsumerSettingsArgs(
                    batch_size=args.batch_size,
                    max_concurrency=self._concurrency(priority, bearable),
                    max_retries=applied(args.max_retries, lambda known: max(known, LEAST_RETRIES)),
                    max_wait_time_ms=args.max_wait_time_ms,
                    retry_delay=args.retry_delay_seconds,
                ),
                opts=self._declaration.options(),
            )

    def _each_queue(self) -> Iterator[tuple[Priority, int, cloudflare.Queue]]:
        """Give each queue with its priority and its shard."""
        for priority, queues in self.queues_of.items():
            for number, queue in enumerate(queues):
                yield priority, number, queue

    def _concurrency(self, priority: Priority, bearable: int) -> Any:
        has_one = len(self.queues_of) == 1

        def of(known: int) -> int:
            return (known or bearable) if has_one else share_of(known or bearable, priority)

        return applied(self._declaration.args.max_concurrency, of)

    def _dead_letter_consumer(self) -> None:
        args: Any = self._declaration.args
        cloudflare.QueueConsumer(
            f"{self._declaration.name}-dlq-consumer",
            account_id=args.account_id,
            queue_id=self.dead_letter_queue.queue_id,
            type="http_pull",
            settings=cloudflare.QueueConsumerSettingsArgs(
                batch_size=args.dlq_batch_size,
                max_retries=args.dlq_max_retries,
                retry_delay=args.dlq_retry_delay_seconds,
                visibility_timeout_ms=args.dlq_visibility_timeout_ms,
            ),
            opts=self._declaration.options(),
        )

    def _queue(
        self, resource_name: str, queue_name: str, retention_seconds: Any, delay_seconds: Any, after: list[Any]
    ) -> cloudflare.Queue:
        # All three settings are set because the API reports all three: a missing one would be a change at every
        # refresh. Operators pause and resume delivery: the program keeps what they set, as far as the stack's state
        # knows it.
        settings = cloudflare.QueueSettingsArgs(
            delivery_delay=delay_seconds, delivery_paused=False, message_retention_period=retention_seconds
        )
        return cloudflare.Queue(
            resource_name,
            account_id=self._declaration.args.account_id,
            queue_name=queue_name,
            jurisdiction=self._declaration.args.jurisdiction or None,
            settings=settings,
            opts=self._declaration.options(depends_on=after, ignore_changes=["settings.deliveryPaused"]),
        )


class WorkflowEngine:
    """A Workflow whose class is in the Worker."""

    def __init__(self, declaration: Declaration, part: Part) -> None:  # noqa: ARG002 the other engine's
        self._declaration = declaration
        self.workflow_name = declaration.names.workflow
        binding = cloudflare.WorkerVersionBindingArgs(
            type="workflow", name="TASK_WORKFLOW", workflow_name=self.workflow_name, class_name=WORKFLOW_CLASS
        )
        self.bindings: Bindings = {"TASK_WORKFLOW": binding}
        self.precedes_worker: list[pulumi.Resource] = []

    def attach(self, script_name: pulumi.Input[str]) -> None:
        """Connect the workflow to the class of a deployed Worker."""
        args: Any = self._declaration.args
        limit = args.workflow_concurrency
        cloudflare.Workflow(
            f"{self._declaration.name}-workflow",
            account_id=args.account_id,
            workflow_name=self.workflow_name,
            class_name=WORKFLOW_CLASS,
            script_name=script_name,
            concurrency=cloudflare.WorkflowConcurrencyArgs(limit=limit) if limit != 0 else None,
            default_retention=_retention(args.workflow_retention_seconds, args.workflow_error_retention_seconds),
            opts=self._declaration.options(),
        )


def _consumer_resource(name: str, priority: Priority) -> str:
    return f"{name}-consumer" if priority == "normal" else f"{name}-consumer-{priority}"


WORKFLOW_CLASS = "TaskWorkflow"

ENGINES: Mapping[str, type[QueueEngine | WorkflowEngine]] = {"queue": QueueEngine, "workflow": WorkflowEngine}


def recorded_engine(declaration: Declaration, part: Part) -> list[RecordedPart]:
    """Return the queues that hold messages of tasks, for the record of the stack's parts.

    A Workflow is not recorded, because the store knows everything that it holds. The queues of high and low priority
    are not recorded either: they may be deleted at once, because their tasks are in the store and the sweeper sends
    them to the remaining queue.
    """
    if part.name != "queue":
        return []
    names, law = declaration.names, declaration.args.jurisdiction
    where = f" ({law})" if law else ""
    queues: list[RecordedPart] = [
        {
            "what": f"queue {names.queue(number)}{where}",
            "keep": "former_engines: queue" if number == 0 else f"former_shards: {part.shard_counts[0]}",
            "in_use": number < part.shards_in_use,
        }
        for number in range(part.shards)
    ]
    dead_letters: RecordedPart = {
        "what": f"dead-letter queue {names.dead_letter_queue}{where}",
        "keep": "former_engines: queue",
        "in_use": not part.is_former,
    }
    return [*queues, dead_letters]


def _retention(success_seconds: Any, error_seconds: Any) -> cloudflare.WorkflowDefaultRetentionArgs | None:
    """Return for how many milliseconds Workflow instances are kept; a setting of 0 leaves Cloudflare's default."""
    success = None if success_seconds == 0 else _milliseconds(success_seconds)
    error = None if error_seconds == 0 else _milliseconds(error_seconds)
    if success is None and error is None:
        return None
    return cloudflare.WorkflowDefaultRetentionArgs(success_retention=success, error_retention=error)


def _milliseconds(seconds: Any) -> Any:
    return applied(seconds, lambda known: known * 1000 or None)


def _producer(name: str, queue: cloudflare.Queue) -> cloudflare.WorkerVersionBindingArgs:
    return cloudflare.WorkerVersionBindingArgs(type="queue", name=name, queue_name=queue.queue_name)
