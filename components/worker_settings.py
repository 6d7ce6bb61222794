"""What the Worker is told of a stack's settings, by bindings that are no resources."""

from __future__ import annotations

import pulumi
import pulumi_cloudflare as cloudflare

from components.shards import shard_binding
from components.state_store import Bindings
from components.task_runner_args import MAX_SHARDS, Environment, TaskRunnerArgs

RATE_LIMIT_NAMESPACES: dict[Environment, str] = {"dev": "4101", "stg": "4102", "uat": "4103", "prod": "4104"}
"""Whole numbers of our choice: Workers of an account that use the same one count together
(https://developers.cloudflare.com/workers/runtime-apis/bindings/rate-limit/)."""

SHARDS_BINDING = "SHARDS"

RESERVED_BINDINGS = frozenset(
    {"API_TOKENS", "CORS_ORIGINS", "DB", "FORMER_UNTIL", "HTTP_ALLOWED_HOSTS", "KV", "RATE_LIMITER", "TASK_DLQ"}
    | {"DELIVERY_DELAY_SECONDS", "RATE_LIMIT_PERIOD_SECONDS", SHARDS_BINDING, "TASK_DO", "TASK_QUEUE", "TASK_WORKFLOW"}
    | {shard_binding(binding, number) for binding in ("DB", "TASK_QUEUE") for number in range(MAX_SHARDS)}
)
"""Names that the Worker would take for its own, in this deployment or in another."""


def settings_bindings(args: TaskRunnerArgs) -> Bindings:
    """Return the bindings, by name; those of a setting that is off are left out."""
    texts = {
        "MAX_RETRIES": str(args.max_retries),
        "RETRY_DELAY_SECONDS": str(args.retry_delay_seconds),
        "RETRY_BACKOFF": args.retry_backoff,
        "RETRY_MAX_DELAY_SECONDS": str(args.retry_max_delay_seconds),
        "DELIVERY_DELAY_SECONDS": str(args.delivery_delay_seconds or ""),
        "CORS_ORIGINS": " ".join(args.cors_origins),
        "HTTP_ALLOWED_HOSTS": " ".join(args.http_allowed_hosts),
        SHARDS_BINDING: "" if args.shards == 1 else str(args.shards),
    }
    bindings: Bindings = {name: plain_text(name, text) for name, text in texts.items() if text}
    if args.api_tokens:
        tokens = pulumi.Output.secret(" ".join(args.api_tokens))
        bindings["API_TOKENS"] = cloudflare.WorkerVersionBindingArgs(type="secret_text", name="API_TOKENS", text=tokens)
    if args.rate_limit_requests:
        period = "RATE_LIMIT_PERIOD_SECONDS"
        bindings[period] = plain_text(period, str(args.rate_limit_period_seconds))
        bindings["RATE_LIMITER"] = cloudflare.WorkerVersionBindingArgs(
            type="ratelimit",
            name="RATE_LIMITER",
            namespace_id=RATE_LIMIT_NAMESPACES[args.env],
            simple=cloudflare.WorkerVersionBindingSimpleArgs(
                limit=args.rate_limit_requests, period=args.rate_limit_period_seconds
            ),
        )
    return bindings


def plain_text(name: str, text: str) -> cloudflare.WorkerVersionBindingArgs:
    """Return the binding of a text that everybody may read who can see the Worker."""
    return cloudflare.WorkerVersionBindingArgs(type="plain_text", name=name, text=text)
