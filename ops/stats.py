"""Statistics of a task runner as the API shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from ops.errors import UnexpectedReplyError
from ops.json_object import JsonObject
from ops.pause import Pause

Range = Literal["hour", "day", "week"]
RANGES: tuple[Range, ...] = get_args(Range)


@dataclass(frozen=True)
class Counts:
    """Numbers of tasks by status."""

    pending: int
    processing: int
    completed: int
    failed: int
    cancelled: int

    @classmethod
    def read(cls, counts: JsonObject) -> Counts:
        """Read them. Raises UnexpectedReplyError."""
        statuses = ("pending", "processing", "completed", "failed", "cancelled")
        return cls(**{status: counts.integer(status) for status in statuses})


@dataclass(frozen=True)
class Counted:
    """What the counts cover: all tasks, or only the newest."""

    tasks: int
    since: datetime | None
    complete: bool
    """Whether all tasks are counted."""

    @classmethod
    def read(cls, counted: JsonObject) -> Counted:
        """Read it. Raises UnexpectedReplyError."""
        return cls(counted.integer("tasks"), counted.optional(counted.time, "since"), counted.truth("complete"))


@dataclass(frozen=True)
class FormerStore:
    """What the store of an earlier deployment still holds."""

    store: str
    counts: Counts
    complete: bool
    """Whether the counts cover all its tasks, and not only the newest."""

    @classmethod
    def read(cls, former: JsonObject) -> FormerStore:
        """Read it. Raises UnexpectedReplyError."""
        return cls(former.text("store"), Counts.read(former.object("counts")), former.truth("complete"))

    @property
    def unfinished(self) -> int:
        """How many of its tasks have not ended."""
        return self.counts.pending + self.counts.processing

    @property
    def ended(self) -> int:
        """How many have ended, and are kept until they expire."""
        return self.counts.completed + self.counts.failed + self.counts.cancelled


@dataclass(frozen=True)
class DatabaseFill:
    """How full a database or a Durable Object is."""

    name: str
    bytes: int
    limit_bytes: int
    used: float
    """The used part of the limit, between 0 and 1."""

    @classmethod
    def read(cls, fill: JsonObject) -> DatabaseFill:
        """Read it. Raises UnexpectedReplyError."""
        return cls(fill.text("name"), fill.integer("bytes"), fill.integer("limitBytes"), fill.number("used"))


@dataclass(frozen=True)
class QueueBacklog:
    """The messages that wait in the queue."""

    backlog: int
    oldest_age_seconds: float | None
    priorities: PriorityBacklogs | None = None
    """The backlog of each priority; None if the priorities have no queues of their own."""

    @classmethod
    def read(cls, queue: JsonObject) -> QueueBacklog:
        """Read it. Raises UnexpectedReplyError."""
        given = queue.optional(queue.object, "priorities") if "priorities" in queue.values else None
        return cls(
            queue.integer("backlog"),
            queue.optional(queue.number, "oldestAgeSeconds"),
            given and PriorityBacklogs(*(cls.read(given.object(priority)) for priority in ("high", "normal", "low"))),
        )


@dataclass(frozen=True)
class PriorityBacklogs:
    """The backlogs of the queues of each priority."""

    high: QueueBacklog
    normal: QueueBacklog
    low: QueueBacklog


@dataclass(frozen=True)
class DeadLetterCount:
    """The contents of the dead-letter queue."""

    count: int
    oldest_age_seconds: float | None

    @classmethod
    def read(cls, letters: JsonObject) -> DeadLetterCount:
        """Read it. Raises UnexpectedReplyError."""
        return cls(letters.integer("count"), letters.optional(letters.number, "oldestAgeSeconds"))


EVENTS = ("submitted", "completed", "failed", "cancelled")
"""What is counted of tasks in a minute or a bucket, by the names of the API and of the fields here."""


@dataclass(frozen=True)
class Minute:
    """The events of one minute."""

    minute: datetime
    submitted: int
    completed: int
    failed: int
    cancelled: int

    @classmethod
    def read(cls, minute: JsonObject) -> Minute:
        """Read it. Raises UnexpectedReplyError."""
        return cls(minute.time("minute"), **{event: minute.integer(event) for event in EVENTS})


@dataclass(frozen=True)
class Latency:
    """The time from submission to completion, in milliseconds."""

    samples: int
    p50: float
    p95: float
    p99: float

    @classmethod
    def read(cls, latency: JsonObject) -> Latency:
        """Read it. Raises UnexpectedReplyError."""
        return cls(latency.integer("samples"), latency.number("p50"), latency.number("p95"), latency.number("p99"))


@dataclass(frozen=True)
class Recent:
    """The last minutes, oldest first."""

    minutes: int
    per_minute: tuple[Minute, ...]
    latency_ms: Latency | None

    @classmethod
    def read(cls, recent: JsonObject) -> Recent:
        """Read it. Raises UnexpectedReplyError."""
        latency = recent.optional(recent.object, "latencyMs")
        return cls(
            recent.integer("minutes"),
            tuple(Minute.read(minute) for minute in recent.objects("perMinute")),
            latency and Latency.read(latency),
        )


@dataclass(frozen=True)
class Bucket:
    """The events of one bucket of a history."""

    start: datetime
    submitted: int
    completed: int
    failed: int
    cancelled: int
    latency_ms: Latency | None
    """The time from submission to completion; None if nothing completed."""
    complete: bool
    """False if the bucket's time is not over, or not everything in it is counted."""

    @classmethod
    def read(cls, bucket: JsonObject) -> Bucket:
        """Read it. Raises UnexpectedReplyError."""
        latency = bucket.optional(bucket.object, "latencyMs")
        return cls(
            bucket.time("start"),
            **{event: bucket.integer(event) for event in EVENTS},
            latency_ms=latency and Latency.read(latency),
            complete=bucket.truth("complete"),
        )


