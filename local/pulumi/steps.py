"""What a deploy does to one resource, and who is told about it."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal, Protocol

from local.pulumi.diff import Change

Severity = Literal["info", "warning", "error"]


class Action(Enum):
    """What happens to a resource."""

    CREATE = "create"
    UPDATE = "update"
    REPLACE = "replace"
    DELETE = "delete"
    SAME = "same"
    READ = "read"


@dataclass(frozen=True)
class Step:
    """One action on one resource, with what differs; `note` says what the action alone would not."""

    action: Action
    urn: str
    changes: tuple[Change, ...] = ()
    note: str = ""


class Display(Protocol):
    """Whoever watches a deploy. Called from several threads."""

    def started(self, step: Step) -> None:
        """Take note that a step began; exactly one of the next two follows."""
        ...

    def finished(self, step: Step, seconds: float) -> None:
        """Take note that it is done (in a preview: that it would be)."""
        ...

    def failed(self, step: Step, seconds: float) -> None:
        """Take note that it failed; the message comes with the deploy's result."""
        ...

    def message(self, severity: Severity, text: str, urn: str = "") -> None:
        """Pass on what the program or the engine has to say."""
        ...
