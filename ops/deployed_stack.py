"""A deployed stack, found by its name: its outputs, its URL with a token, and Cloudflare's REST API."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from components.cloudflare_api import (
    CLOUDFLARE_API_URL,
    ApiError,
    CloudflareApi,
    NotFoundError,
    RefusedTokenError,
    UnreachableError,
)
from components.rules import read_api_tokens
from local import Instance
from local.pulumi import DeployError, read_outputs, read_values
from ops.client import TaskRunnerClient

TOKEN_VARIABLE = "TASK_RUNNER_TOKEN"  # noqa: S105 a variable's name
"""The environment variable with the token for the task runner's API."""


class NotReadyError(Exception):
    """The stack cannot be used; the message is one line for the user."""


@dataclass(frozen=True)
class DeployedStack:
    """A stack that is deployed."""

    outputs: dict[str, Any]
    base_url: str
    """The URL of Cloudflare's API."""
    api_token: str = field(repr=False)
    """The token for Cloudflare's API."""

    def __getitem__(self, output: str) -> Any:
        return self.outputs[output]

    @property
    def url(self) -> str:
        """The Worker's address."""
        return self.outputs["url"]

    @cached_property
    def api(self) -> CloudflareApi:
        """A client of Cloudflare's API."""
        return CloudflareApi(self.base_url, self.api_token)

    @property
    def deployed_versions(self) -> dict[str, float]:
        """The ids of the Worker's versions that get traffic, each with its share in per cent."""
        deployments = self.get(f"workers/scripts/{self['worker_name']}/deployments")["deployments"]
        return {each["version_id"]: each["percentage"] for each in deployments[0]["versions"]} if deployments else {}

    def get(self, path: str) -> Any:
        """Return the result of a GET; the path is relative to the stack's account."""
        return self.api.get(f"accounts/{self['account_id']}/{path}")

    def post(self, path: str, body: dict[str, Any]) -> Any:
        """Return the result of a POST; the path is relative to the stack's account."""
        return self.api.post(f"accounts/{self['account_id']}/{path}", body)


def find_deployed_stack(name: str, state_dir: Path) -> DeployedStack:
    """Find a stack by its name. Its outputs always have a `url`.

    Raises:
        NotReadyError: it is not deployed, or the API refuses the token or cannot be reached.
    """
    outputs = _outputs(name, state_dir)
    config = _stack_config(name)
    instance = _local_instance(name, state_dir)
    base_url = instance.base_url if instance else config.get("cloudflare:baseUrl") or CLOUDFLARE_API_URL
    given = os.environ.get("CLOUDFLARE_API_TOKEN") or config.get("cloudflare:apiToken")
    token = instance.api_token if instance else given
    if not token:
        raise NotReadyError("no API token: set CLOUDFLARE_API_TOKEN to the token that the stack was deployed with")
    stack = DeployedStack(outputs, base_url, token)
    worker = _deployed_worker(stack, name)
    address = worker["subdomain"].get("url")
    # The stack's domain leads to the real Cloudflare, not to the local Worker.
    url = (address or outputs.get("url")) if instance else (outputs.get("url") or address)
    return DeployedStack({**outputs, "url": url}, base_url, token)


def connect(name: str, state_dir: Path) -> TaskRunnerClient:
    """Return a client of a stack's task runner. If the outputs have the URL, Cloudflare's API is not called.

    Raises:
        NotReadyError: the stack is not deployed, or cannot be reached.
    """
    outputs = _outputs(name, state_dir)
    known = None if _local_instance(name, state_dir) else outputs.get("url")
    return TaskRunnerClient(known or find_deployed_stack(name, state_dir).url, task_runner_token(name))


def task_runner_token(stack: str) -> str | None:
    """Return a token for the task runner's API. None if there is none: the API may be open to all.

    It is taken from the environment, or else is the first token with the role operate in the stack's file: plain tokens
    first, then secret ones.
    """
    given = os.environ.get(TOKEN_VARIABLE)
    if given:
        return given
    text = _stack_config(stack).get("ephemera:api_tokens") or _pulumi("config", "get", "api_tokens", "--stack", stack)
    return next((token["token"] for token in read_api_tokens(text or "") if token["role"] == "operate"), None)


def _outputs(name: str, state_dir: Path) -> dict[str, Any]:
    outputs = _local_outputs(name, state_dir) or _pulumi_outputs(name)
    if not outputs:
        raise NotReadyError(f"stack {name} is not deployed: run `{_how_to_deploy(name)}` first")
    return outputs


def _deployed_worker(stack: DeployedStack, name: str) -> dict[str, Any]:
    try:
        return stack.get(f"workers/workers/{stack['worker_name']}")
    except NotFoundError as error:
        raise NotReadyError(
            f"stack {name} is not deployed any more, its Worker {stack['worker_name']} is gone: "
            f"run `{_how_to_deploy(name)}` first"
        ) from error
    except RefusedTokenError as error:
        raise NotReadyError(f"{stack.base_url} refuses the API token (CLOUDFLARE_API_TOKEN): {error}") from error
    except UnreachableError as error:
        raise NotReadyError(str(error)) from error
    except ApiError as error:
        raise NotReadyError(f"expected to read stack {name} from {stack.base_url}, got {error}") from error


def _how_to_deploy(stack: str) -> str:
    return "make up" if stack == "local" else f"pulumi up --stack {stack}"


def _stack_config(stack: str) -> dict[str, str]:
    """Return the plain values of the stack's file, without secrets."""
    file = Path(f"Pulumi.{stack}.yaml")
    try:
        values = read_values(file) if file.exists() else {}
    except DeployError as error:
        raise NotReadyError(str(error)) from error
    plain = {key: json.dumps(value) if isinstance(value, list) else value for key, value in values.items()}
    return {key: value for key, value in plain.items() if isinstance(value, str)}


def _pulumi_outputs(stack: str) -> dict[str, Any] | None:
    printed = _pulumi("stack", "output", "--json", "--show-secrets", "--stack", stack)
    return None if printed is None else json.loads(printed)


def _pulumi(*arguments: str) -> str | None:
    """Return the output of the Pulumi CLI; None if there is no such CLI, or the command fails."""
    if shutil.which("pulumi") is None:
        return None
    done = subprocess.run(["pulumi", *arguments], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return done.stdout if done.returncode == 0 else None


def _local_outputs(stack: str, state_dir: Path) -> dict[str, Any] | None:
    """Return the outputs of the deployment without the Pulumi CLI, if the stack was deployed that way."""
    try:
        return read_outputs(state_dir, stack)
    except DeployError:
        return None


def _local_instance(stack: str, state_dir: Path) -> Instance | None:
    if _local_outputs(stack, state_dir) is None:
        return None
    instance = Instance.find(state_dir)
    if instance is None:
        raise NotReadyError(f"the local Cloudflare of stack {stack} is not running: run `python -m local start` first")
    return instance
