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
    """A schedule to be put: when it ticks, by `cron` or by `every_seconds`, and what is submitted then."""

    cron: str | None = None
    """Five fields: minute, hour, day, month, weekday."""
    timezone: str | None = None
    """Of the cron expression; UTC where it is None."""
    every_seconds: int | None = None
    """From 60 on."""
    overlap: str | None = None
    """`skip`, the default, leaves a tick out while the last task has not ended; `allow` does not."""
    missed: str | None = None
    """What is done about missed ticks: `skip`, `last` (the default) or `all`."""
    task: NewTask = field(default_factory=NewTask)
    """What is submitted; without an idempotency key."""

    def timing(self) -> dict[str, Any]:
        """Return what the API takes beside the task's own fields."""
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
    """A task that a schedule has made."""

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
    """`api`, or `stack` where the stack's settings declare it."""
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
    """The origin alone."""
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
    """Return the body of a request; `item` is the task as `POST /tasks` takes it."""
    return schedule.timing() | dict(item)
