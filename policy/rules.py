"""What the policy pack wants of each resource: functions of its kind and its properties, without Pulumi."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ENVIRONMENTS = ("dev", "stg", "uat", "prod")
PROTECTED = ("uat", "prod")

MINIMUM_SECONDS = 86_400
DEAD_LETTER_MINIMUM_SECONDS = 345_600
"""Of messages and dead letters, where the pack's config does not say; the Free plan keeps them for a day at most
(https://developers.cloudflare.com/queues/platform/limits/)."""

NAME_KEYS: Mapping[str, str] = {
    "cloudflare:index/worker:Worker": "name",
    "cloudflare:index/queue:Queue": "queueName",
    "cloudflare:index/d1Database:D1Database": "name",
    "cloudflare:index/workersKvNamespace:WorkersKvNamespace": "title",
    "cloudflare:index/workflow:Workflow": "workflowName",
}
"""Which property is Cloudflare's name of a resource, by its type."""

STORES = frozenset({"cloudflare:index/d1Database:D1Database", "cloudflare:index/workersKvNamespace:WorkersKvNamespace"})
WORKER = "cloudflare:index/worker:Worker"
VERSION = "cloudflare:index/workerVersion:WorkerVersion"
QUEUE = "cloudflare:index/queue:Queue"
CONSUMER = "cloudflare:index/queueConsumer:QueueConsumer"


@dataclass(frozen=True)
class Resource:
    """A resource as a policy sees it."""

    kind: str
    """Its type."""
    name: str
    """In the program."""
    props: Mapping[str, Any]
    """Keys in camelCase. One that a preview does not know yet is there; to read it raises pulumi_policy's error."""
    protect: bool = False


def dead_letter_queue(resource: Resource) -> Iterator[str]:
    """A Worker that takes a queue's messages names where failed ones go."""
    if resource.kind == CONSUMER and resource.props.get("type") == "worker" and "deadLetterQueue" not in resource.props:
        yield "expected a dead-letter queue: without one, messages that have used up their retries are lost"


def protected_stores(resource: Resource, former: Sequence[str] = ()) -> Iterator[str]:
    """In uat and prod a store cannot be deleted by accident."""
    if resource.kind in STORES and not resource.protect:
        name = str(resource.props[NAME_KEYS[resource.kind]])
        if environment_of(name) in PROTECTED and name not in former:
            yield f"expected {name} to be protected in {environment_of(name)}: it holds tasks"


def protected_objects(resources: Iterable[Resource]) -> Iterator[str]:
    """In uat and prod a Worker that holds tasks in Durable Objects cannot be deleted by accident."""
    all_of_them = list(resources)
    bindings = [each for version in all_of_them if version.kind == VERSION for each in version.props["bindings"]]
    if not any(each["type"] == "durable_object_namespace" for each in bindings):
        return
    stores = [each for each in all_of_them if each.kind in STORES and each.protect]
    for worker in all_of_them:
        if worker.kind == WORKER and not worker.protect and not stores:
            name = str(worker.props["name"])
            if environment_of(name) in PROTECTED:
                yield f"expected {name} to be protected in {environment_of(name)}: its Durable Objects hold tasks"


def tokens(resource: Resource, *, public: bool = False) -> Iterator[str]:
    """Who calls the API needs a token, which is bound as a secret."""
    if resource.kind != VERSION:
        return
    kinds = {each["name"]: each["type"] for each in resource.props["bindings"]}
    if "API_TOKENS" not in kinds:
        if not public:
            yield "expected api_tokens: everybody can submit tasks, and read and cancel those of others"
    elif kinds["API_TOKENS"] != "secret_text":
        yield f"expected API_TOKENS to be bound as secret_text, got {kinds['API_TOKENS']}"


def retention(
    resource: Resource,
    minimum_seconds: float = MINIMUM_SECONDS,
    dead_letter_minimum_seconds: float = DEAD_LETTER_MINIMUM_SECONDS,
) -> Iterator[str]:
    """Messages are kept long enough to mend what takes them; dead letters for a long weekend."""
    if resource.kind != QUEUE:
        return
    is_dead_letters = "-dlq-" in f"{resource.props['queueName']}"
    least = dead_letter_minimum_seconds if is_dead_letters else minimum_seconds
    kept = resource.props["settings"]["messageRetentionPeriod"]
    if kept < least:
        setting = "dlq_message_retention_seconds" if is_dead_letters else "message_retention_seconds"
        yield f"expected {setting} of at least {least:.0f}, got {kept:.0f}"


def names(resources: Iterable[Resource]) -> Iterator[str]:
    """All names end in the environment, and in the same one: so environments share an account."""
    found = {str(each.props[NAME_KEYS[each.kind]]) for each in resources if each.kind in NAME_KEYS}
    for name in sorted(found):
        if environment_of(name) is None:
            yield f"expected the name {name} to end in one of {', '.join(ENVIRONMENTS)}"
    environments = sorted({environment_of(name) or "" for name in found} - {""})
    if len(environments) > 1:
        yield f"expected one environment in a stack, got {', '.join(environments)}"


def observability(resource: Resource) -> Iterator[str]:
    """The Worker's logs are kept, at least of some invocations."""
    if resource.kind != WORKER:
        return
    settings: Mapping[str, Any] = resource.props.get("observability") or {}
    logs: Mapping[str, Any] = settings.get("logs") or {}
    if not (settings.get("enabled") and logs.get("enabled")):
        yield "expected observability with logs: without them nobody sees why a task failed"
    elif not logs.get("headSamplingRate", 1):
        yield "expected log_sampling_rate above 0, got 0"


def environment_of(name: str) -> str | None:
    """Return the environment that a name ends in."""
    found = re.fullmatch(rf".+-({'|'.join(ENVIRONMENTS)})", name)
    return found[1] if found else None
