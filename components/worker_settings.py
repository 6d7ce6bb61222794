"""The stack's settings as bindings of the Worker."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import pulumi
import pulumi_cloudflare as cloudflare

from .alerts import as_json as alerts_as_json
from .dead_letters import DEAD_LETTER_BINDINGS
from .declaration import Bindings, applied, readable, text_of
from .names import Names
from .priorities import SHARES, queue_binding
from .schedules import as_json
from .shards import shard_binding
from .task_runner_args import MAX_DATABASE_MB, MAX_SHARDS, ApiToken, TaskRunnerArgs, is_plain

SHARDS_BINDING = "SHARDS"

PRIORITIES_BINDING = "PRIORITIES"

RESERVED_BINDINGS = frozenset(
    {
        "ALERTS",
        "API_TOKENS",
        "CALLBACK_ON",
        "CALLBACK_SECRETS",
        "CALLBACK_URL",
        "CF_VERSION_METADATA",
        "CORS_ORIGINS",
        "DATABASE_LIMIT_MB",
        "DB",
        "GROUP_CONCURRENCY",
        "GROUP_RATE_LIMIT",
        "GROUP_RATE_SECONDS",
        "HTTP_ALLOWED_HOSTS",
        "JURISDICTION",
    }
    | {"DELIVERY_DELAY_SECONDS", "KV", PRIORITIES_BINDING, "RATE_LIMITER", "RATE_LIMIT_PERIOD_SECONDS", "SCHEDULES"}
    | {SHARDS_BINDING}
    | DEAD_LETTER_BINDINGS
    | {"TASK_DLQ", "TASK_DO", "TASK_QUEUE", "TASK_WORKFLOW"}
    | {shard_binding("DB", number) for number in range(MAX_SHARDS)}
    | {queue_binding(priority, number) for priority in SHARES for number in range(MAX_SHARDS)}
)
"""Names of bindings that the Worker uses itself, in this deployment or in another."""


def settings_bindings(args: TaskRunnerArgs, names: Names) -> Bindings:
    """Return the bindings by name; settings that are off have none."""
    values: dict[str, Any] = {
        "MAX_RETRIES": args.max_retries,
        "RETRY_DELAY_SECONDS": args.retry_delay_seconds,
        "RETRY_BACKOFF": args.retry_backoff,
        "RETRY_MAX_DELAY_SECONDS": args.retry_max_delay_seconds,
        "KEEP_PAYLOAD": args.keep_payload,
    }
    can_be_off: dict[str, Any] = {
        "DELIVERY_DELAY_SECONDS": args.delivery_delay_seconds,
        "CORS_ORIGINS": args.cors_origins,
        "HTTP_ALLOWED_HOSTS": args.http_allowed_hosts,
        "JURISDICTION": args.jurisdiction,
        "CALLBACK_URL": args.callback_url,
        "CALLBACK_ON": args.callback_on,
        "GROUP_CONCURRENCY": args.group_concurrency,
        "GROUP_RATE_LIMIT": args.group_rate_limit,
        "GROUP_RATE_SECONDS": 0 if args.group_rate_limit == 0 else args.group_rate_seconds,
        "DATABASE_LIMIT_MB": 0 if args.database_limit_mb == MAX_DATABASE_MB else args.database_limit_mb,
        # A former engine may have such queues too, but no new task goes there.
        PRIORITIES_BINDING: "true" if args.priorities and args.engine == "queue" else "",
        SHARDS_BINDING: 0 if args.shards == 1 else args.shards,
    }
    values |= {name: value for name, value in can_be_off.items() if isinstance(value, pulumi.Output) or value}
    bindings: Bindings = {name: readable(name, text_of(value)) for name, value in values.items()}
    version = "CF_VERSION_METADATA"
    bindings[version] = cloudflare.WorkerVersionBindingArgs(type="version_metadata", name=version)
    if isinstance(args.api_tokens, pulumi.Output) or args.api_tokens:
        digests = pulumi.Output.secret(args.api_tokens).apply(_digests)
        bindings["API_TOKENS"] = cloudflare.WorkerVersionBindingArgs(
            type="secret_text", name="API_TOKENS", text=digests
        )
    if isinstance(args.callback_secrets, pulumi.Output) or args.callback_secrets:
        given: Any = args.callback_secrets
        secrets = pulumi.Output.secret(given).apply(_compact)
        bindings["CALLBACK_SECRETS"] = cloudflare.WorkerVersionBindingArgs(
            type="secret_text", name="CALLBACK_SECRETS", text=secrets
        )
    if isinstance(args.alerts, pulumi.Output) or args.alerts:
        bindings["ALERTS"] = readable(
            "ALERTS", applied(cast("Any", args.alerts), partial(alerts_as_json, names.worker))
        )
    if isinstance(args.schedules, pulumi.Output) or args.schedules:
        schedules: pulumi.Output[Any] = pulumi.Output.from_input(cast("Any", args.schedules))
        told = as_json(cast("Any", args.schedules)) if is_plain(args.schedules) else schedules.apply(as_json)
        bindings["SCHEDULES"] = readable("SCHEDULES", told)
    if args.rate_limit_requests != 0:
        period = "RATE_LIMIT_PERIOD_SECONDS"
        bindings[period] = readable(period, text_of(args.rate_limit_period_seconds))
        bindings["RATE_LIMITER"] = _rate_limiter(args, names)
    return bindings


def _rate_limiter(args: Any, names: Names) -> cloudflare.WorkerVersionBindingArgs:
    return cloudflare.WorkerVersionBindingArgs(
        type="ratelimit",
        name="RATE_LIMITER",
        namespace_id=names.rate_limit_namespace,
        simple=cloudflare.WorkerVersionBindingSimpleArgs(
            limit=args.rate_limit_requests, period=args.rate_limit_period_seconds
        ),
    )


def _compact(secrets: Sequence[str]) -> str:
    return json.dumps(list(secrets), separators=(",", ":"))


def _digests(tokens: Sequence[ApiToken]) -> str:
    """Return what the Worker knows of the tokens: each one's name, role and digest."""
    known = [
        {"name": token["name"], "role": token.get("role", "operate"), "sha256": _sha256(str(token["token"]))}
        for token in tokens
    ]
    return json.dumps(known, separators=(",", ":"))


def fingerprint(tokens: Any) -> pulumi.Input[str]:
    """Return a fingerprint of a list of tokens, which does not reveal them; empty if there are none."""
    if not isinstance(tokens, pulumi.Output) and not tokens:
        return ""
    known = pulumi.Output.from_input(cast("Any", tokens))
    return pulumi.Output.unsecret(known.apply(lambda given: _sha256(_digests(given))[:16] if given else ""))


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
