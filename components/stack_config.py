"""A stack's config, checked as a whole before anything is created."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Iterator
from typing import Any

import pulumi
from pulumi.runtime import config as runtime_config

from components.rules import OneOf, Rule
from components.task_runner_args import TaskRunnerArgs, defaults, find_problems, rules, shown

PLACEHOLDERS = {
    "account_id": "<account id>",
    "api_tokens": '"$(openssl rand -hex 32)"',
    "cors_origins": "<origins>",
    "http_allowed_hosts": "<hosts>",
}
"""What to write in a command's place of a value that only the user knows."""

SECRETS = frozenset({"api_tokens"})
"""Settings that are to be kept encrypted."""


class StackConfigError(pulumi.RunError):
    """A stack's config has values that cannot be deployed; the message lists all of them."""


def read_stack_config() -> TaskRunnerArgs:
    """Read the current stack's config.

    Raises:
        StackConfigError: there is an unknown key or a bad or missing value; the message tells of every one what was
            expected, what came, and which command mends it.
    """
    texts = _project_config()
    values = {key: _parsed(key, rule, texts) for key, rule in rules().items()}
    problems = [*_unknown_keys(texts), *_bad_values(values)]
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise StackConfigError(f"{count} in the config of stack {pulumi.get_stack()}:\n" + "\n".join(problems))
    for key in SECRETS.intersection(texts):
        if texts[key] and not _is_secret(key) and not pulumi.Config("cloudflare").get("baseUrl"):
            pulumi.log.warn(f"{key} is readable in the stack's file; to encrypt it: {_set(key, '<value>')}")
    return TaskRunnerArgs(**values)


def _parsed(key: str, rule: Rule, texts: dict[str, str]) -> Any:
    text = texts.get(key, "")
    return rule.parse(text) if text else defaults().get(key, "")


def _project_config() -> dict[str, str]:
    """Return the config of this project by key, without its namespace; ``pulumi.Config`` cannot list its keys."""
    config = {**runtime_config.get_config_env(), **runtime_config.CONFIG.get()}
    namespace = f"{pulumi.get_project()}:"
    return {key.removeprefix(namespace): str(value) for key, value in config.items() if key.startswith(namespace)}


def _unknown_keys(texts: dict[str, str]) -> Iterator[str]:
    for key, text in texts.items():
        if key in rules():
            continue
        nearest = next(iter(difflib.get_close_matches(key, rules(), n=1)), None)
        if nearest is None:
            yield f"  {key}: unknown setting, expected one of {', '.join(rules())}\n      {_remove(key)}"
        else:
            value = "<value>" if _is_secret(key) or nearest in SECRETS else text
            yield (f"  {key}: unknown setting, did you mean {nearest}?\n      {_remove(key)} && {_set(nearest, value)}")


def _bad_values(values: dict[str, Any]) -> Iterator[str]:
    for key, expected in find_problems(values):
        got = "a secret" if values[key] and _is_secret(key) else shown(key, values[key])
        is_useless = expected.startswith("expected to be unset")
        mend = _remove(key) if is_useless else _set(key, _good_value(key, rules()[key], str(values[key])))
        yield f"  {key}: {expected}, got {got}\n      {mend}"


def _good_value(key: str, rule: Rule, text: str) -> str:
    """Return the value that the user most likely wants."""
    if isinstance(rule, OneOf):
        nearest = difflib.get_close_matches(text.lower(), rule.words, n=1, cutoff=0.5)
        if nearest:
            return nearest[0]
    return PLACEHOLDERS.get(key) or str(defaults()[key]).lower()


def _is_secret(key: str) -> bool:
    full_key = f"{pulumi.get_project()}:{key}"
    return runtime_config.is_config_secret(full_key) or full_key in runtime_config.get_config_secret_keys_env()


def _set(key: str, value: str) -> str:
    quoted = value if value == PLACEHOLDERS.get(key) or value.startswith("<") else shlex.quote(value)
    secret = "--secret " if key in SECRETS else ""
    return f"pulumi config set {secret}{key} {quoted} --stack {pulumi.get_stack()}"


def _remove(key: str) -> str:
    return f"pulumi config rm {key} --stack {pulumi.get_stack()}"
