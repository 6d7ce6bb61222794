"""What a ``TaskRunner`` can be told: its settings, their defaults and the range of each."""

# No postponed annotations here: Pulumi reads the types of the fields to give the component to other languages.

import dataclasses
from collections.abc import Awaitable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal, NotRequired, TypedDict, cast, get_args
from urllib.parse import SplitResult, urlsplit

import pulumi

from .alerts import Alerts, AlertsRule
from .alerts import problems as problems_of_alerts
from .cloudflare_api import is_loopback
from .priorities import OWN_PRIORITIES
from .rules import (
    MAX_TOKENS,
    URL,
    Anything,
    ApiTokens,
    Choice,
    CloudflareToken,
    Fraction,
    ListOf,
    OneOf,
    OnlyWith,
    Pattern,
    Rule,
    Truth,
    WebhookSecrets,
    WholeNumber,
    is_secret,
)
from .schedules import Schedule, Schedules
from .schedules import problems as problems_of_schedules

StateStore = Literal["d1", "kv", "durable-object"]
Engine = Literal["queue", "workflow"]
Environment = Literal["dev", "stg", "uat", "prod"]

STATE_STORES: tuple[StateStore, ...] = get_args(StateStore)
ENGINES: tuple[Engine, ...] = get_args(Engine)
ENVIRONMENTS: tuple[Environment, ...] = get_args(Environment)
RATE_LIMIT_PERIODS = (10, 60)
KEEP_PAYLOAD = ("unfinished", "always")

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

# https://developers.cloudflare.com/workflows/reference/limits/
MAX_WORKFLOW_RETENTION_SECONDS = 30 * 86_400
MAX_WORKFLOW_CONCURRENCY = 50_000

# https://developers.cloudflare.com/workers/platform/limits/#cpu-time; the Free plan has 10 ms, and takes no setting.
MIN_CPU_MS = 10
MAX_CPU_MS = 300_000

# https://developers.cloudflare.com/d1/platform/limits/; on the Free plan 500 MB.
MAX_DATABASE_MB = 10_000

MAX_SHARDS = 16
"""Of our choice: an answer of `GET /stats` asks all of them."""

# Of our choice: what a typing error hardly exceeds.
MAX_RATE_LIMIT_REQUESTS = 1_000_000
MAX_ORIGINS = 20
MAX_HOSTS = 50
MAX_FLAGS = 50
MAX_DESTINATIONS = 10
MAX_CALLBACK_SECRETS = 5

MAX_GROUP_LIMIT = 1_000
MAX_GROUP_RATE_SECONDS = 86_400
"""As ``worker/group.js`` has them."""

CALLBACK_ENDS = ("completed", "failed", "cancelled")

ORIGIN = "origins in lower case such as https://app.example or http://localhost:5173"
HOST = "hosts in lower case such as api.example, api.example:8443 or *.example"
HOSTNAME = r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"

QUEUE_ONLY = OnlyWith("engine", "queue", "a workflow has no queue, batches or dead letters")
WORKFLOW_ONLY = OnlyWith("engine", "workflow", "a queue has no workflow instances")

BATCH_SIZE = WholeNumber(1, MAX_BATCH_SIZE)
DELAY_SECONDS = WholeNumber(0, MAX_DELAY_SECONDS)
RETENTION_SECONDS = WholeNumber(MIN_RETENTION_SECONDS, MAX_RETENTION_SECONDS)

Text = pulumi.Input[str] | None
Whole = pulumi.Input[int] | None
Texts = pulumi.Input[Sequence[pulumi.Input[str]]] | None


class ApiToken(TypedDict):
    """A token of the API."""

    name: str
    """What stands for it in logs: a lower-case letter, then up to 31 of those, digits or hyphens."""
    role: NotRequired[str]
    """What it may do: ``submit`` tasks and look at them by their ids; ``read`` everything; ``operate``, which is all,
    and the default."""
    token: pulumi.Input[str]
    """The secret itself: 32 to 128 letters, digits or . _ ~ -"""


