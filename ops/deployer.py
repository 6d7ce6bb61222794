"""Deploys a stack: by the Pulumi CLI, or, on the local Cloudflare, by `local/`, which needs no CLI."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from components.cloudflare_api import is_loopback
from local import Instance
from local.pulumi import PROJECT_FILE, DeployError, read_values
from ops.console import command_output
from ops.deployed_stack import NotReadyError
from ops.planned_change import Step

INSTALL_URL = "https://www.pulumi.com/docs/install/"


class Deployer(Protocol):
    """Deploys a stack. Each method raises NotReadyError if it fails."""

    @property
    def name(self) -> str:
        """The name of the program that deploys, and its version."""
        ...

    def preview(self) -> list[Step]:
        """Return what ``up`` would do."""
        ...

    def up(self, *, delete_data: bool) -> None:
        """Deploy the program's present state. Data is deleted only if ``delete_data`` is true."""
        ...

    def destroy(self) -> None:
        """Delete all resources of the stack."""
        ...

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources of the stack's state, in the form of Pulumi's checkpoint; empty if there is no stack."""
        ...

    def set_config(self, key: str, value: str) -> None:
        """Set one of the project's settings in the stack's file; an empty value unsets it."""
        ...


def find_deployer(stack: str, state_dir: Path, *, with_pulumi: bool, output_to_stderr: bool) -> Deployer:
    """Return the deployer for a stack.

    Args:
        stack: the stack's name.
        state_dir: the folder of the local Cloudflare's state.
        with_pulumi: whether to use the Pulumi CLI for a stack on the local Cloudflare too.
        output_to_stderr: whether its output must not go to stdout.

    Raises:
        NotReadyError: there is no such stack, or no program that could deploy it.
    """
    base_url = str(stack_values(stack).get("cloudflare:baseUrl") or "")
    output = command_output(to_stderr=output_to_stderr)
    if base_url and is_loopback(base_url) and not with_pulumi:
        if Instance.find(state_dir) is None:
            option = "" if state_dir == Path(".local") else f" --state {state_dir}"
            raise NotReadyError(f"the local Cloudflare is not running: run `python -m local start{option}` first")
        return LocalDeploy(stack, state_dir, output)
    if shutil.which("pulumi") is None:
        raise NotReadyError(f"stack {stack} needs the Pulumi CLI, and there is no `pulumi` on the path: {INSTALL_URL}")
    return PulumiCli(stack, output)


def stack_values(stack: str) -> dict[str, Any]:
    """Return the values of the stack's file as they are written; an encrypted value is a mapping.

    Raises:
        NotReadyError: the current folder is not a Pulumi program, or the stack has no file.
    """
    file = Path(f"Pulumi.{stack}.yaml")
    if not Path(PROJECT_FILE).exists():
        raise NotReadyError(f"expected {PROJECT_FILE} in this folder: run this where the program is")
    if not file.exists():
        known = sorted(each.name.split(".")[1] for each in Path().glob("Pulumi.*.yaml"))
        raise NotReadyError(f"there is no {file} (known stacks: {', '.join(known) or 'none'})")
    try:
        return read_values(file)
    except DeployError as error:
        raise NotReadyError(str(error)) from error


def _run(command: Sequence[str], output: int | None) -> None:
    """Run a command and show its output."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(command, stdout=output, stdin=subprocess.DEVNULL, env=environment, check=False)  # noqa: S603
    if done.returncode != 0:
        raise NotReadyError(f"`{_readable(command)}` failed with exit code {done.returncode}; see above")


def _ask(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False)  # noqa: S603


def _readable(command: Sequence[str]) -> str:
    words = ["python", *command[1:]] if command[0] == sys.executable else command
    return " ".join(words)


