"""The Pulumi program: one task runner, as the stack's config says."""

import pulumi

from components import TaskRunner, read_stack_config

args = read_stack_config()
runner = TaskRunner("task-runner", args)

pulumi.export("url", runner.url)
pulumi.export("worker_name", runner.worker_name)
pulumi.export("account_id", args.account_id)
pulumi.export("env", args.env)
pulumi.export("state_store", args.state_store)
pulumi.export("engine", args.engine)
pulumi.export("database_name", runner.database_name)
pulumi.export("database_id", runner.database_id)
pulumi.export("queue_name", runner.queue_name)
pulumi.export("queue_id", runner.queue_id)
pulumi.export("dlq_name", runner.dlq_name)
pulumi.export("dlq_id", runner.dlq_id)
