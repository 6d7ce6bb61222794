"""A dead letter: a message that used up its deliveries."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

OWN_PRIORITIES = ("high", "low")
"""The priorities that have queues of their own, in a stack with priorities."""

TASK_CONTENT_TYPE = "json"
"""The content type of messages that name a task."""


@dataclass(frozen=True)
class TaskRun:
    """The run of a task to which a message belongs."""

    task_id: str
    run: int


@dataclass(frozen=True)
class DeadLetter:
    """A message in the dead-letter queue."""

    letter_id: str
    body: str
    content_type: str
    """Cloudflare's name of the content type: json, text, bytes or v8."""
    attempts: int
    """How often it was pulled from the dead-letter queue, this time included."""
    sent_at: datetime

    @classmethod
    def of_message(cls, message: Any) -> DeadLetter:
        """Convert a message from the SDK, pulled or peeked."""
        content_type = str(cast("dict[str, Any]", message.metadata or {}).get("CF-Content-Type", "json"))
        return cls(
            letter_id=message.id,
            body=_decoded(message.body or "", content_type),
            content_type=content_type,
            attempts=int(message.attempts or 0),
            sent_at=datetime.fromtimestamp((message.timestamp_ms or 0) / 1000, UTC),
        )

    @property
    def task_run(self) -> TaskRun | None:
        """The run that the letter is for; None if the letter is malformed and names no run."""
        message = self._message()
        task_id, run = message.get("taskId"), message.get("run", 1)
        if not isinstance(task_id, str) or not task_id:
            return None
        return TaskRun(task_id, run) if isinstance(run, int) and not isinstance(run, bool) and run > 0 else None

    @property
    def priority(self) -> str | None:
        """The priority of the queue that carried it; None means normal."""
        priority = self._message().get("priority")
        return priority if isinstance(priority, str) and priority in OWN_PRIORITIES else None

    @property
    def is_redrive(self) -> bool:
        """Whether the message itself begins its run, as the messages of a redrive do."""
        return self._message().get("redrive") is True

    def redrive_message(self, next_run: int) -> dict[str, Any]:
        """Return a message that begins the given run of the task; sending it twice is harmless.

        Raises ValueError when the letter is malformed.
        """
        if self.task_run is None:
            raise ValueError(f"dead letter {self.letter_id} names no task")
        own = {"priority": self.priority} if self.priority else {}
        return {"taskId": self.task_run.task_id, "run": next_run, **own, "redrive": True}

    def _message(self) -> dict[str, object]:
        if self.content_type != TASK_CONTENT_TYPE:
            return {}
        try:
            body: object = json.loads(self.body)
        except ValueError:
            return {}
        return cast("dict[str, object]", body) if isinstance(body, dict) else {}

    def is_called(self, name: str) -> bool:
        """Tell whether `name` is the id of the letter or of its task."""
        return name == self.letter_id or (self.task_run is not None and name == self.task_run.task_id)


def _decoded(body: str, content_type: str) -> str:
    """Decode a body: text is not encoded, everything else is base64 (docs: queues/configuration/pull-consumers)."""
    if content_type == "text":
        return body
    try:
        return base64.b64decode(body, validate=True).decode(errors="replace")
    except ValueError:
        return body