def _document(command: Sequence[str], done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    try:
        document = json.loads(done.stdout)
    except ValueError:
        document = None
    if isinstance(document, dict):
        return document  # pyright: ignore[reportUnknownVariableType]
    said = done.stderr.strip() or done.stdout.strip() or "nothing"
    raise NotReadyError(f"expected JSON from `{_readable(command)}`, got: {said}")


class LocalDeploy:
    """``python -m local``, for a stack on the local Cloudflare."""

    name: str = "python -m local"

    def __init__(self, stack: str, state_dir: Path, output: int | None) -> None:
        self._stack = stack
        self._state_dir = state_dir
        self._output = output

    def preview(self) -> list[Step]:
        """Return what ``up`` would do."""
        command = self._command("preview", "--json")
        done = _ask(command)
        document = _document(command, done)
        if done.returncode != 0:
            raise NotReadyError("\n".join(document["errors"]) or done.stderr.strip())
        return [Step(step["action"], step["urn"], tuple(step["changes"])) for step in document["steps"]]

    def up(self, *, delete_data: bool) -> None:
        """Deploy the program's present state."""
        _run(self._command("up", *(["--delete-data"] if delete_data else [])), self._output)

    def destroy(self) -> None:
        """Delete all resources of the stack."""
        _run(self._command("destroy", "--delete-data"), self._output)  # the user has already said yes to it

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources of the stack's state."""
        return [
            each
            for file in (self._state_dir / "stacks").glob(f"*/{self._stack}.json")
            for each in _resources(json.loads(file.read_text(encoding="utf-8")))
        ]

    def set_config(self, key: str, value: str) -> None:
        """Set one of the project's settings in the stack's file."""
        _run([sys.executable, "-m", "local", "config", "set", key, value, "--stack", self._stack], self._output)

    def _command(self, name: str, *options: str) -> list[str]:
        words = ["--stack", self._stack, "--state", str(self._state_dir), *options]
        return [sys.executable, "-m", "local", name, *words]


class PulumiCli:
    """The Pulumi CLI, for any stack."""

    def __init__(self, stack: str, output: int | None) -> None:
        self._stack = stack
        self._output = output

    @property
    def name(self) -> str:
        """The CLI and its version."""
        return f"pulumi {_ask(['pulumi', 'version']).stdout.strip()}"

    def preview(self) -> list[Step]:
        """Return what ``up`` would do.

        It reads the JSON of ``pulumi preview --json`` (https://www.pulumi.com/docs/iac/cli/commands/pulumi_preview/):
        its steps, and the program's messages in ``diagnostics``.
        """
        command = self._command("preview", "--json")
        done = _ask(command)
        document = _document(command, done)
        if done.returncode != 0:
            errors = [
                each["message"].strip() for each in document.get("diagnostics", []) if each["severity"] == "error"
            ]
            raise NotReadyError("\n".join(errors) or done.stderr.strip() or "the preview failed")
        return [Step(each["op"], each["urn"], _differing(each)) for each in document.get("steps", [])]

    def up(self, *, delete_data: bool) -> None:  # noqa: ARG002 Pulumi asks nobody about data: what is protected stays
        """Deploy the program's present state."""
        _run(self._command("up", "--yes", "--skip-preview"), self._output)

    def destroy(self) -> None:
        """Delete all resources of the stack."""
        _run(self._command("destroy", "--yes", "--skip-preview"), self._output)

    def resources(self) -> list[dict[str, Any]]:
        """Return the resources of the stack's state."""
        command = ["pulumi", "stack", "export", "--stack", self._stack]
        done = _ask(command)
        return [] if done.returncode != 0 else _resources(_document(command, done))

    def set_config(self, key: str, value: str) -> None:
        """Set one of the project's settings in the stack's file, or remove it."""
        change = ["set", key, value] if value else ["rm", key]
        _run(["pulumi", "config", *change, "--stack", self._stack], self._output)

    def _command(self, name: str, *options: str) -> list[str]:
        return ["pulumi", name, "--stack", self._stack, "--non-interactive", *options]


def _differing(step: Mapping[str, Any]) -> tuple[str, ...]:
    detailed: Mapping[str, Any] = step.get("detailedDiff") or {}
    return tuple(detailed) or tuple(step.get("diffReasons") or step.get("replaceReasons") or ())


def _resources(checkpoint: Mapping[str, Any]) -> list[dict[str, Any]]:
    deployment: Mapping[str, Any] = checkpoint.get("deployment") or {}
    resources: list[dict[str, Any]] = deployment.get("resources") or []
    return [each for each in resources if each.get("custom") and not each.get("delete")]
