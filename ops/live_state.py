"""The live-state report: what a stack has after a deployment, written to `live/NAME.md`."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from local.pulumi import name_of
from ops.acceptance import Check
from ops.deployer import stack_values

FOLDER = Path("live")
SECRET = "(secret)"  # noqa: S105 stands in a secret's place
SECRET_SETTINGS = frozenset({"api_tokens"})


@dataclass(frozen=True)
class Confirmation:
    """Who said yes, and how and when."""

    by: str
    how: str
    at: datetime


@dataclass(frozen=True)
class Resource:
    """A resource that the stack has on Cloudflare."""

    kind: str
    name: str
    """Cloudflare's name of the resource."""
    id: str


@dataclass(frozen=True)
class LiveState:
    """The contents of the report."""

    stack: str
    status: str
    """``live``, ``failed``, ``rolled-back`` or ``gone``."""
    last_action: str
    confirmation: Confirmation
    settings: Mapping[str, Any]
    outputs: Mapping[str, Any] = field(default_factory=dict[str, Any])
    resources: Sequence[Resource] = ()
    checks: Sequence[Check] = ()
    versions: Mapping[str, str] = field(default_factory=dict[str, str])
    """What was deployed and by what: the Worker's versions with their shares, the program's commit, the deployer."""
    remarks: Sequence[str] = ()


def write_report(state: LiveState) -> Path:
    """Write the report in place of the previous one; return the file's path."""
    FOLDER.mkdir(exist_ok=True)
    path = FOLDER / f"{state.stack}.md"
    path.write_text(report(state), encoding="utf-8")
    return path


def report(state: LiveState) -> str:
    """Return the report: the Live State of the task runner's document, with the real values."""
    moment = written(datetime.now(UTC))
    verified = moment if state.checks and all(each.passed for each in state.checks) else "—"
    header = {"status": state.status, "last_action": state.last_action, "last_verified": verified}
    confirmed = {
        "resolved_by": state.confirmation.by,
        "resolved_how": state.confirmation.how,
        "resolved_at": written(state.confirmation.at),
    }
    values = {name: value for name, value in state.outputs.items() if name not in state.settings}
    parts: list[str] = [
        f"# Live state of stack {state.stack}\n",
        "Written by `python -m ops deploy` and `teardown`; the next one replaces it.\n",
        _yaml(header),
        *(f"> {remark}\n" for remark in state.remarks),
        "## Resolved inputs\n",
        _yaml({"resolved_inputs": {**state.settings, **confirmed}}),
    ]
    if values or state.versions:
        parts += ["## Values\n", _table(("key", "value"), {**values, **state.versions}.items())]
    if state.resources:
        rows = [(each.kind, each.name, each.id) for each in state.resources]
        parts += ["## Resources\n", _table(("kind", "name", "id"), rows)]
    if state.checks:
        results = [(each.name, each.expected, each.observed, "✔" if each.passed else "✘") for each in state.checks]
        parts += ["## Checks\n", _table(("✔ check", "expected", "observed", "result"), results)]
    return "\n".join(parts)


def written(moment: datetime) -> str:
    """Format a time, to the second."""
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _yaml(values: Mapping[str, Any]) -> str:
    return f"```yaml\n{yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=120)}```\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
    return " ".join(text.replace("|", "\\|").split()) or "—"


def resolved_settings(stack: str, project: str = "ephemera") -> dict[str, Any]:
    """Return the settings in a stack's file, by name; secrets are hidden.

    Raises:
        NotReadyError: the stack has no file.
    """
    values = stack_values(stack)
    named = {key.removeprefix(f"{project}:"): value for key, value in values.items() if key.startswith(f"{project}:")}
    return {name: SECRET if _is_secret(name, value) else value for name, value in named.items()}


def _is_secret(name: str, value: Any) -> bool:
    return name in SECRET_SETTINGS or (isinstance(value, dict) and "secure" in value)


NAME_KEYS = ("queueName", "workflowName", "title", "hostname", "pattern", "name", "scriptName")
ID_KEYS = ("uuid", "queueId", "consumerId")


def resources_of(checkpoint: Iterable[Mapping[str, Any]]) -> list[Resource]:
    """Return those resources of a stack's state that are on Cloudflare."""
    return [_resource(each) for each in checkpoint if str(each["type"]).startswith("cloudflare:")]


def _resource(entry: Mapping[str, Any]) -> Resource:
    outputs: Mapping[str, Any] = {**(entry.get("inputs") or {}), **(entry.get("outputs") or {})}
    name = next((str(outputs[key]) for key in NAME_KEYS if isinstance(outputs.get(key), str)), name_of(entry["urn"]))
    identity = next((str(outputs[key]) for key in ID_KEYS if isinstance(outputs.get(key), str)), entry.get("id", ""))
    return Resource(str(entry["type"]).rsplit(":", 1)[-1], name, str(identity))


def commit_of_program() -> str:
    """Return the folder's Git commit, with a note if files differ from it; empty without Git."""
    try:
        commit = _git("rev-parse", "HEAD")
        changed = _git("status", "--porcelain")
    except (OSError, subprocess.CalledProcessError):
        return ""
    return f"{commit}{' with changes' if changed else ''}"


def _git(*arguments: str) -> str:
    command = ["git", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603


def program_version() -> str:
    """Return the task runner's version from ``pyproject.toml``; empty if there is no such file."""
    file = Path("pyproject.toml")
    found = re.search(r'^version = "(.+)"$', file.read_text(encoding="utf-8"), re.MULTILINE) if file.exists() else None
    return found[1] if found else ""