@dataclass(frozen=True)
class History:
    """Throughput and latency of the last hour, day or week, oldest first."""

    range: Range
    bucket_seconds: int
    buckets: tuple[Bucket, ...]
    latency_ms: Latency | None
    """The latency in all buckets together; exact to 11 percent, like that of each bucket."""

    @classmethod
    def read(cls, history: JsonObject) -> History:
        """Read it. Raises UnexpectedReplyError."""
        name = history.text("range")
        latency = history.optional(history.object, "latencyMs")
        if name not in RANGES:
            raise UnexpectedReplyError(f"expected one of {', '.join(RANGES)} for {history.name}.range, got {name!r}")
        return cls(
            name,
            history.integer("bucketSeconds"),
            tuple(map(Bucket.read, history.objects("buckets"))),
            latency and Latency.read(latency),
        )


@dataclass(frozen=True)
class RunningVersion:
    """Which version of the Worker a Durable Object runs."""

    name: str
    version: str | None
    """None if the object's version does not report it."""

    @classmethod
    def read(cls, running: JsonObject) -> RunningVersion:
        """Read it. Raises UnexpectedReplyError."""
        return cls(running.text("name"), running.optional(running.text, "version"))


@dataclass(frozen=True)
class SweeperCounts:
    """What the sweeper has done since the store was created."""

    expired: int
    resent: int
    returned: int
    failed: int

    @classmethod
    def read(cls, sweeper: JsonObject) -> SweeperCounts:
        """Read them. Raises UnexpectedReplyError."""
        return cls(**{deed: sweeper.integer(deed) for deed in ("expired", "resent", "returned", "failed")})


@dataclass(frozen=True)
class Stats:
    """Statistics. `queue` and `dead_letters` are None if the engine has no queues."""

    generated_at: datetime
    as_of: datetime | None
    """When tasks were counted; None if they have not been counted yet."""
    counts: Counts
    counted: Counted
    former: tuple[FormerStore, ...]
    databases: tuple[DatabaseFill, ...]
    queue: QueueBacklog | None
    dead_letters: DeadLetterCount | None
    recent: Recent
    objects: tuple[RunningVersion, ...]
    paused: tuple[Pause, ...]
    """The paused handlers; empty if the task runner does not report them."""
    firing: tuple[str, ...]
    """The names of the alerts that fire; empty if the task runner does not report them."""
    sweeper: SweeperCounts

    @classmethod
    def read(cls, stats: JsonObject) -> Stats:
        """Read them. Raises UnexpectedReplyError."""
        queue = stats.optional(stats.object, "queue")
        dead_letters = stats.optional(stats.object, "deadLetters")
        return cls(
            stats.time("generatedAt"),
            stats.optional(stats.time, "asOf"),
            Counts.read(stats.object("counts")),
            Counted.read(stats.object("counted")),
            tuple(map(FormerStore.read, stats.objects("former"))),
            tuple(map(DatabaseFill.read, stats.objects("databases"))),
            queue and QueueBacklog.read(queue),
            dead_letters and DeadLetterCount.read(dead_letters),
            Recent.read(stats.object("recent")),
            tuple(map(RunningVersion.read, stats.objects("objects"))),
            tuple(map(Pause.read, stats.objects("paused"))) if "paused" in stats.values else (),
            tuple(map(str, stats.anything("firing"))) if "firing" in stats.values else (),
            SweeperCounts.read(stats.object("sweeper")),
        )
