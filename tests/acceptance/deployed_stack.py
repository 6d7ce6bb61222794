"""A deployed stack as the acceptance suite knows it: its outputs, its URL and Cloudflare's REST API."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from components.cloudflare_api import (
    CLOUDFLARE_API_URL,
    ApiError,
    CloudflareApi,
    NotFoundError,
    RefusedTokenError,
    UnreachableError,
)
from local.deploy.errors import DeployError
from local.deploy.outputs import read_outputs
from local.instance import Instance


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

    def get(self, path: str) -> Any:
        """Return the result of a GET below the stack's account."""
        return self.api.get(f"accounts/{self['account_id']}/{path}")

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the result of a POST below the stack's account."""
        return self.api.post(f"accounts/{self['account_id']}/{path}", body)


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
    api = CloudflareApi(base_url, token)
    worker = _deployed_worker(api, name, outputs)
    return DeployedStack(outputs, api, outputs.get("url") or worker["subdomain"]["url"])


def _deployed_worker(api: CloudflareApi, stack: str, outputs: dict[str, Any]) -> dict[str, Any]:
    try:
        return api.get(f"accounts/{outputs['account_id']}/workers/workers/{outputs['worker_name']}")
    except NotFoundError as error:
        raise NotReadyError(
            f"stack {stack} is not deployed any more, its Worker {outputs['worker_name']} is gone: "
            f"run `{_how_to_deploy(stack)}` first"
        ) from error
    except RefusedTokenError as error:
        raise NotReadyError(f"{api.base_url} refuses the API token (CLOUDFLARE_API_TOKEN): {error}") from error
    except UnreachableError as error:
        raise NotReadyError(str(error)) from error
    except ApiError as error:
        raise NotReadyError(f"expected to read stack {stack} from {api.base_url}, got {error}") from error


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
