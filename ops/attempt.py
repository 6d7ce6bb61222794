"""The attempts of a task, as the API shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ops.json_object import JsonObject


@dataclass(frozen=True)
class AttemptError:
    """What an attempt threw, and what caused it."""

    name: str
    message: str
    stack: str | None
    """The calls, one a line."""
    cause: AttemptError | None

    @classmethod
    def read(cls, error: JsonObject) -> AttemptError:
        """Read it. Raises UnexpectedReplyError."""
        cause = error.optional(error.object, "cause")
        stack = error.optional(error.text, "stack")
        return cls(error.text("name"), error.text("message"), stack, cause and AttemptError.read(cause))


@dataclass(frozen=True)
class LogLine:
    """A line that the handler has logged."""

    at: datetime
    level: str
    message: str
    fields: str | None
    """JSON, cut short where it is long."""

    @classmethod
    def read(cls, line: JsonObject) -> LogLine:
        """Read it. Raises UnexpectedReplyError."""
        return cls(line.time("at"), line.text("level"), line.text("message"), line.optional(line.text, "fields"))


@dataclass(frozen=True)
class Attempt:
    """One start of the handler."""

    run: int
    attempt: int
    """Within its run."""
    outcome: str
    """running, waiting, completed, failed, crashed or cancelled."""
    started_at: datetime | None
    ended_at: datetime | None
    error: AttemptError | None
    log: tuple[LogLine, ...]
    """The last lines."""
    log_dropped: int
    """How many lines came before them."""

    @classmethod
    def read(cls, attempt: JsonObject) -> Attempt:
        """Read it. Raises UnexpectedReplyError."""
        error = attempt.optional(attempt.object, "error")
        return cls(
            attempt.integer("run"),
            attempt.integer("attempt"),
            attempt.text("outcome"),
            attempt.optional(attempt.time, "startedAt"),
            attempt.optional(attempt.time, "endedAt"),
            error and AttemptError.read(error),
            tuple(map(LogLine.read, attempt.objects("log"))),
            attempt.integer("logDropped"),
        )
