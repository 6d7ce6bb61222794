"""What a ``TaskRunner`` can be told: its settings, their defaults and the range of each."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_type_hints

from components.rules import OneOf, Pattern, Rule, WholeNumber

StateStore = Literal["d1"]
Engine = Literal["queue"]
Environment = Literal["dev", "stg", "uat", "prod"]

# https://developers.cloudflare.com/queues/platform/limits/
MAX_DELAY_SECONDS = 86_400
MAX_RETRIES = 100
MAX_BATCH_SIZE = 100
MAX_WAIT_TIME_MS = 60_000
MAX_CONCURRENCY = 250
MIN_RETENTION_SECONDS = 60
MAX_RETENTION_SECONDS = 1_209_600
DEFAULT_RETENTION_SECONDS = 345_600
MAX_VISIBILITY_TIMEOUT_MS = 43_200_000


_BatchSize = Annotated[int, WholeNumber(1, MAX_BATCH_SIZE)]
_Retries = Annotated[int, WholeNumber(0, MAX_RETRIES)]
_DelaySeconds = Annotated[int, WholeNumber(0, MAX_DELAY_SECONDS)]
_RetentionSeconds = Annotated[int, WholeNumber(MIN_RETENTION_SECONDS, MAX_RETENTION_SECONDS)]


@dataclass(frozen=True, kw_only=True)
class TaskRunnerArgs:
    """The settings of a ``TaskRunner``.

    Raises:
        ValueError: a value is out of its range; the message tells of every such value.
    """

    account_id: Annotated[str, Pattern(r"[0-9a-f]{32}", "a Cloudflare account id (32 hexadecimal digits)")]
    """The Cloudflare account to deploy to."""

    state_store: Annotated[StateStore, OneOf(get_args(StateStore))] = "d1"
    """Where task state lives."""

    engine: Annotated[Engine, OneOf(get_args(Engine))] = "queue"
    """What carries a task to its handler."""

    env: Annotated[Environment, OneOf(get_args(Environment))] = "dev"
    """The environment: every resource's name ends in it, so that environments share an account without touching."""

    batch_size: _BatchSize = 10
    """Most messages that the consumer takes at once."""

    max_wait_time_ms: Annotated[int, WholeNumber(0, MAX_WAIT_TIME_MS)] = 0
    """Longest wait for a batch to fill, in milliseconds; 0 starts a lone task at once (Cloudflare's own default is
    5,000)."""

    max_retries: _Retries = 5
    """Retries after the first attempt; a message that has used them up goes to the dead-letter queue."""

    retry_delay_seconds: _DelaySeconds = 0
    """Wait before a retry, in seconds."""

    max_concurrency: Annotated[int, WholeNumber(1, MAX_CONCURRENCY)] = MAX_CONCURRENCY
    """Most batches in work at the same time; Cloudflare scales up to it by itself."""

    delivery_delay_seconds: _DelaySeconds = 0
    """Wait before a message's first delivery, in seconds."""

    message_retention_seconds: _RetentionSeconds = DEFAULT_RETENTION_SECONDS
    """How long the queue keeps a message that nobody took, in seconds."""

    dlq_message_retention_seconds: _RetentionSeconds = DEFAULT_RETENTION_SECONDS
    """How long the dead-letter queue keeps a dead letter, in seconds."""

    dlq_batch_size: _BatchSize = 10
    """Most dead letters in one pull that names no batch size."""

    dlq_max_retries: _Retries = MAX_RETRIES
    """How often a dead letter that was pulled but not acknowledged can be pulled again before it is dropped."""

    dlq_retry_delay_seconds: _DelaySeconds = 0
    """Wait before a returned dead letter can be pulled again, in seconds."""

    dlq_visibility_timeout_ms: Annotated[int, WholeNumber(0, MAX_VISIBILITY_TIMEOUT_MS)] = 30_000
    """How long a pulled dead letter is hidden from other pulls, in milliseconds."""

    def __post_init__(self) -> None:
        problems = [
            f"{name}: expected {rule.expected}, got {getattr(self, name)!r}"
            for name, rule in rules().items()
            if not rule.accepts(getattr(self, name))
        ]
        if problems:
            raise ValueError("\n".join(problems))


def rules() -> dict[str, Rule]:
    """Return the rule of each setting, by name, in the order of declaration."""
    hints = get_type_hints(TaskRunnerArgs, include_extras=True)
    return {name: get_args(hint)[1] for name, hint in hints.items()}


def defaults() -> dict[str, Any]:
    """Return the default of each setting that has one, by name."""
    fields = dataclasses.fields(TaskRunnerArgs)
    return {each.name: each.default for each in fields if each.default is not dataclasses.MISSING}
