"""A stack's configuration, computed as the Pulumi CLI does: Pulumi.yaml's defaults, then Pulumi.<stack>.yaml."""

import ipaddress
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import yaml

from local.pulumi.errors import DeployError
from local.pulumi.names import check_name

PROJECT_FILE = "Pulumi.yaml"
_BASE_URL = "cloudflare:baseUrl"
_API_TOKEN = "cloudflare:apiToken"  # noqa: S105 a key's name
# Replaced by the running instance's own values, so the stack's (even encrypted ones) do not matter.
_OVERRIDDEN = {_BASE_URL, _API_TOKEN}

_KEY = re.compile(r"[\w.-]+:[\w.-]+(?:[\[.][\w\"\].-]*)?", re.ASCII)
_PLAIN = re.compile(r"true|false|-?\d{1,15}|[A-Za-z][A-Za-z0-9_./-]*(?<!null)")
_SCALAR_TYPES = frozenset({"string", "integer", "boolean"})


@dataclass(frozen=True)
class StackConfig:
    """The configuration that a program of this stack reads: strings by their full keys; and which keys are secret."""

    project: str
    stack: str
    values: dict[str, str]
    secret_keys: frozenset[str]

    @property
    def base_url(self) -> str:
        """The API that the stack names; "" for Cloudflare itself."""
        return self.values.get(_BASE_URL, "")

    def require_loopback(self) -> None:
        """Refuse a stack that is not for the local Cloudflare. Raises DeployError."""
        if _is_loopback(self.base_url):
            return
        target = self.base_url or "Cloudflare itself"
        raise DeployError(
            f"stack {self.stack} deploys to {target}; this command only deploys to a Cloudflare on this machine "
            f"({_BASE_URL} in Pulumi.{self.stack}.yaml on a loopback address). "
            f"Take the Pulumi CLI: pulumi up --stack {self.stack}"
        )

    def for_instance(self, base_url: str, api_token: str) -> "StackConfig":
        """Return the same configuration with the running instance's address and token."""
        values = {**self.values, _BASE_URL: base_url, _API_TOKEN: api_token}
        return StackConfig(self.project, self.stack, values, self.secret_keys | {_API_TOKEN})


def project_name(project_dir: Path) -> str:
    """Read the project's name. Raises DeployError if there is no usable Pulumi.yaml."""
    name = _read_yaml(project_dir / PROJECT_FILE, "run this command in the folder of a Pulumi program").get("name")
    if not isinstance(name, str) or not name:
        raise DeployError(f"{PROJECT_FILE} has no `name`")
    check_name("project", name)
    return name


def load_config(project_dir: Path, stack: str) -> StackConfig:
    """Compute a stack's configuration. Raises DeployError that lists every wrong or missing value."""
    check_name("stack", stack)
    project = project_name(project_dir)
    file_name = f"Pulumi.{stack}.yaml"
    known = sorted(path.name[len("Pulumi.") : -len(".yaml")] for path in project_dir.glob("Pulumi.*.yaml"))
    given = read_values(project_dir / file_name, f"known stacks: {', '.join(known) or 'none'}")
    schema = read_values(project_dir / PROJECT_FILE)
    reader = _Reader(project, file_name)
    for key, declaration in schema.items():
        reader.declare(key, declaration, given)
    for key, value in given.items():
        reader.take(key, value)
    if reader.problems:
        raise DeployError("\n".join(reader.problems))
    return StackConfig(project, stack, reader.values, frozenset(reader.secret_keys))


def set_value(project_dir: Path, stack: str, key: str, value: str) -> None:
    """Set one value in a stack's file, and leave all other lines unchanged. Raises DeployError.

    Like `pulumi config set`, it recognises true, false and whole numbers.
    """
    check_name("stack", stack)
    full_key = key if ":" in key else f"{project_name(project_dir)}:{key}"
    if not _KEY.fullmatch(full_key):
        raise DeployError(f"{key!r} cannot be a key: expected letters, digits, hyphens, underscores and periods")
    path = project_dir / f"Pulumi.{stack}.yaml"
    values = read_values(path) if path.exists() else {}
    written = f"  {full_key}: {value if _PLAIN.fullmatch(value) else json.dumps(value, ensure_ascii=False)}\n"
    lines = path.read_text().splitlines(keepends=True) if path.exists() else []
    lines = [line if line.endswith("\n") else f"{line}\n" for line in lines]
    if full_key in values:
        start = next((i for i, line in enumerate(lines) if _names(line, full_key)), None)
        if start is None:
            raise DeployError(f"{path.name} writes {full_key} in a way that this cannot change: edit the file")
        end = start + 1
        indent = len(lines[start]) - len(lines[start].lstrip())
        while end < len(lines) and lines[end].strip() and len(lines[end]) - len(lines[end].lstrip()) > indent:
            end += 1
        lines[start:end] = [" " * indent + written.lstrip()]
    else:
        heading = next((i for i, line in enumerate(lines) if line.rstrip() == "config:"), None)
        if heading is None and any(line.startswith("config:") for line in lines):
            lines = [line for line in lines if line.strip() not in ("config: {}", "config: null")]
        if heading is None:
            lines.append("config:\n")
            heading = len(lines) - 1
        lines.insert(heading + 1, written)
    path.write_text("".join(lines))


