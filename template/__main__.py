"""A task runner with handlers of its own: the files of `handlers/`, in JavaScript or TypeScript."""

import pulumi
from ephemera import TaskRunner, TaskRunnerArgs

config = pulumi.Config()
tokens = config.get_secret_object("api_tokens") or []

runner = TaskRunner(
    "task-runner",
    TaskRunnerArgs(
        account_id=config.require("account_id"),
        env="dev",
        handlers="handlers",
        public=config.get_bool("public"),
        api_tokens=tokens,
    ),
)

pulumi.export("url", runner.url)