def setting(default: Any, rule: Rule, *conditions: OnlyWith, **options: Any) -> Any:
    """Declare a setting; its default is ``dataclasses.MISSING`` where there is none."""
    return dataclasses.field(default=default, metadata={"rule": rule, "conditions": conditions}, **options)


@dataclass(frozen=True, kw_only=True)
class TaskRunnerArgs:
    """The settings of a ``TaskRunner``.

    A setting that decides which resources there are is plain, because Pulumi must know it before any of them is made:
    ``state_store``, ``engine``, ``env``, ``shards``, the three ``former_...``, ``handlers``, ``jurisdiction``,
    ``priorities``, ``rollout_percent``, ``rollback_to``, ``durable_object_data`` and ``public``. Every other one is a
    ``pulumi.Input``. None is the same as the default.

    Raises:
        ValueError: a value is out of its range, or is set and has no use; the message tells of every such value. What
            is an output is checked once it is known, all of them together.
    """

    account_id: pulumi.Input[str] = setting(
        dataclasses.MISSING, Pattern(r"[0-9a-f]{32}", "a Cloudflare account id (32 hexadecimal digits)")
    )
    """The Cloudflare account to deploy to."""

    state_store: str | None = setting("d1", OneOf(STATE_STORES))
    """Where task state lives."""

    engine: str | None = setting("queue", OneOf(ENGINES))
    """What carries a task to its handler."""

    env: str | None = setting("dev", OneOf(ENVIRONMENTS))
    """The environment: every resource's name ends in it, so that environments share an account without touching."""

    shards: int | None = setting(1, WholeNumber(1, MAX_SHARDS))
    """How many databases (``d1``), Durable Objects (``durable-object``, which has 4 where this is 1) and queues
    (``queue``) tasks are spread over, for rates that one cannot take."""

    former_state_stores: Sequence[str] | None = setting((), ListOf(OneOf(STATE_STORES), "state stores", 3))
    """Stores of earlier deployments that still have tasks: they are read, and their tasks finished there."""

    former_engines: Sequence[str] | None = setting((), ListOf(OneOf(ENGINES), "engines", 2))
    """Engines of earlier deployments that still carry tasks."""

    former_shards: Sequence[int] | None = setting((), ListOf(WholeNumber(1, MAX_SHARDS), "numbers of shards", 16))
    """How many shards earlier deployments had, where their tasks are not over. A former store or engine has as many as
    this says, and as many as ``shards`` where it says nothing."""

    handlers: str | None = setting("", Anything("a folder"))
    """A folder of handlers beside those that the task runner brings; empty for none. A Python program's path begins at
    the program's folder; one of another language gives the whole path."""

    max_retries: Whole = setting(5, WholeNumber(0, MAX_RETRIES))
    """Retries after the first attempt; a task that has used them up leaves a dead letter, or with a workflow an errored
    instance. Messages that name no task are retried as often, and at least once."""

    retry_delay_seconds: Whole = setting(1, DELAY_SECONDS)
    """Wait before the first retry, in seconds; of a message that names no task, before each."""

    retry_backoff: Text = setting("exponential", OneOf(("exponential", "constant")))
    """Whether the wait doubles with each retry. Chance makes each one up to half shorter, so that tasks that failed
    together do not come back together."""

    retry_max_delay_seconds: Whole = setting(3_600, WholeNumber(1, MAX_DELAY_SECONDS))
    """The longest wait before a retry, in seconds."""

    api_tokens: pulumi.Input[Sequence[ApiToken]] | None = setting((), ApiTokens(MAX_TOKENS), repr=False)
    """Who has one of these may call the API, as far as its role allows; several let one replace another without a gap.
    A secret. The Worker is given their digests."""

    public: bool | None = setting(False, Truth())
    """Whether everybody may call the API: a real account needs this or tokens."""

    rate_limit_requests: Whole = setting(0, WholeNumber(0, MAX_RATE_LIMIT_REQUESTS))
    """Most requests of one address, and of one token, within a period; 0 is no limit."""

    rate_limit_period_seconds: Whole = setting(60, Choice(RATE_LIMIT_PERIODS))
    """That period, in seconds."""

    cors_origins: Texts = setting(
        (), ListOf(Pattern(r"https?://(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?", ORIGIN), ORIGIN, MAX_ORIGINS)
    )
    """The origins of web pages elsewhere that may call the API from a browser."""

    http_allowed_hosts: Texts = setting(
        (), ListOf(Pattern(r"(\*\.)?[a-z0-9][a-z0-9.-]*(:[0-9]{1,5})?", HOST), HOST, MAX_HOSTS)
    )
    """The hosts that the handler ``http`` may deliver to."""

    callback_url: Text = setting("", Pattern(URL, "a URL such as https://api.example/ended", optional=True))
    """Where it is told that a task has ended, when neither its submission nor its handler says where; its host is one
    of ``http_allowed_hosts``."""

    callback_on: Texts = setting((), ListOf(OneOf(CALLBACK_ENDS), "ends", len(CALLBACK_ENDS)))
    """Which ends are told to ``callback_url``: some of ``completed``, ``failed`` and ``cancelled``; all where it is
    empty."""

    callback_secrets: Texts = setting((), WebhookSecrets(MAX_CALLBACK_SECRETS), repr=False)
    """What callbacks are signed with. The first one signs; so do the others, for receivers that do not know it yet.
    Secrets."""

    schedules: pulumi.Input[Sequence[Schedule]] | None = setting((), Schedules())
    """What makes a task at each tick of a cron expression or an interval. They belong to the stack: the API shows them,
    pauses and resumes them, but does not change them."""

    alerts: pulumi.Input[Alerts] | None = setting((), AlertsRule())
    """Limits of the backlog's age, of dead letters, of the part of tasks that fail and of the size of databases, and a
    URL that is told when one is reached and when it is not any more."""

    group_concurrency: Whole = setting(0, WholeNumber(1, MAX_GROUP_LIMIT, "any number"))
    """How many tasks of a group run at once, of handlers that have no limits of their own."""

    group_rate_limit: Whole = setting(0, WholeNumber(1, MAX_GROUP_LIMIT, "any number"))
    """How many tasks of a group start in ``group_rate_seconds``, of handlers that have no limits of their own."""

    group_rate_seconds: Whole = setting(60, WholeNumber(1, MAX_GROUP_RATE_SECONDS))
    """The period of ``group_rate_limit``."""

    priorities: bool | None = setting(False, Truth(), QUEUE_ONLY)
    """Whether tasks of high and low priority have queues of their own: two more queues and consumers a shard. The three
    consumers share ``max_concurrency``: high has half of it, normal four tenths and low a tenth, each at least 1."""

    domain: Text = setting("", Pattern(HOSTNAME, "a host name in lower case such as tasks.example.com", optional=True))
    """The Worker's own domain, in a zone of the account; Cloudflare makes its DNS record and certificate."""

    route: Text = setting("", Pattern(HOSTNAME + r"/\S*", "a route such as example.com/tasks/*", optional=True))
    """A pattern of URLs of a zone that the Worker answers; needs ``zone_id``."""

    zone_id: Text = setting("", Pattern(r"[0-9a-f]{32}", "a Cloudflare zone id (32 hexadecimal digits)", optional=True))
    """The zone of ``route`` or ``domain``; Cloudflare finds that of a domain by itself."""

    workers_dev: pulumi.Input[bool] | None = setting(True, Truth())
    """Whether the Worker answers on workers.dev, too."""

    placement: Text = setting(
        "", Pattern(r"smart|[a-z0-9-]+:[a-z0-9-]+", "smart or a region such as aws:us-east-1", optional=True)
    )
    """Where the Worker runs: near what it asks (``smart``) or near a cloud's region; where the caller is otherwise."""

    compatibility_flags: Texts = setting(
        (), ListOf(Pattern(r"[a-z0-9_]+", "flags"), "compatibility flags such as nodejs_compat", MAX_FLAGS)
    )
    """Flags of the Workers runtime, for handlers that need them."""

    log_sampling_rate: pulumi.Input[float] | None = setting(1, Fraction())
    """The part of invocations whose logs are kept, 0 to 1."""

    log_destinations: Texts = setting(
        (), ListOf(Pattern(r"[A-Za-z0-9._-]{1,64}", "destinations"), "names of log destinations", MAX_DESTINATIONS)
    )
    """Where logs are sent as well: names of the account's OpenTelemetry destinations."""

    log_persist: pulumi.Input[bool] | None = setting(True, Truth())
    """Whether Cloudflare keeps the logs, too; false needs ``log_destinations``."""

    trace_sampling_rate: pulumi.Input[float] | None = setting(0, Fraction())
    """The part of invocations that are traced, 0 to 1; 0 makes no traces."""

    trace_destinations: Texts = setting(
        (), ListOf(Pattern(r"[A-Za-z0-9._-]{1,64}", "destinations"), "names of trace destinations", MAX_DESTINATIONS)
    )
    """Where traces are sent as well: names of the account's OpenTelemetry destinations."""

    trace_persist: pulumi.Input[bool] | None = setting(True, Truth())
    """Whether Cloudflare keeps the traces, too; false needs ``trace_destinations``."""

    jurisdiction: str | None = setting("", Pattern("eu|us|fedramp", "eu, us or fedramp", optional=True))
    """Where tasks and messages are kept by law; the database, queue or namespace of another one is a new one."""

    batch_size: Whole = setting(10, BATCH_SIZE, QUEUE_ONLY)
    """Most messages that the consumer takes at once."""

    max_wait_time_ms: Whole = setting(0, WholeNumber(0, MAX_WAIT_TIME_MS), QUEUE_ONLY)
    """Longest wait for a batch to fill, in milliseconds; 0 starts a lone task at once (Cloudflare's own default is
    5,000)."""

    max_concurrency: Whole = setting(0, WholeNumber(1, MAX_CONCURRENCY, "what the store can bear"), QUEUE_ONLY)
    """Most batches of a queue in work at the same time; Cloudflare scales up to it by itself. What the store can bear
    is 10 for a D1 database, 40 for all Durable Objects together and 250 for KV; handlers that wait long for others want
    more."""

    cpu_ms: Whole = setting(0, WholeNumber(MIN_CPU_MS, MAX_CPU_MS, "Cloudflare's own limit"))
    """Most CPU time of one request or one batch, in milliseconds, past which Cloudflare ends the isolate with every
    task in it. Cloudflare's own limit is 30 seconds; the Free plan has 10 ms and refuses a setting."""

    keep_payload: Text = setting("unfinished", OneOf(KEEP_PAYLOAD))
    """How long a task's payload is kept: until the task has completed, or always, for as long as the task. One that
    failed or was cancelled keeps it in any case, for its next run."""

    database_limit_mb: Whole = setting(MAX_DATABASE_MB, WholeNumber(1, MAX_DATABASE_MB))
    """How large a D1 database may grow on the account's plan, in megabytes: 10,000, on the Free plan 500. `GET /stats`
    and the sweeper's warning hold its size against this."""

    delivery_delay_seconds: Whole = setting(0, DELAY_SECONDS, QUEUE_ONLY)
    """Wait before the first attempt at a task that asks for no delay, in seconds."""

    message_retention_seconds: Whole = setting(DEFAULT_RETENTION_SECONDS, RETENTION_SECONDS, QUEUE_ONLY)
    """How long the queue keeps a message that nobody took, in seconds."""

    dlq_message_retention_seconds: Whole = setting(DEFAULT_RETENTION_SECONDS, RETENTION_SECONDS, QUEUE_ONLY)
    """How long the dead-letter queue keeps a dead letter, in seconds."""

    dlq_batch_size: Whole = setting(10, BATCH_SIZE, QUEUE_ONLY)
    """Most dead letters in one pull that names no batch size."""

    dlq_max_retries: Whole = setting(MAX_RETRIES, WholeNumber(0, MAX_RETRIES), QUEUE_ONLY)
    """How often a dead letter that was pulled but not acknowledged can be pulled again before it is dropped."""

    dlq_retry_delay_seconds: Whole = setting(0, DELAY_SECONDS, QUEUE_ONLY)
    """Wait before a returned dead letter can be pulled again, in seconds."""

    dlq_visibility_timeout_ms: Whole = setting(30_000, WholeNumber(0, MAX_VISIBILITY_TIMEOUT_MS), QUEUE_ONLY)
    """How long a pulled dead letter is hidden from other pulls, in milliseconds."""

    dead_letter_api_token: Text = setting("", CloudflareToken("Queues Edit"), QUEUE_ONLY, repr=False)
    """Lets the page and the API show, redrive and purge dead letters: an API token of Cloudflare with the permission
    Queues Edit for this account alone. A secret, which the Worker is given. Without it they are for
    ``python -m ops dlq list`` and the like, which take a token of whoever types them."""

    workflow_retention_seconds: Whole = setting(0, WholeNumber(0, MAX_WORKFLOW_RETENTION_SECONDS), WORKFLOW_ONLY)
    """How long the state of a workflow instance that completed is kept, in seconds; 0 is Cloudflare's own default."""

    workflow_error_retention_seconds: Whole = setting(0, WholeNumber(0, MAX_WORKFLOW_RETENTION_SECONDS), WORKFLOW_ONLY)
    """How long the state of a workflow instance that failed is kept, in seconds; 0 is Cloudflare's own default."""

    workflow_concurrency: Whole = setting(0, WholeNumber(0, MAX_WORKFLOW_CONCURRENCY), WORKFLOW_ONLY)
    """Most workflow instances at work at the same time; 0 is the account's limit."""

    rollout_percent: int | None = setting(100, WholeNumber(1, 100))
    """The newest version's share of the traffic, in per cent; the rest stays with the version that had all of it."""

    rollback_to: str | None = setting(
        "", Pattern(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "the id of a version (a UUID)", optional=True)
    )
    """The id of an earlier version of the Worker that is to have all of the traffic, in place of the newest one."""

    durable_object_data: str | None = setting("keep", OneOf(("keep", "delete")))
    """What becomes of Durable Objects once another store is in use: kept, though their tasks delete themselves in time,
    or deleted for good with their class."""

    bindings: pulumi.Input[Sequence[Any]] | None = setting((), Anything("bindings of the Cloudflare provider"))
    """What handlers need beside the task runner's own bindings: buckets, databases, services, secrets; each a
    ``WorkerVersionBindingArgs`` of the Cloudflare provider."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if getattr(self, field.name, None) is None:
                object.__setattr__(self, field.name, "" if field.default is dataclasses.MISSING else field.default)
        values = settings_of(self)
        not_plain = [f"{name}: expected a plain value, got an output" for name in PLAIN if not is_plain(values[name])]
        known = {name: value for name, value in values.items() if is_plain(value)}
        problems = [f"{place}: {expected}, got {got}" for place, expected, got in find_problems(known)]
        if not_plain or problems:
            raise ValueError("\n".join(not_plain + problems))


PLAIN = (
    *("state_store", "engine", "env", "shards", "former_state_stores", "former_engines", "former_shards"),
    *("handlers", "jurisdiction", "priorities", "rollout_percent", "rollback_to", "durable_object_data", "public"),
)
"""The settings that cannot be outputs."""

NOT_IN_CONFIG = frozenset({"bindings"})
"""What only a program can say."""


def settings_of(args: TaskRunnerArgs) -> dict[str, Any]:
    """Return the values by name; bindings are not among them, for they are the provider's to check."""
    return {name: getattr(args, name) for name in rules()}


