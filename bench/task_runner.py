"""This task runner, deployed in the same way as by its users."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

import yaml

from bench.cloud import LocalCloud
from bench.deployed_worker import DeployedWorker
from bench.errors import MeasuredSystemError
from bench.node import ROOT
from local import LOCAL_ACCOUNT_ID

_PROGRAM = ("__main__.py", "components", "worker", "local", "pyproject.toml", "Pulumi.yaml")

Setting = str | int | bool


class TaskRunner(DeployedWorker):
    """A stack of this project on a local Cloudflare.

    Args:
        name: its name in the tables.
        cloud: where it is deployed; what is deployed is deleted with it.
        env: the stack's `env`; different for each stack of a cloud.
        settings: the stack's other settings; missing ones have their defaults.
    """

    durability = "the task, with an fsync: a crash loses nothing, for a message that was lost is sent again"

    def __init__(self, name: str, cloud: LocalCloud, env: str = "stg", **settings: Setting) -> None:
        super().__init__(name, cloud, f"task-runner-{env}")
        self._env = env
        self.settings = settings
        self.abilities = frozenset({"batches", "delays"})

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory(prefix="bench-stack-")
        for name in _PROGRAM:
            (Path(self._folder.name) / name).symlink_to(ROOT / name)
        self.configure(**self.settings)
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()

    def configure(self, **settings: Setting) -> None:
        """Deploy it with these settings."""
        config: dict[str, Setting] = {
            "cloudflare:baseUrl": self.cloud.instance.base_url,
            "cloudflare:apiToken": self.cloud.instance.api_token,
            "ephemera:account_id": LOCAL_ACCOUNT_ID,
            "ephemera:env": self._env,
            "ephemera:public": True,
            **{f"ephemera:{key}": value for key, value in settings.items()},
        }
        stack = f"bench-{self._env}"
        (Path(self._folder.name) / f"Pulumi.{stack}.yaml").write_text(yaml.safe_dump({"config": config}))
        words = [sys.executable, "-m", "local", "up", "--stack", stack, "--state", str(self.cloud.state_dir)]
        done = subprocess.run(words, cwd=self._folder.name, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != 0:
            raise MeasuredSystemError(f"python -m local up: {done.stdout}{done.stderr}")
