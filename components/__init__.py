"""The task runner on Cloudflare as Pulumi resources."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .schedules import Schedule
    from .stack_config import StackConfigError, read_stack_config
    from .task_runner import TaskRunner
    from .task_runner_args import ApiToken, TaskRunnerArgs

__all__ = ["ApiToken", "Schedule", "StackConfigError", "TaskRunner", "TaskRunnerArgs", "read_stack_config"]

_MODULES = {
    "ApiToken": "task_runner_args",
    "Schedule": "schedules",
    "StackConfigError": "stack_config",
    "TaskRunner": "task_runner",
    "TaskRunnerArgs": "task_runner_args",
    "read_stack_config": "stack_config",
}


def __getattr__(name: str) -> Any:
    # Importing the provider takes a second, and a client of the deployed task runner does not need it.
    if name in _MODULES:
        return getattr(import_module(f".{_MODULES[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
