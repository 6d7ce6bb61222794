"""The task runner on Cloudflare as Pulumi resources."""

from components.former_parts import FormerParts, read_former_parts
from components.stack_config import StackConfigError, read_stack_config
from components.task_runner import TaskRunner
from components.task_runner_args import TaskRunnerArgs

__all__ = ["FormerParts", "StackConfigError", "TaskRunner", "TaskRunnerArgs", "read_former_parts", "read_stack_config"]
