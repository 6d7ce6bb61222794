"""What a stack must be deployed with for this suite: handlers beside the built-in ones, and these settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

HANDLERS = sorted(file for file in (Path(__file__).parent / "handlers").iterdir() if file.is_file())

TOKENS = ("first-token-" + "0" * 32, "second-token-" + "1" * 32)

RATE_LIMIT_REQUESTS = 500
"""Within a minute, of one address and of one token: more than the suite sends with the first."""

ORIGIN = "https://app.example"

CALLBACK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # noqa: S105 it is published
"""That of the example that is published with the specification."""


SCHEDULE = {"name": "new-year", "cron": "0 0 1 1 *", "timezone": "Europe/Berlin", "handler": "slug", "payload": "Hi"}
"""A schedule of the stack, which hardly ticks while the suite runs."""


ALERTS = {"failure_percent": 1, "failure_min_tasks": 1, "hold_seconds": 0, "dead_letters": 1_000_000}
"""Limits of the stack's alerts, one of which the suite reaches."""


def settings(receiver_port: int, engine: str = "queue", state_store: str = "d1") -> dict[str, Any]:
    """Return the stack's config.

    Args:
        receiver_port: of the server on this machine that takes what the http handler delivers.
        engine: the stack's; priorities are the queue's alone.
        state_store: the stack's. With kv there are no alerts: what they ask for would be counted before the suite has
            done anything, and stand for 15 minutes.
    """
    return {
        "api_tokens": [f"first:operate:{TOKENS[0]}", f"second:read:{TOKENS[1]}"],
        "rate_limit_requests": RATE_LIMIT_REQUESTS,
        "rate_limit_period_seconds": 60,
        "cors_origins": [ORIGIN],
        "callback_secrets": [CALLBACK_SECRET],
        "http_allowed_hosts": [f"127.0.0.1:{receiver_port}"],
        "schedules": [SCHEDULE],
        **({"priorities": True} if engine == "queue" else {}),
        "log_destinations": ["logs"],
        "trace_sampling_rate": 0.5,
        "trace_destinations": ["traces"],
        "trace_persist": False,
        "alerts": {} if state_store == "kv" else {"url": f"http://127.0.0.1:{receiver_port}/alerts", **ALERTS},
    }
