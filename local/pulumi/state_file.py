"""What a stack has deployed: a JSON file that its owner alone can read, replaced whole after each step."""

import fcntl
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from local.pulumi.errors import DeployError
from local.pulumi.names import check_name
from local.pulumi.urn import PROVIDER_TYPE_PREFIX
from local.pulumi.wire import Properties

_VERSION = 1
_PRIVATE = 0o600

Operation = Literal["create", "update", "delete"]


def timestamp() -> str:
    """Give the time now, as it is written in the state file."""
    return datetime.now(UTC).isoformat()


@dataclass
class Resource:
    """A deployed resource. `inputs` and `outputs` keep their secrets marked; `replaced` ones only wait for deletion."""

    urn: str
    type: str
    custom: bool
    id: str = ""
    inputs: Properties = field(default_factory=dict[str, Any])
    outputs: Properties = field(default_factory=dict[str, Any])
    parent: str = ""
    provider: str = ""
    dependencies: list[str] = field(default_factory=list[str])
    property_dependencies: dict[str, list[str]] = field(default_factory=dict[str, list[str]])
    protect: bool = False
    retain_on_delete: bool = False
    deleted_with: str = ""
    replaced: bool = False

    @property
    def is_real(self) -> bool:
        """Whether there is anything outside of the state: not so for components, the stack and providers."""
        return self.custom and not self.type.startswith(PROVIDER_TYPE_PREFIX)

    def needs(self) -> set[str]:
        """Name every resource that has to outlive this one."""
        provider_urn = self.provider.rpartition("::")[0]
        urns = {self.parent, provider_urn, self.deleted_with, *self.dependencies}
        return urns.union(*self.property_dependencies.values()) - {""}


@dataclass
class PendingOperation:
    """A step that was begun; found in a file, it tells that a deploy was interrupted in the middle of it.

    `resource` is what the step would have stored: for an update, the resource with its old inputs.
    """

    operation: Operation
    resource: Resource
    started: str


@dataclass
class State:
    """Everything known about a stack. `resources` is ordered: none needs a later one."""

    resources: list[Resource] = field(default_factory=list[Resource])
    pending: list[PendingOperation] = field(default_factory=list[PendingOperation])
    outputs: Properties = field(default_factory=dict[str, Any])

    def find(self, urn: str) -> Resource | None:
        """Find the living resource of this name; those that wait for their deletion are not it."""
        return next((resource for resource in self.resources if resource.urn == urn and not resource.replaced), None)

    def rename(self, old: str, new: str) -> None:
        """Give a resource another URN, wherever it is mentioned (aliases)."""

        def renamed(urn: str) -> str:
            return new if urn == old else urn

        for resource in self.resources:
            resource.urn = renamed(resource.urn)
            resource.parent = renamed(resource.parent)
            resource.deleted_with = renamed(resource.deleted_with)
            resource.dependencies = [renamed(urn) for urn in resource.dependencies]
            resource.property_dependencies = {
                key: [renamed(urn) for urn in urns] for key, urns in resource.property_dependencies.items()
            }


class StateFile:
    """The file of one stack: `<state>/stacks/<project>/<stack>.json`, with a lock file beside it.

    Raises DeployError for a name that is none.
    """

    def __init__(self, state_dir: Path, project: str, stack: str) -> None:
        check_name("project", project)
        check_name("stack", stack)
        self.path = state_dir / "stacks" / project / f"{stack}.json"
        self._stack = stack

    def load(self) -> State:
        """Read the state; a stack never deployed has an empty one. Raises DeployError when it cannot be read."""
        try:
            document = json.loads(self.path.read_text())
        except FileNotFoundError:
            return State()
        except (OSError, ValueError) as error:
            raise DeployError(f"cannot read the stack's state {self.path}: {error}") from error
        if document.get("version") != _VERSION:
            raise DeployError(
                f"the stack's state {self.path} has version {document.get('version')}, expected {_VERSION}: "
                "it was written by another release; destroy the stack with that one, or remove the file"
            )
        return State(
            resources=[Resource(**item) for item in document["resources"]],
            pending=[
                PendingOperation(item["operation"], Resource(**item["resource"]), item["started"])
                for item in document["pending"]
            ],
            outputs=document["outputs"],
        )

    def save(self, state: State) -> None:
        """Replace the file by this state, whole or not at all."""
        document = {"version": _VERSION, **asdict(state)}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        scratch = self.path.with_suffix(".json.new")
        scratch.unlink(missing_ok=True)
        descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE)
        with os.fdopen(descriptor, "w") as file:
            json.dump(document, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(self.path)

    def remove(self) -> None:
        """Forget a stack that has nothing left."""
        self.path.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Generator[None]:
        """Keep other deploys of this stack out. Raises DeployError when one is under way."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise DeployError(
                    f"stack {self._stack} is being deployed by process {file.read().strip() or '?'}; wait for it to end"
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield


def copy_of(state: State) -> State:
    """Copy a state so that a preview can play on it; property values are shared, as nothing changes them in place."""
    return State(
        resources=[replace(resource) for resource in state.resources],
        pending=[replace(pending, resource=replace(pending.resource)) for pending in state.pending],
        outputs=state.outputs,
    )
