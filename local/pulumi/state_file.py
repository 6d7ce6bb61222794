"""The file with a stack's state: JSON, readable by its owner only, replaced as a whole after each step."""

import fcntl
import json
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from local.pulumi import checkpoint
from local.pulumi.errors import DeployError
from local.pulumi.names import check_name
from local.pulumi.state import PendingOperation, Resource, State

# The number of the format that releases before this one wrote.
_OWN_VERSION = 1
_PRIVATE = 0o600


class StateFile:
    """The file of one stack: `<state>/stacks/<project>/<stack>.json`, with a lock file beside it.

    Raises DeployError for an invalid name.
    """

    def __init__(self, state_dir: Path, project: str, stack: str) -> None:
        check_name("project", project)
        check_name("stack", stack)
        self.path = state_dir / "stacks" / project / f"{stack}.json"
        self._stack = stack
        self._project = project

    def load(self) -> State:
        """Read the state; a stack never deployed has an empty one. Raises DeployError if it cannot be read."""
        try:
            document = json.loads(self.path.read_text())
        except FileNotFoundError:
            return State()
        except (OSError, ValueError) as error:
            raise DeployError(f"cannot read the stack's state {self.path}: {error}") from error
        if document.get("version") == _OWN_VERSION:
            return _read_own(document)
        if document.get("version") != checkpoint.VERSION:
            raise DeployError(
                f"the stack's state {self.path} has version {document.get('version')}, expected {checkpoint.VERSION}: "
                "it was written by another release; destroy the stack with that one, or remove the file"
            )
        return checkpoint.read(document)

    def save(self, state: State) -> None:
        """Replace the file by this state, atomically."""
        document = checkpoint.write(state, self._stack, self._project)
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
        """Delete the state of a stack that has no resources left."""
        self.path.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Generator[None]:
        """Keep other deployments of this stack out. Raises DeployError if one is running."""
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


def _read_own(document: dict[str, Any]) -> State:
    """Read the format of releases before this one; the next save writes Pulumi's."""
    return State(
        resources=[Resource(**item) for item in document["resources"]],
        pending=[
            PendingOperation(item["operation"], Resource(**item["resource"]), item["started"])
            for item in document["pending"]
        ],
        outputs=document["outputs"],
    )
