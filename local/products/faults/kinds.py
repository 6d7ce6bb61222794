"""The kinds of faults of each product that can be injected, with Cloudflare's messages.

Texts are those of https://developers.cloudflare.com/d1/observability/debug-d1/ ("List of D1_ERRORs"),
https://developers.cloudflare.com/queues/platform/limits/,
https://developers.cloudflare.com/kv/api/write-key-value-pairs/#limits-to-kv-writes-to-the-same-key and
https://developers.cloudflare.com/durable-objects/observability/troubleshooting/. Those marked (quoted) are messages of
the real service, quoted in public code and issues.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

# before: the call is not made; after: it is made, and its answer is lost; delay: it is made later; limit: calls above a
# rate per second are not made; kill: the invocation ends in the middle (runtime/rules.js).
Effect = Literal["before", "after", "delay", "limit", "kill"]

LATENCY = "latency"
_CONNECTION_LOST = "Network connection lost."
_ERROR_STATUS = 500


@dataclass(frozen=True)
class Kind:
    """One kind of fault, and its effect on a Worker."""

    effect: Effect
    about: str
    message: str = ""
    status: int | None = None  # the status of the answer; None: an exception
    properties: Mapping[str, bool] = field(default_factory=dict[str, bool])  # the properties of the exception
    calls: tuple[str, ...] | None = None  # the calls that it affects; None: all of the product
    per_second: int = 0  # the default of a limit
    per_key: bool = False  # the limit is for each key, not for the whole resource


@dataclass(frozen=True)
class FaultProduct:
    """A product, its kinds of faults, and its resources: the SQL `resources` selects id and name of each."""

    kinds: Mapping[str, Kind]
    resources: str
    calls: tuple[str, ...] | None  # None: methods can have any name


def _d1(message: str, about: str, effect: Effect = "before", calls: tuple[str, ...] | None = None) -> Kind:
    return Kind(effect, about, message, _ERROR_STATUS, calls=calls)


def _latency(what: str) -> Kind:
    return Kind("delay", f"{what} takes latency_ms longer")


_D1 = {
    "overloaded": _d1("D1 DB is overloaded. Requests queued for too long.", "the database has too much to do"),
    "queue-full": _d1("D1 DB is overloaded. Too many requests queued.", "too many statements wait"),
    "connection-lost": _d1(_CONNECTION_LOST, "the connection breaks before the statement runs"),
    "reply-lost": _d1(_CONNECTION_LOST, "the statement runs, and the connection breaks before its reply", "after"),
    "code-updated": _d1("D1 DB reset because its code was updated.", "Cloudflare updates D1"),
    "reset": _d1("Internal error in D1 DB storage caused object to be reset.", "an error restarts the database"),
    "not-starting": _d1(
        "Internal error while starting up D1 DB storage caused object to be reset.", "the database does not start"
    ),
    "timeout": _d1(
        "D1 DB storage operation exceeded timeout which caused object to be reset.", "the statement takes too long"
    ),
    "unreachable": _d1("Cannot resolve D1 DB due to transient issue on remote node.", "the database is not found"),
    "exceeded-cpu": _d1("D1 DB exceeded its CPU time limit and was reset.", "the statement takes too much CPU time"),
    "exceeded-memory": _d1("D1 DB's isolate exceeded its memory limit and was reset.", "it takes too much memory"),
    # Quoted.
    "full": _d1("Exceeded maximum DB size", "the database is full; what reads goes on", calls=("write",)),
    LATENCY: _latency("the statement"),
}

_TOO_MANY_REQUESTS = "Too Many Requests"
_TOO_MANY_STATUS = 429

_QUEUES = {
    "too-many-requests": Kind("before", "a send is refused", _TOO_MANY_REQUESTS, _TOO_MANY_STATUS),
    "message-limit": Kind(
        "limit", "a queue takes per_second messages", _TOO_MANY_REQUESTS, _TOO_MANY_STATUS, per_second=5_000
    ),
    # Quoted in https://github.com/cloudflare/workerd/issues/6053.
    "overloaded": Kind("before", "the queue has too much to do", "Queue is overloaded. Please back off.", 429),
    "full": Kind("before", "the queue's backlog is full", "Storage Limit Exceeded", 403),
    "error": Kind("before", "a send fails", "Internal Server Error", _ERROR_STATUS),
    "connection-lost": Kind("before", "the connection breaks before the messages are stored", _CONNECTION_LOST),
    "reply-lost": Kind("after", "the messages are stored, and their reply is lost", _CONNECTION_LOST),
    LATENCY: _latency("a send"),
}

_KV = {
    "too-many-requests": Kind("before", "a put is refused", _TOO_MANY_REQUESTS, _TOO_MANY_STATUS, calls=("put",)),
    "write-limit": Kind(
        "limit",
        "a key takes per_second puts",
        _TOO_MANY_REQUESTS,
        _TOO_MANY_STATUS,
        calls=("put",),
        per_second=1,
        per_key=True,
    ),
    # Both quoted.
    "error": Kind("before", "an operation fails", "Internal Server Error", _ERROR_STATUS),
    "unavailable": Kind("before", "KV is not available", "Service Temporarily Unavailable", 503),
    "connection-lost": Kind("before", "the connection breaks before the operation", _CONNECTION_LOST),
    "reply-lost": Kind("after", "the operation is done, and the connection breaks before its reply", _CONNECTION_LOST),
    LATENCY: _latency("an operation"),
}

# The properties' meaning: https://developers.cloudflare.com/durable-objects/best-practices/error-handling/; which error
# has which of them is quoted.
_RETRYABLE = {"retryable": True}
_OVERLOADED = {"overloaded": True}
_RESET = {"durableObjectReset": True, "remote": True}

_DURABLE_OBJECTS = {
    "overloaded": Kind(
        "before",
        "the object has too much to do",
        "Durable Object is overloaded. Requests queued for too long.",
        properties=_OVERLOADED,
    ),
    "queue-full": Kind(
        "before",
        "too many calls wait",
        "Durable Object is overloaded. Too many requests queued.",
        properties=_OVERLOADED,
    ),
    "code-updated": Kind(
        "before",
        "the object's code is updated",
        "Durable Object reset because its code was updated.",
        properties=_RESET | _RETRYABLE,
    ),
    "timeout": Kind(
        "before",
        "the object's storage takes too long",
        "Durable Object storage operation exceeded timeout which caused object to be reset.",
        properties=_RESET | _OVERLOADED,
    ),
    "exceeded-cpu": Kind(
        "before",
        "the object takes too much CPU time",
        "Durable Object exceeded its CPU time limit and was reset.",
        properties=_RESET,
    ),
    "exceeded-memory": Kind(
        "before",
        "the object takes too much memory",
        "Durable Object's isolate exceeded its memory limit and was reset.",
        properties=_RESET,
    ),
    "connection-lost": Kind("before", "the connection breaks before the call", _CONNECTION_LOST, properties=_RETRYABLE),
    "reply-lost": Kind(
        "after", "the call is made, and the connection breaks before its reply", _CONNECTION_LOST, properties=_RETRYABLE
    ),
    LATENCY: _latency("a call"),
}

# "Workflows will return a HTTP 429 rate limited error" (https://developers.cloudflare.com/workflows/reference/limits/);
# the text that a Worker sees is not published.
_WORKFLOWS = {
    "creation-limit": Kind(
        "limit",
        "a workflow takes per_second new instances",
        "Too Many Requests: the limit of new Workflow instances per second is exceeded",
        per_second=100,
    ),
    "too-many-requests": Kind(
        "before",
        "creation is refused",
        "Too Many Requests: the limit of new Workflow instances per second is exceeded",
    ),
    "error": Kind("before", "creation fails", "workflows.api.error.internal_server"),
    "connection-lost": Kind("before", "the connection breaks before creation", _CONNECTION_LOST),
    "reply-lost": Kind("after", "the instances are made, and the connection breaks before the reply", _CONNECTION_LOST),
    LATENCY: _latency("creation"),
}

# The messages are the outcomes of https://developers.cloudflare.com/workers/runtime-apis/handlers/tail/.
_WORKER = {
    "exceeded-cpu": Kind("kill", "a consumer's isolate is killed for its CPU time", "exceededCpu"),
    "exceeded-memory": Kind("kill", "a consumer's isolate is killed for its memory", "exceededMemory"),
}

PRODUCTS: Mapping[str, FaultProduct] = {
    "d1": FaultProduct(_D1, "SELECT uuid AS id, name FROM d1_databases", ("read", "write")),
    "kv": FaultProduct(_KV, "SELECT id, title AS name FROM kv_namespaces", ("get", "put", "delete", "list")),
    "queues": FaultProduct(_QUEUES, "SELECT id, name FROM queues", ("send", "sendBatch")),
    "durable-objects": FaultProduct(
        _DURABLE_OBJECTS,
        "SELECT n.id, w.name || '_' || n.class_name AS name FROM durable_object_namespaces n"
        " JOIN workers w ON w.id = n.worker_id",
        None,
    ),
    "workflows": FaultProduct(_WORKFLOWS, "SELECT id, name FROM workflows", ("create", "createBatch")),
    "worker": FaultProduct(_WORKER, "SELECT name AS id, name FROM workers", ("queue",)),
}
