"""The exceptions of the client."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class TaskRunnerError(Exception):
    """The task runner refused a request, or did not answer it.

    Attributes:
        code: the API's stable name of the error, such as ``unknown_handler``.
        status: the HTTP status; None if there was no answer.
        message: one sentence.
        details: the other fields of the answer, such as ``{"handlers": ["default", "http"]}``.
    """

    def __init__(self, code: str, status: int | None, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
        self.message = message
        self.details: Mapping[str, Any] = details or {}


class UnauthorizedError(TaskRunnerError):
    """The API needs a token, or refuses the one that was sent."""


class ForbiddenError(TaskRunnerError):
    """The token's role does not allow the request."""


class TaskNotFoundError(TaskRunnerError):
    """There is no such task, or it has expired."""


class PayloadNotKeptError(TaskRunnerError):
    """The task has completed, and its payload was deleted then."""


class IdempotencyConflictError(TaskRunnerError):
    """The idempotency key was used for a different submission."""

    @property
    def task_id(self) -> str:
        """The task of the earlier submission."""
        return str(self.details["taskId"])


class WrongStatusError(TaskRunnerError):
    """A task with this status cannot be cancelled or retried."""

    @property
    def task_status(self) -> str:
        """The task's present status."""
        return str(self.details["status"])


class BatchNotFoundError(TaskRunnerError):
    """There is no such batch, or its last task has expired."""


class ScheduleNotFoundError(TaskRunnerError):
    """There is no such schedule."""


class ScheduleOfStackError(TaskRunnerError):
    """The stack's settings declare the schedule, so that only they can change it."""


class TransientError(TaskRunnerError):
    """The same request may succeed later."""

    retry_after_seconds: float = 1
    """How long to wait before the next request."""


class RateLimitedError(TransientError):
    """The token, or the caller's address, has sent too many requests."""


class StoreUnavailableError(TransientError):
    """The task runner could not reach its store."""


class BacklogFullError(TransientError):
    """Too many tasks wait to be sent to the queue, which accepts none for now; nothing was stored."""


class StoreFullError(TaskRunnerError):
    """The task runner's store has no room for new tasks until others expire."""


class UnreachableError(TransientError):
    """Nothing answered, or the answer broke off."""

    def __init__(self, message: str) -> None:
        super().__init__("unreachable", None, message)


class UnexpectedReplyError(TaskRunnerError):
    """The answer is not that of a task runner."""

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
"""The exception class for each error code that a caller may want to catch."""
