"""The Pulumi program: declares one task runner from the stack's config. As a plugin it serves the component instead."""

import pulumi

from components import TaskRunner, read_stack_config
from components.host import is_plugin_process, serve

SETTINGS = ("account_id", "env", "state_store", "engine", "former_state_stores", "former_engines", "former_shards")

if is_plugin_process():
    serve()
else:
    args = read_stack_config()
    runner = TaskRunner("task-runner", args)
    for name in SETTINGS:
        pulumi.export(name, getattr(args, name))
    for name, value in runner.outputs.items():
        pulumi.export(name, value)
