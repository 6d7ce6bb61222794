"""The task runner on Cloudflare as Pulumi resources."""

from components.stack_config import StackConfigError, read_stack_config
from components.task_runner import TaskRunner
from components.task_runner_args import TaskRunnerArgs

__all__ = ["StackConfigError", "TaskRunner", "TaskRunnerArgs", "read_stack_config"]
