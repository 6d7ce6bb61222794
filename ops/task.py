"""Tasks as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal, TypeAlias

from ops.errors import UnexpectedReplyError
from ops.json_object import JsonObject

Json: TypeAlias = Mapping[str, "Json"] | Sequence["Json"] | str | int | float | bool | None

Payload: TypeAlias = bytes | Json
"""The payload of a task. Bytes and strings are sent unchanged, anything else as JSON."""


class Status(StrEnum):
    """The status of a task."""

    PENDING = "pending"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def has_ended(self) -> bool:
        """Whether the status is final, unless the task is retried."""
        return self in {Status.COMPLETED, Status.FAILED, Status.CANCELLED}


Priority = Literal["high", "normal", "low"]


@dataclass(frozen=True)
class NewTask:
    """A task to be submitted. A field that is None takes the stack's default."""

    payload: Payload = b""
    handler: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict[str, str])
    """The handler's parameters."""
    delay_seconds: int | None = None
    """The delay before the first attempt: 0 to 86,400."""
    ttl_seconds: int | None = None
    """How long the task is kept: 60 to 604,800."""
    max_retries: int | None = None
    """How often a failed attempt is retried: 0 to 100."""
    idempotency_key: str | None = None
    """1 to 255 visible ASCII characters. Submitting the same key and payload again returns the same task."""
    replace: Literal["pending"] | None = None
    """``pending``: if the task with this key has not started, this one replaces it, and the delay begins anew."""
    callback_url: str | None = None
    """The URL that is called when the task has ended; an empty string means none, whatever the stack and the handler
    say.
    """
    on: Sequence[str] | None = None
    """For which ends it is called: completed, failed, cancelled."""
    after: Sequence[str] | None = None
    """The ids of up to 100 tasks that must end before this one starts."""
    start_when: Literal["completed", "ended"] | None = None
    """With `after`: ``completed`` starts it when all of those have completed, and cancels it otherwise; ``ended``
    starts it when all have ended.
    """
    group: str | None = None
    """A key of 1 to 128 visible ASCII characters; tasks with the same key share limits. The default is the handler's.
    """
    tags: Mapping[str, str] = field(default_factory=dict[str, str])
    """What it is found by: up to 8 tags. A key is a letter and up to 31 letters, digits, ``_``, ``.`` or ``-``; a value
    1 to 64 visible ASCII characters without ``"`` and ``\\``; all together 400 characters."""
    priority: Priority | None = None
    """Which queue carries it, in a stack with priorities. The default is the handler's, else normal."""


@dataclass(frozen=True)
class Submission:
    """The reply to a submission."""

    task_id: str
    status: Status
    is_replay: bool
    """Whether the task existed already, found by its idempotency key. `submit_many` does not know, and says False."""
    is_replaced: bool = False
    """Whether it replaced a pending task with its idempotency key; it has that task's id."""

    @classmethod
    def read(cls, reply: JsonObject, *, is_replay: bool = False) -> Submission:
        """Read it. Raises UnexpectedReplyError."""
        return cls(
            reply.text("taskId"),
            read_status(reply),
            is_replay,
            is_replaced="replaced" in reply.values and reply.truth("replaced"),
        )


@dataclass(frozen=True)
class Progress:
    """The progress of an attempt, as the handler reported it."""

    percent: float
    note: str | None

    @classmethod
    def read(cls, progress: JsonObject) -> Progress:
        """Read it. Raises UnexpectedReplyError."""
        return cls(progress.number("percent"), progress.optional(progress.text, "note"))


@dataclass(frozen=True)
class Failure:
    """The error of the last failed attempt."""

    name: str
    message: str

    @classmethod
    def read(cls, error: JsonObject) -> Failure:
        """Read it. Raises UnexpectedReplyError."""
        return cls(error.text("name"), error.text("message"))


@dataclass(frozen=True)
class Step:
    """A step of a task, a sleep, or an event that it waits for or has received."""

    name: str
    kind: str
    status: str
    attempts: int
    started_at: datetime | None
    finished_at: datetime | None
    due_at: datetime | None
    error: Failure | None

    @classmethod
    def read(cls, step: JsonObject) -> Step:
        """Read it. Raises UnexpectedReplyError."""
        error = step.optional(step.object, "error")
        return cls(
            step.text("name"),
            step.text("kind"),
            step.text("status"),
            step.integer("attempts"),
            step.optional(step.time, "startedAt"),
            step.optional(step.time, "finishedAt"),
            step.optional(step.time, "dueAt"),
            error and Failure.read(error),
        )


@dataclass(frozen=True)
class TaskSummary:
    """A task as lists show it; the message of its error may be truncated."""

    task_id: str
    status: Status
    handler: str
    run: int
    """The number of the run, from 1; a retry by hand or a redrive starts the next run."""
    attempts: int
    """The number of attempts in this run."""
    crashes: int
    """How many attempts of this run ended with the death of their isolate; 0 if the task runner does not report it."""
    max_retries: int
    group: str | None
    """The key of its group, whose limits apply to it."""
    priority: str
    """Which queue carries it: high, normal or low."""
    waiting_for: str | None
    """Why a pending task is held: ``group`` until its group lets it start."""
    tags: Mapping[str, str]
    """The tags by which it can be found; empty if the task runner does not report them."""
    progress: Progress | None
    error: Failure | None
    created_at: datetime
    started_at: datetime | None
    """When the first attempt of this run began."""
    finished_at: datetime | None
    next_attempt_at: datetime | None
    """When a pending task is due, if it waits for its delay or its backoff."""
    expires_at: datetime | None
    """None while the task is held: its time to live begins at its release."""

    @classmethod
    def read(cls, task: JsonObject) -> TaskSummary:
        """Read it. Raises UnexpectedReplyError."""
        return cls(**_summary(task))


