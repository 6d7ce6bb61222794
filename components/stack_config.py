"""Reads a stack's config and checks all of it before anything is created."""

from __future__ import annotations

import difflib
import json
import shlex
from collections.abc import Iterator
from typing import Any

import pulumi
from pulumi.runtime import config as runtime_config

from .cloudflare_api import is_loopback
from .provider_settings import default_base_url
from .rules import ApiTokens, ListOf, OneOf, Rule, WebhookSecrets, is_secret
from .schedules import Schedules, field_of
from .task_runner_args import TaskRunnerArgs, defaults, find_problems, missing_token, rules

PLACEHOLDERS = {
    "account_id": "<account id>",
    "api_tokens": '"operator:operate:$(openssl rand -hex 32)"',
    "callback_secrets": '"whsec_$(openssl rand -base64 32)"',
    "cors_origins": "<origin>",
    "dead_letter_api_token": "<API token>",
    "http_allowed_hosts": "<host>",
    "zone_id": "<zone id>",
}
"""Placeholders in suggested commands, for values that only the user knows."""

SECRETS = frozenset(name for name, rule in rules().items() if is_secret(rule))
"""Settings that must be stored encrypted."""


class StackConfigError(pulumi.RunError):
    """A stack's config has values that cannot be deployed; the message lists all of them."""


def read_stack_config() -> TaskRunnerArgs:
    """Read the current stack's config.

    Raises:
        StackConfigError: a key is unknown, or a value is bad or missing. For each the message says what was expected,
            what came, and how to correct it.
    """
    texts = _project_config()
    values = {key: _parsed(key, rule, texts) for key, rule in rules().items()} | _of_this_machine(texts)
    problems = [*_unknown_keys(texts), *_bad_values(values)]
    if problems:
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        raise StackConfigError(f"{count} in the config of stack {pulumi.get_stack()}:\n" + "\n".join(problems))
    for key in SECRETS.intersection(texts):
        if values[key] and not _is_secret(key) and not _is_local():
            pulumi.log.warn(f"{key} is readable in the stack's file; to encrypt it: {_set(key, '<value>')}")
    return TaskRunnerArgs(**values)


def _parsed(key: str, rule: Rule, texts: dict[str, str]) -> Any:
    text = texts.get(key, "")
    return rule.parse(text) if text else defaults().get(key, "")


def _of_this_machine(texts: dict[str, str]) -> dict[str, Any]:
    """Return the settings that a stack on the local Cloudflare can leave out.

    Its Worker reads dead letters with the token that ``python -m local up`` adds to the config; the token is only valid
    for that local Cloudflare.
    """
    key = "dead_letter_api_token"
    token = pulumi.Config("cloudflare").get("apiToken")
    has_queue = texts.get("engine", defaults()["engine"]) == "queue"
    is_given = _is_local() and has_queue and not texts.get(key) and token and rules()[key].accepts(token)
    return {key: token} if is_given else {}


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
            mend = f"{_remove(key)}{_AND[_is_local()]}{_set(nearest, value)}"
            yield f"  {key}: unknown setting, did you mean {nearest}?\n      {mend}"


_AND = {True: ", ", False: " && "}
"""What joins two corrections: a line break between lines of a file, ``&&`` between commands."""


def _bad_values(values: dict[str, Any]) -> Iterator[str]:
    missing = missing_token(values, default_base_url())
    for place, expected, found in [*find_problems(values), *([(*missing, "nothing")] if missing else [])]:
        key = field_of(place)
        got = "a secret" if values[key] and _is_secret(key) else found
        if place != key:
            mend = _mend_part(place)
        elif expected.startswith("expected to be unset"):
            mend = _remove(key)
        else:
            mend = _set(key, _good_value(key, rules()[key], str(values[key])))
        yield f"  {place}: {expected}, got {got}\n      {mend}"


def _good_value(key: str, rule: Rule, text: str) -> str:
    """Return a value to suggest: the one that the user most likely wants."""
    if isinstance(rule, ListOf):
        rule = rule.item
    if isinstance(rule, OneOf):
        nearest = difflib.get_close_matches(text.lower(), rule.words, n=1, cutoff=0.5)
        if nearest:
            return nearest[0]
    default = defaults().get(key, "")
    return PLACEHOLDERS.get(key) or ("<value>" if default in ("", ()) else str(default).lower())


def _is_secret(key: str) -> bool:
    full_key = f"{pulumi.get_project()}:{key}"
    return runtime_config.is_config_secret(full_key) or full_key in runtime_config.get_config_secret_keys_env()


def _is_local() -> bool:
    """Tell whether the stack is deployed to the local Cloudflare, which needs no Pulumi CLI."""
    base_url = default_base_url()
    return bool(base_url) and is_loopback(str(base_url))


def _set(key: str, value: str) -> str:
    is_list = isinstance(rules().get(key), ListOf | ApiTokens | WebhookSecrets | Schedules)
    if _is_local():
        written = value if value.startswith(("<", '"')) else json.dumps(value)
        line = f"{pulumi.get_project()}:{key}: {f'[{written}]' if is_list else value}"
        return f"in Pulumi.{pulumi.get_stack()}.yaml: {line}"
    quoted = value if value == PLACEHOLDERS.get(key) or value.startswith("<") else shlex.quote(value)
    secret = "--secret " if key in SECRETS else ""
    path = f"--path '{key}[0]'" if is_list else key
    return f"pulumi config set {secret}{path} {quoted} --stack {pulumi.get_stack()}"


def _mend_part(place: str) -> str:
    """Return how the user changes a part of a structured setting."""
    if _is_local():
        return f"in Pulumi.{pulumi.get_stack()}.yaml, below {pulumi.get_project()}:{field_of(place)}"
    return f"pulumi config set --path {shlex.quote(place)} <value> --stack {pulumi.get_stack()}"


def _remove(key: str) -> str:
    if _is_local():
        return f"in Pulumi.{pulumi.get_stack()}.yaml: remove the line {pulumi.get_project()}:{key}"
    return f"pulumi config rm {key} --stack {pulumi.get_stack()}"
