"""The attempts of a task, as the API shows them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ops.json_object import JsonObject


@dataclass(frozen=True)
class AttemptError:
    """The error of an attempt, and its cause."""

    name: str
    message: str
    stack: str | None
    """The stack trace, one call a line."""
    cause: AttemptError | None

    @classmethod
    def read(cls, error: JsonObject) -> AttemptError:
        """Read it. Raises UnexpectedReplyError."""
        cause = error.optional(error.object, "cause")
        stack = error.optional(error.text, "stack")
        return cls(error.text("name"), error.text("message"), stack, cause and AttemptError.read(cause))


@dataclass(frozen=True)
class LogLine:
    """A line that the handler logged."""

    at: datetime
    level: str
    message: str
    fields: str | None
    """Further fields as JSON, truncated if they are long."""

    @classmethod
    def read(cls, line: JsonObject) -> LogLine:
        """Read it. Raises UnexpectedReplyError."""
        return cls(line.time("at"), line.text("level"), line.text("message"), line.optional(line.text, "fields"))


@dataclass(frozen=True)
class Attempt:
    """One start of the handler."""

    run: int
    attempt: int
    """The number of the attempt within its run, from 1."""
    outcome: str
    """running, waiting, completed, failed, crashed or cancelled."""
    started_at: datetime | None
    ended_at: datetime | None
    error: AttemptError | None
    log: tuple[LogLine, ...]
    """The last lines that the handler logged."""
    log_dropped: int
    """How many earlier log lines were dropped."""

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
