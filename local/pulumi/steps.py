"""The steps of a deployment, and their display."""

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
    """One action on one resource, with the differences; `note` has what the action alone does not say."""

    action: Action
    urn: str
    changes: tuple[Change, ...] = ()
    note: str = ""


class Display(Protocol):
    """The display of a deployment. It is called from several threads."""

    def started(self, step: Step) -> None:
        """Show that a step began; exactly one of the next two follows."""
        ...

    def finished(self, step: Step, seconds: float) -> None:
        """Show that it is done (in a preview: that it would be)."""
        ...

    def failed(self, step: Step, seconds: float) -> None:
        """Show that it failed; the error message comes with the deployment's result."""
        ...

    def message(self, severity: Severity, text: str, urn: str = "") -> None:
        """Show a message of the program or of the engine."""
        ...