def _names(line: str, key: str) -> bool:
    return re.match(rf"\s+([\"']?){re.escape(key)}\1\s*:(\s|$)", line) is not None


def read_values(path: Path, hint: str = "") -> dict[str, Any]:
    """Read what is below `config:` in a file; keys are strings, whatever YAML takes them for. Raises DeployError."""
    config: object = _read_yaml(path, hint).get("config")
    if not isinstance(config, dict | None):
        got = json.dumps(config, default=str)
        raise DeployError(f"{path.name}: `config:` must be a mapping of keys to values, got {got}")
    return {str(key): value for key, value in cast("dict[Any, Any]", config or {}).items()}


class _Reader:
    """Collects values and problems, so that all problems of a stack are reported at once."""

    def __init__(self, project: str, file_name: str) -> None:
        self._project = project
        self._file_name = file_name
        stack = file_name[len("Pulumi.") : -len(".yaml")]
        self._option = "" if stack == "local" else f" --stack {stack}"
        self._types: dict[str, str] = {}
        self.values: dict[str, str] = {}
        self.secret_keys: set[str] = set()
        self.problems: list[str] = []

    def declare(self, key: str, declaration: Any, given: Mapping[str, Any]) -> None:
        """Read one entry of Pulumi.yaml's `config`: a schema with a default, or a plain value."""
        full_key = key if ":" in key else f"{self._project}:{key}"
        if not isinstance(declaration, dict):
            self.values[full_key] = _as_text(declaration)
            return
        schema = cast("dict[str, Any]", declaration)
        if schema.get("secret"):
            self.secret_keys.add(full_key)
        if "type" in schema:
            self._types[full_key] = schema["type"]
        default = schema.get("default", schema.get("value"))
        if default is not None:
            self.values[full_key] = _as_text(default)
        elif full_key not in given and "value" not in schema:
            self.problems.append(
                f"{self._file_name}: {full_key} is missing ({schema.get('type', 'any type')}, no default): "
                f"`python -m local config set {key} VALUE{self._option}` sets it"
            )

    def take(self, key: str, value: Any) -> None:
        """Read one value of the stack's own file."""
        if ":" not in key:
            self.problems.append(f"{self._file_name}: key {key} needs a namespace: write {self._project}:{key}")
        elif key in _OVERRIDDEN and not isinstance(value, str):
            return
        elif isinstance(value, dict) and "secure" in value:
            self.problems.append(
                f"{self._file_name}: {key} is encrypted, and only the Pulumi CLI can decrypt it: "
                "for a local stack write the value in plain, or take `pulumi up`"
            )
        elif isinstance(value, dict | list) and self._types.get(key) in _SCALAR_TYPES:
            self.problems.append(
                f"{self._file_name}: {key} must be of type {self._types[key]}, got a "
                f"{'list' if isinstance(value, list) else 'mapping'}"  # not its text, which may be a secret
            )
        elif value is not None:
            # The program checks whether a text is the wanted integer or boolean: it checks all of its values together.
            self.values[key] = _as_text(value)


def _as_text(value: Any) -> str:
    """Return a value as the program reads it; YAML has scalars that JSON lacks (dates)."""
    return json.dumps(value, default=str) if isinstance(value, bool | int | float | dict | list) else str(value)


class _UniqueKeyLoader(yaml.SafeLoader):
    """Refuses duplicate keys, as the Pulumi CLI does; PyYAML itself would take the last one."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key in [key for key, _ in node.value if isinstance(key, yaml.ScalarNode)]:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value} is there twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _read_yaml(path: Path, hint: str) -> dict[str, Any]:
    try:
        document = _UniqueKeyLoader(path.read_text()).get_single_data()
    except FileNotFoundError:
        raise DeployError(f"there is no {path.name} in {path.parent.resolve()} ({hint})") from None
    except (OSError, yaml.YAMLError) as error:
        raise DeployError(f"cannot read {path.name}: {error}") from error
    if not isinstance(document, dict | None):
        raise DeployError(f"{path.name} must be a mapping")
    return cast("dict[str, Any]", document or {})


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