@dataclass(frozen=True)
class Callback:
    """The callback of a task, and the progress of its delivery."""

    task_id: str | None
    """The id of the task that delivers the callback; None before the task has ended."""
    url: str
    """The origin of the callback URL."""
    on: tuple[str, ...]
    """For which ends it is called."""
    status: Status | None

    @classmethod
    def read(cls, callback: JsonObject) -> Callback:
        """Read it. Raises UnexpectedReplyError."""
        status = read_status(callback) if callback.anything("status") is not None else None
        ends = tuple(map(str, callback.anything("on")))
        return cls(callback.optional(callback.text, "taskId"), callback.text("url"), ends, status)


@dataclass(frozen=True)
class After:
    """The tasks that must end before this one starts."""

    task_ids: tuple[str, ...]
    start_when: str
    """``completed`` or ``ended``."""
    waits_for: tuple[str, ...]
    """The ids of those that have not ended; the task is held until there are none."""

    @classmethod
    def read(cls, after: JsonObject) -> After:
        """Read it. Raises UnexpectedReplyError."""
        ids, waits_for = (tuple(map(str, after.anything(each))) for each in ("taskIds", "waitsFor"))
        return cls(ids, after.text("startWhen"), waits_for)


@dataclass(frozen=True)
class Task(TaskSummary):
    """A task."""

    result: Any
    """What its handler returned; None if there is no result."""
    callback: Callback | None
    """None also if the task runner does not report it."""
    parent: str | None
    """For a callback, the id of the task that ended; for a task that a handler submitted, the id of that handler's
    task.
    """
    after: After | None = None
    """None if the task waits for no others, or the task runner does not report it."""
    steps: tuple[Step, ...] | None = None
    """The steps, if the handler has steps and this one task was requested."""

    @classmethod
    def read(cls, task: JsonObject) -> Task:
        """Read it. Raises UnexpectedReplyError."""
        callback = task.optional(task.object, "callback") if "callback" in task.values else None
        parent = task.optional(task.text, "parent") if "parent" in task.values else None
        told = callback and Callback.read(callback)
        after = task.optional(task.object, "after") if "after" in task.values else None
        steps = tuple(Step.read(step) for step in task.objects("steps")) if "steps" in task.values else None
        return cls(
            **_summary(task),
            result=task.anything("result"),
            callback=told,
            parent=parent,
            after=after and After.read(after),
            steps=steps,
        )


@dataclass(frozen=True)
class Page:
    """A page of a list of tasks, newest first. It may be short or empty and still not be the last page."""

    tasks: tuple[TaskSummary, ...]
    cursor: str | None
    """Selects the page after this one; None on the last page."""

    @classmethod
    def read(cls, page: JsonObject) -> Page:
        """Read it. Raises UnexpectedReplyError."""
        tasks = tuple(TaskSummary.read(task) for task in page.objects("tasks"))
        return cls(tasks, page.optional(page.text, "cursor"))


def read_status(task: JsonObject) -> Status:
    """Read a task's status. Raises UnexpectedReplyError."""
    text = task.text("status")
    try:
        return Status(text)
    except ValueError as error:
        raise UnexpectedReplyError(
            f"expected {task.name}.status to be one of {', '.join(Status)}, got {text!r:.60}"
        ) from error


def read_tags(task: JsonObject) -> dict[str, str]:
    """Read the tags of a task, or of a schedule. Raises UnexpectedReplyError."""
    tags = task.object("tags") if "tags" in task.values else None
    return {key: tags.text(key) for key in tags.values} if tags else {}


def _summary(task: JsonObject) -> dict[str, Any]:
    progress = task.optional(task.object, "progress")
    error = task.optional(task.object, "error")
    return {
        "task_id": task.text("taskId"),
        "status": read_status(task),
        "handler": task.text("handler"),
        "run": task.integer("run"),
        "attempts": task.integer("attempts"),
        "crashes": task.integer("crashes") if "crashes" in task.values else 0,
        "max_retries": task.integer("maxRetries"),
        "group": task.optional(task.text, "group") if "group" in task.values else None,
        "priority": task.text("priority") if "priority" in task.values else "normal",
        "waiting_for": task.optional(task.text, "waitingFor") if "waitingFor" in task.values else None,
        "tags": read_tags(task),
        "progress": progress and Progress.read(progress),
        "error": error and Failure.read(error),
        "created_at": task.time("createdAt"),
        "started_at": task.optional(task.time, "startedAt"),
        "finished_at": task.optional(task.time, "finishedAt"),
        "next_attempt_at": task.optional(task.time, "nextAttemptAt"),
        "expires_at": task.optional(task.time, "expiresAt"),
    }
