"""A deployed stack as the acceptance suite knows it: its outputs, its URL and Cloudflare's REST API."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import yaml

from components.d1_migrations import CLOUDFLARE_API_URL
from local.deploy.errors import DeployError
from local.deploy.outputs import read_outputs
from local.instance import Instance
from tests.acceptance.cloudflare_api import ApiError, CloudflareApi


class NotReadyError(Exception):
    """The stack cannot be tested; the message is one line for the user."""


@dataclass(frozen=True)
class DeployedStack:
    """A stack that is there and answers."""

    outputs: dict[str, Any]
    api: CloudflareApi
    url: str

    def __getitem__(self, output: str) -> Any:
        return self.outputs[output]


def find_deployed_stack(name: str, state_dir: Path) -> DeployedStack:
    """Find a stack by its name.

    Raises:
        NotReadyError: it is not deployed, or the API refuses the token or cannot be reached.
    """
    outputs = _local_outputs(name, state_dir) or _pulumi_outputs(name)
    if not outputs:
        raise NotReadyError(f"stack {name} is not deployed: run `{_how_to_deploy(name)}` first")
    config = _stack_config(name)
    base_url = _local_base_url(name, state_dir) or config.get("cloudflare:baseUrl") or CLOUDFLARE_API_URL
    token = os.environ.get("CLOUDFLARE_API_TOKEN") or config.get("cloudflare:apiToken")
    if not token:
        raise NotReadyError("no API token: set CLOUDFLARE_API_TOKEN to the token that the stack was deployed with")
    api = CloudflareApi(base_url, token, outputs["account_id"])
    worker = _deployed_worker(api, name, outputs["worker_name"])
    return DeployedStack(outputs, api, outputs.get("url") or worker["subdomain"]["url"])


def _deployed_worker(api: CloudflareApi, stack: str, worker_name: str) -> dict[str, Any]:
    try:
        return api.get(f"workers/workers/{worker_name}")
    except requests.RequestException as error:
        raise NotReadyError(f"{api.base_url} cannot be reached: {type(error).__name__}") from error
    except ApiError as error:
        if error.status in {400, 401, 403}:
            raise NotReadyError(f"{api.base_url} refuses the API token (CLOUDFLARE_API_TOKEN): {error}") from error
        if error.status == requests.codes.not_found:
            raise NotReadyError(
                f"stack {stack} is not deployed any more, its Worker {worker_name} is gone: "
                f"run `{_how_to_deploy(stack)}` first"
            ) from error
        raise NotReadyError(f"{api.base_url} answers {error}") from error


def _how_to_deploy(stack: str) -> str:
    return "make up" if stack == "local" else f"pulumi up --stack {stack}"


def _stack_config(stack: str) -> dict[str, str]:
    """Return the stack file's plain values; secrets are not among them."""
    file = Path(f"Pulumi.{stack}.yaml")
    config: dict[str, Any] = (yaml.safe_load(file.read_text()).get("config") if file.exists() else None) or {}
    return {key: value for key, value in config.items() if isinstance(value, str)}


def _pulumi_outputs(stack: str) -> dict[str, Any] | None:
    if shutil.which("pulumi") is None:
        return None
    command = ["pulumi", "stack", "output", "--json", "--stack", stack]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    return json.loads(done.stdout) if done.returncode == 0 else None


def _local_outputs(stack: str, state_dir: Path) -> dict[str, Any] | None:
    """Return what the deploy without the Pulumi CLI has put out, if it was that which deployed the stack."""
    try:
        return read_outputs(state_dir, stack)
    except DeployError:
        return None


def _local_base_url(stack: str, state_dir: Path) -> str | None:
    if _local_outputs(stack, state_dir) is None:
        return None
    instance = Instance.find(state_dir)
    if instance is None:
        raise NotReadyError(f"the local Cloudflare of stack {stack} is not running: run `python -m local start` first")
    return instance.base_url
