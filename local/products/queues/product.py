"""Queues."""

from typing import Any

from local.core.product import Listing, Method, Product, StatusTable
from local.products.queues import bindings, consumers, desired_state, messages, queues
from local.products.queues.schema import SCHEMA


def _queues(api: Listing) -> list[tuple[str, ...]]:
    queues = api.all("queues")
    backlogs = [api.one(f"queues/{queue['queue_id']}/metrics")["backlog_count"] for queue in queues]
    return [
        (queue["queue_name"], queue["queue_id"], _messages(count), _consumers(queue))
        for queue, count in zip(queues, backlogs, strict=True)
    ]


def _messages(count: int) -> str:
    return f"{count} message{'' if count == 1 else 's'}"


def _consumers(queue: dict[str, Any]) -> str:
    paused = " (paused)" if queue["settings"]["delivery_paused"] else ""
    names = [consumer.get("script") or consumer["type"] for consumer in queue["consumers"]]
    return f"to {', '.join(names)}{paused}" if names else f"no consumer{paused}"


PRODUCT = Product(
    name="queues",
    schema=SCHEMA,
    routes=(
        *queues.ROUTES,
        *consumers.ROUTES,
        *messages.ROUTES,
    ),
    bindings=bindings.BINDINGS,
    configure=desired_state.configure,
    objects={
        "queues": {
            "push": Method(),
            "pull": Method(),
            "peek": Method(repeatable=True),
            "acknowledge": Method(),
            "purge": Method(repeatable=True),
            "metrics": Method(repeatable=True),
        }
    },
    status=(StatusTable("Queues", _queues),),
)
