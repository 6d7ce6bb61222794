"""Deploys a Worker again with a meter between it and its bindings; its own modules are uploaded unchanged."""

from __future__ import annotations

import base64
import json
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from bench.deployed_worker import DeployedWorker

_METER = Path(__file__).parent / "meter.js"
_MAIN, _METER_NAME = "bench-metered.js", "bench-meter.js"
_KEPT = ("compatibility_date", "compatibility_flags", "exports")

Counts = dict[str, dict[str, int]]
"""Units by name, by what started the code that used them: fetch, queue, scheduled, object, workflow."""


class Meter:
    """The counts of a metered Worker."""

    def __init__(self, worker: DeployedWorker) -> None:
        self._url = f"{worker.url}/.meter"

    def reset(self) -> None:
        """Reset the counts."""
        httpx.delete(self._url, trust_env=False).raise_for_status()

    def sweep(self) -> dict[str, int]:
        """Run what the cron trigger runs, and return what that uses."""
        self.reset()
        return httpx.post(self._url, trust_env=False, timeout=60).raise_for_status().json()["scheduled"]

    def read(self) -> Counts:
        """Return the counts."""
        return httpx.get(self._url, trust_env=False).raise_for_status().json()


@contextmanager
def metered(worker: DeployedWorker) -> Generator[Meter]:
    """Deploy the Worker's latest version with a meter, and afterwards without it again."""
    version = worker.version()
    upload(worker, version, _with_meter(version))
    try:
        yield Meter(worker)
    finally:
        upload(worker, version, {"main_module": version["main_module"], "modules": version["modules"]})


def upload(worker: DeployedWorker, version: dict[str, Any], code: dict[str, Any]) -> None:
    """Deploy a version with the settings and bindings of another one."""
    inherited = [{"type": "inherit", "name": binding["name"]} for binding in version["bindings"]]
    kept = {key: version[key] for key in _KEPT if version.get(key) is not None}
    path = f"/workers/workers/{worker.worker_name}/versions?deploy=true"
    worker.cloud.post(path, {**kept, **code, "bindings": inherited})


def _with_meter(version: dict[str, Any]) -> dict[str, Any]:
    types = {binding["name"]: binding["type"] for binding in version["bindings"]}
    entry = [
        f"import * as worker from './{version['main_module']}';",
        f"import {{ meteredObject, meteredWorker, meteredWorkflow }} from './{_METER_NAME}';",
        f"const types = {json.dumps(types)};",
        f"export * from './{version['main_module']}';",  # an export below hides one of the same name from here
        "export default meteredWorker(worker.default, types);",
    ]
    for binding in version["bindings"]:
        if binding["type"] in _METERED_CLASSES:
            name = binding["class_name"]
            entry.append(f"export const {name} = {_METERED_CLASSES[binding['type']]}(worker.{name}, types);")
    own = [_module(_MAIN, "\n".join(entry)), _module(_METER_NAME, _METER.read_text())]
    return {"main_module": _MAIN, "modules": [*version["modules"], *own]}


_METERED_CLASSES = {"durable_object_namespace": "meteredObject", "workflow": "meteredWorkflow"}


def _module(name: str, text: str) -> dict[str, str]:
    content = base64.b64encode(text.encode()).decode()
    return {"name": name, "content_type": "application/javascript+module", "content_base64": content}
