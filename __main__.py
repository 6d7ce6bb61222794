"""The Pulumi program: one task runner, as the stack's config says."""

import pulumi

from components import TaskRunner, read_former_parts, read_stack_config

args = read_stack_config()
runner = TaskRunner("task-runner", args, former=read_former_parts(args))

for name in ("account_id", "env", "state_store", "engine"):
    pulumi.export(name, getattr(args, name))
for name, value in runner.outputs.items():
    pulumi.export(name, value)
