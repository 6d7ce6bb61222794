"""Batches of tasks with one that starts after all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ops.json_object import JsonObject
from ops.task import Status, Submission, TaskSummary, read_status


@dataclass(frozen=True)
class BatchSubmission:
    """What became of the submission of a batch."""

    batch_id: str
    """The id of the batch and of the task that starts after the others."""
    tasks: tuple[Submission, ...]
    """In the order in which they were given."""
    is_replay: bool
    """Whether the batch was there already, by its idempotency key."""

    @classmethod
    def read(cls, reply: JsonObject, *, is_replay: bool) -> BatchSubmission:
        """Read it. Raises UnexpectedReplyError."""
        return cls(reply.text("batchId"), tuple(Submission.read(each) for each in reply.objects("tasks")), is_replay)


@dataclass(frozen=True)
class Batch:
    """How far the tasks of a batch have come."""

    batch_id: str
    start_when: str
    """``completed`` or ``ended``: after which end of the others its last task starts."""
    counts: Mapping[str, int]
    """How many tasks are in each status; ``expired`` are those that are no longer there."""
    tasks: Mapping[str, Status | None]
    """Their statuses by their ids; None of one that is no longer there."""
    then: TaskSummary
    """The task that starts after them."""

    @classmethod
    def read(cls, batch: JsonObject) -> Batch:
        """Read it. Raises UnexpectedReplyError."""
        counts = batch.object("counts")
        return cls(
            batch.text("batchId"),
            batch.text("startWhen"),
            {each: counts.integer(each) for each in (*Status, "expired")},
            {
                each.text("taskId"): None if each.anything("status") is None else read_status(each)
                for each in batch.objects("tasks")
            },
            TaskSummary.read(batch.object("then")),
        )
