"""The task runner on Cloudflare as Pulumi resources."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from components.former_parts import FormerParts, read_former_parts
    from components.stack_config import StackConfigError, read_stack_config
    from components.task_runner import TaskRunner
    from components.task_runner_args import TaskRunnerArgs

__all__ = ["FormerParts", "StackConfigError", "TaskRunner", "TaskRunnerArgs", "read_former_parts", "read_stack_config"]

_MODULES = {
    "FormerParts": "former_parts",
    "StackConfigError": "stack_config",
    "TaskRunner": "task_runner",
    "TaskRunnerArgs": "task_runner_args",
    "read_former_parts": "former_parts",
    "read_stack_config": "stack_config",
}


def __getattr__(name: str) -> Any:
    # The provider takes a second to import, and a client of the deployed task runner needs none of it.
    if name in _MODULES:
        return getattr(import_module(f"components.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
