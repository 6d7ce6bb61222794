"""What can go wrong between a caller and a task runner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TaskRunnerError(Exception):
    """The task runner refused a request, or did not answer it.

    Attributes:
        code: the API's stable name for the error, such as ``unknown_handler``.
        status: the HTTP status; None when there was no answer.
        message: one sentence.
        details: what else the answer said, such as ``{"handlers": ["default", "http"]}``.
    """

    def __init__(self, code: str, status: int | None, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.details: Mapping[str, Any] = details or {}


class UnauthorizedError(TaskRunnerError):
    """The API wants a token, or another one."""


class ForbiddenError(TaskRunnerError):
    """The token's role does not allow the request."""


class TaskNotFoundError(TaskRunnerError):
    """There is no such task, or its time to live is over."""


class PayloadNotKeptError(TaskRunnerError):
    """The task has completed, and its payload was dropped then."""


class IdempotencyConflictError(TaskRunnerError):
    """The idempotency key was used for another submission."""

    @property
    def task_id(self) -> str:
        """The task of the earlier submission."""
        return str(self.details["taskId"])


class WrongStatusError(TaskRunnerError):
    """A task of this status cannot be cancelled, or not be retried."""

    @property
    def task_status(self) -> str:
        """The status that the task has."""
        return str(self.details["status"])


class BatchNotFoundError(TaskRunnerError):
    """There is no such batch, or the time to live of the task at its end is over."""


class ScheduleNotFoundError(TaskRunnerError):
    """There is no such schedule."""


class ScheduleOfStackError(TaskRunnerError):
    """The stack's settings declare the schedule, and they alone change it."""


class TransientError(TaskRunnerError):
    """The same request may succeed later."""

    retry_after_seconds: float = 1
    """How long to wait before that."""


class RateLimitedError(TransientError):
    """The token, or the caller's address, has made too many requests."""


class StoreUnavailableError(TransientError):
    """The task runner could not reach its store."""


class BacklogFullError(TransientError):
    """Too many tasks wait to be handed over, and the platform takes none for now; nothing was stored."""


class StoreFullError(TaskRunnerError):
    """The task runner's store has no room for new tasks before others expire."""


class UnreachableError(TransientError):
    """Nothing answered, or not to the end."""

    def __init__(self, message: str) -> None:
        super().__init__("unreachable", None, message)


class UnexpectedReplyError(TaskRunnerError):
    """What answered does not speak as a task runner does."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__("unexpected_reply", status, message)


KINDS: Mapping[str, type[TaskRunnerError]] = {
    "unauthorized": UnauthorizedError,
    "task_not_found": TaskNotFoundError,
    "payload_not_kept": PayloadNotKeptError,
    "batch_not_found": BatchNotFoundError,
    "schedule_not_found": ScheduleNotFoundError,
    "schedule_of_stack": ScheduleOfStackError,
    "idempotency_conflict": IdempotencyConflictError,
    "wrong_status": WrongStatusError,
    "forbidden": ForbiddenError,
    "rate_limited": RateLimitedError,
    "store_unavailable": StoreUnavailableError,
    "backlog_full": BacklogFullError,
    "store_full": StoreFullError,
}
"""The class of each error that a caller may want to catch, by its code."""