def is_plain(value: object) -> bool:
    """Tell whether a value is known and has nothing in it that is not."""
    if isinstance(value, Mapping):
        return all(map(is_plain, cast("Mapping[str, object]", value).values()))
    if isinstance(value, list | tuple):
        return all(map(is_plain, cast("Sequence[object]", value)))
    return not isinstance(value, pulumi.Output | Awaitable)


def checked(args: TaskRunnerArgs, base_url: pulumi.Input[str | None]) -> TaskRunnerArgs:
    """Return the same settings, with outputs that fail together when those that are known have bad values.

    An output that is not known yet, as in a preview, is left out of the check and keeps none of the others waiting.

    Args:
        args: the settings.
        base_url: of the API that they are for; empty or None for Cloudflare's.

    Raises:
        ValueError: everybody could call the API of a real account, and it is not said that they may.
    """
    values = settings_of(args)
    waited = {name: pulumi.Output.from_input(value) for name, value in values.items() if not is_plain(value)}
    plain = {name: value for name, value in values.items() if name not in waited}
    if isinstance(base_url, str | None):
        problem = missing_token(values, base_url)
        if problem:
            raise ValueError(f"{problem[0]}: {problem[1]}, got nothing")
    else:
        waited.setdefault("account_id", pulumi.Output.from_input(args.account_id))
    if not waited:
        return args
    address = pulumi.Output.from_input(base_url)

    async def check() -> None:
        known = dict(plain)
        for name, output in waited.items():
            if await output.is_known():
                known[name] = await output.future()
        problems = [*find_problems(known)]
        if await address.is_known() and "api_tokens" in known:
            problems += [(*each, "nothing") for each in filter(None, [missing_token(known, await address.future())])]
        if problems:
            raise pulumi.RunError("\n".join(f"{place}: {expected}, got {got}" for place, expected, got in problems))

    checking = pulumi.Output.from_input(check())
    return dataclasses.replace(args, **{name: _after(checking, output) for name, output in waited.items()})


