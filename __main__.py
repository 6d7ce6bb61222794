"""The Pulumi program: one task runner, as the stack's config says."""

import pulumi

from components import TaskRunner, read_stack_config

args = read_stack_config()
runner = TaskRunner("task-runner", args)

SETTINGS = ("account_id", "env", "state_store", "engine", "former_state_stores", "former_engines", "former_shards")
for name in SETTINGS:
    pulumi.export(name, getattr(args, name))
for name, value in runner.outputs.items():
    pulumi.export(name, value)
