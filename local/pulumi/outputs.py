"""Reads the outputs of a deployed stack, for tests and scripts."""

from pathlib import Path

from local.pulumi.errors import DeployError
from local.pulumi.names import check_name
from local.pulumi.state_file import StateFile
from local.pulumi.wire import Properties, reveal


def read_outputs(state_dir: Path, stack: str = "local", project: str = "") -> Properties:
    """Return a stack's outputs in plain text, secrets included. `project` is only needed if several have such a stack.

    Raises DeployError if the stack is not deployed, or there are several.
    """
    return reveal(stack_outputs(state_dir, stack, project))


def stack_outputs(state_dir: Path, stack: str, project: str = "") -> Properties:
    """Return a stack's outputs with secrets marked; it raises the same errors."""
    check_name("stack", stack)
    files = sorted((state_dir / "stacks").glob(f"{project or '*'}/{stack}.json"))
    if len(files) > 1:
        names = ", ".join(file.parent.name for file in files)
        raise DeployError(f"several projects have a stack {stack} in {state_dir}: {names}; name one")
    state = StateFile(state_dir, files[0].parent.name, stack).load() if files else None
    if state is None or not state.resources:
        raise DeployError(f"stack {stack} is not deployed in {state_dir}: run `python -m local up --stack {stack}`")
    return state.outputs
