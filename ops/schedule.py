"""Schedules as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ops.json_object import JsonObject
from ops.task import NewTask, read_tags


@dataclass(frozen=True)
class NewSchedule:
    """A new schedule: when it ticks (`cron` or `every_seconds`), and which task it submits."""

    cron: str | None = None
    """Five fields: minute, hour, day, month, weekday."""
    timezone: str | None = None
    """The time zone of the cron expression; None means UTC."""
    every_seconds: int | None = None
    """At least 60."""
    overlap: str | None = None
    """What happens at a tick while the last task has not ended: `skip` (the default) makes no task, `allow` makes one.
    """
    missed: str | None = None
    """What to do about missed ticks: `skip`, `last` (the default) or `all`."""
    task: NewTask = field(default_factory=NewTask)
    """The task to submit, without an idempotency key."""

    def timing(self) -> dict[str, Any]:
        """Return the request's fields about the timing, without those of the task."""
        given = {
            "cron": self.cron,
            "timezone": self.timezone,
            "everySeconds": self.every_seconds,
            "overlap": self.overlap,
            "missed": self.missed,
        }
        return {key: value for key, value in given.items() if value is not None}


@dataclass(frozen=True)
class ScheduledRun:
    """A task that a schedule made."""

    task_id: str
    scheduled_at: datetime

    @classmethod
    def read(cls, run: JsonObject) -> ScheduledRun:
        """Read it. Raises UnexpectedReplyError."""
        return cls(run.text("taskId"), run.time("scheduledAt"))


@dataclass(frozen=True)
class Schedule:
    """A schedule."""

    name: str
    owner: str
    """`stack` if the stack's settings declare it, otherwise `api`."""
    cron: str | None
    timezone: str
    every_seconds: int | None
    overlap: str
    missed: str
    paused: bool
    handler: str
    delay_seconds: int
    ttl_seconds: int | None
    max_retries: int | None
    group: str | None
    tags: Mapping[str, str]
    priority: str
    callback_url: str | None
    """The origin of the callback URL."""
    next_runs: tuple[datetime, ...]
    last_runs: tuple[ScheduledRun, ...]
    """Newest first."""

    @classmethod
    def read(cls, schedule: JsonObject) -> Schedule:
        """Read it. Raises UnexpectedReplyError."""
        next_runs = tuple(datetime.fromisoformat(str(each)) for each in schedule.anything("nextRuns"))
        return cls(
            name=schedule.text("name"),
            owner=schedule.text("owner"),
            cron=schedule.optional(schedule.text, "cron"),
            timezone=schedule.text("timezone"),
            every_seconds=schedule.optional(schedule.integer, "everySeconds"),
            overlap=schedule.text("overlap"),
            missed=schedule.text("missed"),
            paused=schedule.truth("paused"),
            handler=schedule.text("handler"),
            delay_seconds=schedule.integer("delaySeconds"),
            ttl_seconds=schedule.optional(schedule.integer, "ttlSeconds"),
            max_retries=schedule.optional(schedule.integer, "maxRetries"),
            group=schedule.optional(schedule.text, "group") if "group" in schedule.values else None,
            tags=read_tags(schedule),
            priority=schedule.text("priority") if "priority" in schedule.values else "normal",
            callback_url=schedule.optional(schedule.text, "callbackUrl"),
            next_runs=next_runs,
            last_runs=tuple(ScheduledRun.read(run) for run in schedule.objects("lastRuns")),
        )


def body_of(schedule: NewSchedule, item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body of a request; `item` is the task in the form of `POST /tasks`."""
    return schedule.timing() | dict(item)