def _after(checking: pulumi.Output[None], output: pulumi.Output[Any]) -> pulumi.Output[Any]:
    return pulumi.Output.all(output, checking).apply(lambda both: both[0])


def find_problems(values: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Give, of each bad setting, its name or the place in it, what is expected, and what came.

    Args:
        values: of those settings that are known.
    """
    for name, expected in _find_bad_settings(values):
        yield name, expected, shown(name, values[name])
    yield from _problems_of_alerts(values)
    schedules = values.get("schedules", ())
    if rules()["schedules"].accepts(schedules):
        yield from problems_of_schedules(schedules)
        hosts = values.get("http_allowed_hosts", ())
        for index, schedule in enumerate(schedules if rules()["http_allowed_hosts"].accepts(hosts) else ()):
            url: Any = schedule.get("callback_url")
            if isinstance(url, str) and url and not _is_allowed(urlsplit(url), hosts):
                place = f"schedules[{index}].callback_url"
                yield place, "expected a host of http_allowed_hosts, which callbacks are delivered to", repr(url)
        for index, schedule in enumerate(schedules):
            if schedule.get("priority", "normal") in OWN_PRIORITIES and values.get("priorities") is False:
                expected = "expected normal without priorities: true, which makes queues for high and low"
                yield f"schedules[{index}].priority", expected, repr(schedule["priority"])


def _problems_of_alerts(values: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    alerts: Any = values.get("alerts", ())
    if not alerts or not isinstance(alerts, Mapping):
        return
    alerts = cast("Mapping[str, Any]", alerts)
    yield from problems_of_alerts(alerts)
    url, hosts = alerts.get("url"), values.get("http_allowed_hosts", ())
    if isinstance(url, str) and rules()["http_allowed_hosts"].accepts(hosts) and not _is_allowed(urlsplit(url), hosts):
        yield "alerts.url", "expected a host of http_allowed_hosts, which alerts are posted to", "another one"
    if "backlog_age_seconds" in alerts and values.get("engine", "queue") == "workflow":
        yield "alerts.backlog_age_seconds", "expected to be unset with engine workflow, which has no queue", "a limit"
    stores = {values.get("state_store", "d1"), *values.get("former_state_stores", ())}
    if "database_percent" in alerts and stores == {"kv"}:
        yield "alerts.database_percent", "expected to be unset with state_store kv, which has no limit", "a limit"


def _find_bad_settings(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Give the name of each bad setting and what is expected of it: by itself, then beside the others."""
    bad = {name for name, value in values.items() if not rules()[name].accepts(value)}
    for name, value in values.items():
        if name in bad:
            yield name, f"expected {rules()[name].expected}"
        elif value != defaults().get(name):
            useless = _useless(name, values)
            if useless:
                yield name, useless
    good = {name: value for name, value in values.items() if name not in bad}
    yield from _contradictions(good)


def shown(name: str, value: object) -> str:
    """Return a value as an error may show it."""
    if value in ("", (), []):
        return "nothing"
    if is_secret(rules()[name]):
        return "a secret"
    if isinstance(rules()[name], AlertsRule):
        return "a mapping" if isinstance(value, Mapping) else repr(value)
    if isinstance(rules()[name], Schedules):
        return f"{len(cast('Sequence[object]', value))} of them" if isinstance(value, list | tuple) else repr(value)
    if isinstance(value, list | tuple):
        return repr(" ".join(map(str, cast("Sequence[object]", value))))
    return repr(value)


def _contradictions(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    given = {**defaults(), **values}
    if {"retry_delay_seconds", "retry_max_delay_seconds"} <= values.keys():
        longest = values["retry_max_delay_seconds"]
        if values["retry_delay_seconds"] > longest:
            yield "retry_delay_seconds", f"expected at most retry_max_delay_seconds, which is {longest}"
    yield from _store_contradictions(given)
    if given["public"] is True and given["api_tokens"]:
        yield "public", "expected to be unset with api_tokens: who calls needs one"
    if given["rollback_to"] and given["rollout_percent"] != defaults()["rollout_percent"]:
        yield "rollout_percent", "expected to be unset with rollback_to, which gives one version all of the traffic"
    yield from _callback_contradictions(values)
    yield from _group_contradictions(values)
    yield from _telemetry_contradictions(values)
    if values.get("route") and values.get("zone_id") == "":
        yield "zone_id", "expected the id of the route's zone"
    if values.get("zone_id") and values.get("route") == "" and values.get("domain") == "":
        yield "zone_id", "expected to be unset without route and domain: nothing is in a zone"
    if values.get("workers_dev") is False and values.get("route") == "" and values.get("domain") == "":
        yield "workers_dev", "expected true without domain and route: the Worker would have no address"


def _group_contradictions(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not {"group_concurrency", "group_rate_limit", "group_rate_seconds", "state_store"} <= values.keys():
        return
    if values["group_rate_seconds"] != defaults()["group_rate_seconds"] and not values["group_rate_limit"]:
        yield "group_rate_seconds", "expected to be unset without group_rate_limit, whose period it is"
    for name in ("group_concurrency", "group_rate_limit"):
        if values[name] and values["state_store"] == "kv":
            yield name, "expected to be unset with state_store kv, which cannot count what runs at once"


def _telemetry_contradictions(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for kind in ("log", "trace"):
        if values.get(f"{kind}_persist") is False and values.get(f"{kind}_destinations") == ():
            yield f"{kind}_persist", f"expected true without {kind}_destinations: nobody would have the {kind}s"
    for name in ("trace_destinations", "trace_persist"):
        if values.get("trace_sampling_rate") == 0 and values.get(name, defaults()[name]) != defaults()[name]:
            yield name, "expected to be unset with trace_sampling_rate 0, which makes no traces"


def _callback_contradictions(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if not {"callback_url", "callback_on", "http_allowed_hosts"} <= values.keys():
        return
    url: SplitResult = urlsplit(str(values["callback_url"]))
    if values["callback_url"] and not _is_allowed(url, values["http_allowed_hosts"]):
        yield "callback_url", "expected a host of http_allowed_hosts, which callbacks are delivered to"
    if values["callback_on"] and not values["callback_url"]:
        yield "callback_on", "expected to be unset without callback_url, to which ends are told"


def _is_allowed(url: SplitResult, hosts: Sequence[str]) -> bool:
    """Tell what ``worker/handlers/_allowed_hosts.js`` does: a host without a port is on its scheme's own."""
    usual = {"http": "80", "https": "443"}.get(url.scheme, "")
    name, _, port = url.netloc.lower().partition(":")
    for host in hosts:
        allowed, _, allowed_port = host.partition(":")
        is_named = name.endswith(allowed[1:]) if allowed.startswith("*.") else name == allowed
        if is_named and (port or usual) == (allowed_port or usual):
            return True
    return False


def _store_contradictions(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    stores = {values["state_store"], *values["former_state_stores"]}
    engines = {values["engine"], *values["former_engines"]}
    if values["durable_object_data"] == "delete" and "durable-object" in stores:
        where = "state_store is" if values["state_store"] == "durable-object" else "former_state_stores has"
        yield "durable_object_data", f"expected keep while {where} durable-object, which needs its objects"
    for name in ("state_store", "engine"):
        if values[name] in values[f"former_{name}s"]:
            yield f"former_{name}s", f"expected other ones than {name}, which is {values[name]}"
    for name in ("shards", "former_shards"):
        if values[name] != defaults()[name] and stores == {"kv"} and "queue" not in engines:
            combination = f"state_store {values['state_store']} and engine {values['engine']}"
            yield name, f"expected to be unset with {combination}: there is no database, no object and no queue"


def missing_token(values: Mapping[str, Any], base_url: str | None) -> tuple[str, str] | None:
    """Tell what is wrong with settings that let everybody call the API without saying so, None if nothing is.

    It is for real accounts: a Cloudflare on a loopback address is reached from its own machine alone.
    """
    if values["api_tokens"] or values["public"] is True or (base_url and is_loopback(base_url)):
        return None
    return "api_tokens", "expected a token, or public: true to let everybody submit tasks"


def _useless(name: str, values: Mapping[str, Any]) -> str | None:
    for condition in _metadata(name)["conditions"]:
        actual = values.get(condition.setting, condition.word)
        in_use = {actual, *values.get(f"former_{condition.setting}s", ())}
        if condition.word not in in_use and rules()[condition.setting].accepts(actual):
            return f"expected to be unset with {condition.setting} {actual}: {condition.reason}"
    return None


@cache
def rules() -> dict[str, Rule]:
    """Return the rule of each setting, by name, in the order of declaration."""
    fields = dataclasses.fields(TaskRunnerArgs)
    return {each.name: each.metadata["rule"] for each in fields if each.name not in NOT_IN_CONFIG}


@cache
def defaults() -> dict[str, Any]:
    """Return the default of each setting that has one, by name."""
    fields = dataclasses.fields(TaskRunnerArgs)
    has_default = [each for each in fields if each.default is not dataclasses.MISSING]
    return {each.name: each.default for each in has_default if each.name not in NOT_IN_CONFIG}


def _metadata(name: str) -> Mapping[str, Any]:
    return next(each.metadata for each in dataclasses.fields(TaskRunnerArgs) if each.name == name)
