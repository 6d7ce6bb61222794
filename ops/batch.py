"""Batches: tasks, and one task that starts after all of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ops.json_object import JsonObject
from ops.task import Status, Submission, TaskSummary, read_status


@dataclass(frozen=True)
class BatchSubmission:
    """The reply to the submission of a batch."""

    batch_id: str
    """The id of the batch, which is also the id of the task that starts after the others."""
    tasks: tuple[Submission, ...]
    """In the order in which they were submitted."""
    is_replay: bool
    """Whether the batch existed already, found by its idempotency key."""

    @classmethod
    def read(cls, reply: JsonObject, *, is_replay: bool) -> BatchSubmission:
        """Read it. Raises UnexpectedReplyError."""
        return cls(reply.text("batchId"), tuple(Submission.read(each) for each in reply.objects("tasks")), is_replay)


@dataclass(frozen=True)
class Batch:
    """The progress of a batch."""

    batch_id: str
    start_when: str
    """Which end of the other tasks starts the last one: ``completed`` or ``ended``."""
    counts: Mapping[str, int]
    """How many tasks have each status; ``expired`` counts those that are no longer stored."""
    tasks: Mapping[str, Status | None]
    """The status of each task by its id; None for a task that is no longer stored."""
    then: TaskSummary
    """The task that starts after the others."""

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
