"""What a ``TaskRunner`` can be told: its settings, their defaults and the range of each."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal, cast, get_args, get_type_hints

from components.rules import Choice, OneOf, OnlyWith, Pattern, Rule, Truth, WholeNumber, Words

StateStore = Literal["d1", "kv", "durable-object"]
Engine = Literal["queue", "workflow"]
Environment = Literal["dev", "stg", "uat", "prod"]
DurableObjectData = Literal["keep", "delete"]
Backoff = Literal["exponential", "constant"]
RateLimitPeriod = Literal[10, 60]

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

MAX_SHARDS = 16
"""Of our choice: an answer of `GET /stats` asks all of them."""

# Of our choice: what a typing error hardly exceeds.
MAX_RATE_LIMIT_REQUESTS = 1_000_000
MAX_TOKENS = 10
MAX_ORIGINS = 20
MAX_HOSTS = 50

TOKEN = "tokens of 32 to 128 letters, digits or . _ ~ -"  # noqa: S105 it says what a token is
ORIGIN = "origins in lower case such as https://app.example or http://localhost:5173"
HOST = "hosts in lower case such as api.example, api.example:8443 or *.example"

GUARDED_ENVIRONMENTS = frozenset({"uat", "prod"})
"""Where nobody may call without a token, unless the stack says so."""

QUEUE_ONLY = OnlyWith("engine", "queue", "a workflow has no queue, batches or dead letters")

_BatchSize = Annotated[int, WholeNumber(1, MAX_BATCH_SIZE), QUEUE_ONLY]
_DelaySeconds = Annotated[int, WholeNumber(0, MAX_DELAY_SECONDS), QUEUE_ONLY]
_RetentionSeconds = Annotated[int, WholeNumber(MIN_RETENTION_SECONDS, MAX_RETENTION_SECONDS), QUEUE_ONLY]


@dataclass(frozen=True, kw_only=True)
class TaskRunnerArgs:
    """The settings of a ``TaskRunner``.

    Raises:
        ValueError: a value is out of its range, or is set and has no use; the message tells of every such value.
    """

    account_id: Annotated[str, Pattern(r"[0-9a-f]{32}", "a Cloudflare account id (32 hexadecimal digits)")]
    """The Cloudflare account to deploy to."""

    state_store: Annotated[StateStore, OneOf(get_args(StateStore))] = "d1"
    """Where task state lives."""

    engine: Annotated[Engine, OneOf(get_args(Engine))] = "queue"
    """What carries a task to its handler."""

    env: Annotated[Environment, OneOf(get_args(Environment))] = "dev"
    """The environment: every resource's name ends in it, so that environments share an account without touching."""

    shards: Annotated[int, WholeNumber(1, MAX_SHARDS)] = 1
    """How many databases (``d1``) and queues (``queue``) tasks are spread over, for rates that one cannot take."""

    max_retries: Annotated[int, WholeNumber(0, MAX_RETRIES)] = 5
    """Retries after the first attempt; a message that has used them up goes to the dead-letter queue, a workflow
    instance ends errored."""

    retry_delay_seconds: Annotated[int, WholeNumber(0, MAX_DELAY_SECONDS)] = 1
    """Wait before the first retry, in seconds; of a message that names no task, before each."""

    retry_backoff: Annotated[Backoff, OneOf(get_args(Backoff))] = "exponential"
    """Whether the wait doubles with each retry. Chance makes each one up to half shorter, so that tasks that failed
    together do not come back together."""

    retry_max_delay_seconds: Annotated[int, WholeNumber(1, MAX_DELAY_SECONDS)] = 3_600
    """The longest wait before a retry, in seconds."""

    api_tokens: Annotated[tuple[str, ...], Words(r"[A-Za-z0-9._~-]{32,128}", TOKEN, MAX_TOKENS, is_secret=True)] = (
        dataclasses.field(default=(), repr=False)
    )
    """Who has one of these may call the API; several let one replace another without a gap. A secret."""

    public: Annotated[bool, Truth()] = False
    """Whether everybody may call the API, in an environment that otherwise needs tokens."""

    rate_limit_requests: Annotated[int, WholeNumber(0, MAX_RATE_LIMIT_REQUESTS)] = 0
    """Most requests of one token within a period, or of one address where there are no tokens; 0 is no limit."""

    rate_limit_period_seconds: Annotated[int, Choice(get_args(RateLimitPeriod))] = 60
    """That period, in seconds."""

    cors_origins: Annotated[
        tuple[str, ...], Words(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?", ORIGIN, MAX_ORIGINS)
    ] = ()
    """The origins of web pages elsewhere that may call the API from a browser."""

    http_allowed_hosts: Annotated[
        tuple[str, ...], Words(r"(\*\.)?[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?", HOST, MAX_HOSTS)
    ] = ()
    """The hosts that the handler ``http`` may deliver to."""

    batch_size: _BatchSize = 10
    """Most messages that the consumer takes at once."""

    max_wait_time_ms: Annotated[int, WholeNumber(0, MAX_WAIT_TIME_MS), QUEUE_ONLY] = 0
    """Longest wait for a batch to fill, in milliseconds; 0 starts a lone task at once (Cloudflare's own default is
    5,000)."""

    max_concurrency: Annotated[int, WholeNumber(1, MAX_CONCURRENCY), QUEUE_ONLY] = MAX_CONCURRENCY
    """Most batches in work at the same time; Cloudflare scales up to it by itself."""

    delivery_delay_seconds: _DelaySeconds = 0
    """Wait before the first attempt at a task that asks for no delay, in seconds."""

    message_retention_seconds: _RetentionSeconds = DEFAULT_RETENTION_SECONDS
    """How long the queue keeps a message that nobody took, in seconds."""

    dlq_message_retention_seconds: _RetentionSeconds = DEFAULT_RETENTION_SECONDS
    """How long the dead-letter queue keeps a dead letter, in seconds."""

    dlq_batch_size: _BatchSize = 10
    """Most dead letters in one pull that names no batch size."""

    dlq_max_retries: Annotated[int, WholeNumber(0, MAX_RETRIES), QUEUE_ONLY] = MAX_RETRIES
    """How often a dead letter that was pulled but not acknowledged can be pulled again before it is dropped."""

    dlq_retry_delay_seconds: _DelaySeconds = 0
    """Wait before a returned dead letter can be pulled again, in seconds."""

    dlq_visibility_timeout_ms: Annotated[int, WholeNumber(0, MAX_VISIBILITY_TIMEOUT_MS), QUEUE_ONLY] = 30_000
    """How long a pulled dead letter is hidden from other pulls, in milliseconds."""

    durable_object_data: Annotated[DurableObjectData, OneOf(get_args(DurableObjectData))] = "keep"
    """What becomes of Durable Objects once another store is in use: kept, though their tasks delete themselves in time,
    or deleted for good with their class."""

    def __post_init__(self) -> None:
        values = dataclasses.asdict(self)
        problems = [f"{name}: {expected}, got {shown(name, values[name])}" for name, expected in find_problems(values)]
        if problems:
            raise ValueError("\n".join(problems))


def find_problems(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Give the name of each bad setting and what is expected of it: by itself, then beside the others."""
    bad = {name for name, value in values.items() if not rules()[name].accepts(value)}
    for name, value in values.items():
        if name in bad:
            yield name, f"expected {rules()[name].expected}"
        elif value != defaults().get(name):
            useless = _useless(name, values)
            if useless:
                yield name, useless
    yield from (problem for problem in _contradictions(values) if problem[0] not in bad)


def shown(name: str, value: object) -> str:
    """Return a value as an error may show it."""
    if value in ("", ()):
        return "nothing"
    rule = rules()[name]
    if isinstance(rule, Words) and rule.is_secret:
        return "a secret"
    return repr(" ".join(cast("tuple[str, ...]", value)) if isinstance(value, tuple) else value)


def _contradictions(values: dict[str, Any]) -> Iterator[tuple[str, str]]:
    first, longest = values["retry_delay_seconds"], values["retry_max_delay_seconds"]
    if isinstance(first, int) and isinstance(longest, int) and first > longest:
        yield "retry_delay_seconds", f"expected at most retry_max_delay_seconds, which is {longest}"
    if values["durable_object_data"] == "delete" and values["state_store"] == "durable-object":
        yield "durable_object_data", "expected keep while state_store is durable-object, which needs its objects"
    if values["shards"] != 1 and values["state_store"] in {"kv", "durable-object"} and values["engine"] == "workflow":
        combination = f"state_store {values['state_store']} and engine workflow"
        yield "shards", f"expected to be unset with {combination}: there is no database and no queue"
    if values["public"] is True and values["api_tokens"]:
        yield "public", "expected to be unset with api_tokens: who calls needs one"
    if values["env"] in GUARDED_ENVIRONMENTS and not values["api_tokens"] and values["public"] is not True:
        yield "api_tokens", f"expected a token in {values['env']}, or public: true to let everybody submit tasks"


def _useless(name: str, values: dict[str, Any]) -> str | None:
    conditions: list[OnlyWith] = [each for each in _hint_arguments(name) if isinstance(each, OnlyWith)]
    for condition in conditions:
        actual = values[condition.setting]
        if actual != condition.word and rules()[condition.setting].accepts(actual):
            return f"expected to be unset with {condition.setting} {actual}: {condition.reason}"
    return None


def rules() -> dict[str, Rule]:
    """Return the rule of each setting, by name, in the order of declaration."""
    return {each.name: _hint_arguments(each.name)[1] for each in dataclasses.fields(TaskRunnerArgs)}


def defaults() -> dict[str, Any]:
    """Return the default of each setting that has one, by name."""
    fields = dataclasses.fields(TaskRunnerArgs)
    return {each.name: each.default for each in fields if each.default is not dataclasses.MISSING}


def _hint_arguments(name: str) -> tuple[Any, ...]:
    return get_args(_hints()[name])


@cache
def _hints() -> dict[str, Any]:
    return get_type_hints(TaskRunnerArgs, include_extras=True)
