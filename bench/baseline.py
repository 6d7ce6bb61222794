"""The baseline: another Worker with the same API, deployed unchanged with wrangler."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from bench.cloud import LocalCloud
from bench.deployed_worker import DeployedWorker
from bench.document import WorkerSource
from bench.errors import MeasuredSystemError
from bench.node import ROOT, with_node
from local import variables

_WRANGLER = ROOT / "node_modules/.bin/wrangler"
_COMMAND_SECONDS = 120


class Baseline(DeployedWorker):
    """A Worker deployed from its source to a local Cloudflare."""

    def __init__(self, cloud: LocalCloud, source: WorkerSource) -> None:
        super().__init__("baseline", cloud, source.config["name"])
        self.source = source

    def __enter__(self) -> Self:
        self._folder = TemporaryDirectory(prefix="bench-baseline-")
        folder = Path(self._folder.name)
        for name, text in self.source.modules.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
        (folder / "schema.sql").write_text(self.source.schema)
        config = json.loads(json.dumps(self.source.config))
        for database in config.get("d1_databases", []):
            self._wrangler("d1", "create", database["database_name"])
            [created] = self.cloud.get(f"/d1/database?name={database['database_name']}")
            database["database_id"] = created["uuid"]
        for queue in _queues(config):
            self._wrangler("queues", "create", queue)
        (folder / "wrangler.json").write_text(json.dumps(config))
        if self.source.schema:
            for database in config.get("d1_databases", []):
                self._wrangler("d1", "execute", database["database_name"], "--remote", "--file=schema.sql")
        self._wrangler("deploy")
        return self

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()  # its deployed resources are deleted with the local Cloudflare

    def _wrangler(self, *words: str) -> None:
        environment = with_node() | variables(self.cloud.instance)
        environment |= {"CI": "1", "WRANGLER_SEND_METRICS": "false", "WRANGLER_HIDE_BANNER": "true"}
        done = subprocess.run(  # noqa: S603
            [_WRANGLER, *words],
            cwd=self._folder.name,
            env=environment,
            capture_output=True,
            text=True,
            timeout=_COMMAND_SECONDS,
            check=False,
        )
        if done.returncode != 0:
            raise MeasuredSystemError(f"wrangler {' '.join(words)}: {done.stdout}{done.stderr}")


def _queues(config: dict[str, object]) -> list[str]:
    """Return the names of a config's queues, dead-letter queues first: a consumer must name an existing one."""
    queues: dict[str, list[dict[str, str]]] = json.loads(json.dumps(config.get("queues", {})))
    consumers, producers = queues.get("consumers", []), queues.get("producers", [])
    dead_letters = [each["dead_letter_queue"] for each in consumers if "dead_letter_queue" in each]
    return list(dict.fromkeys([*dead_letters, *(each["queue"] for each in [*producers, *consumers])]))
