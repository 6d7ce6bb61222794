"""Queues and their consumers."""

from local.pulumi.cloudflare_types.rest_type import RestSpec, told_at
from local.pulumi.wire import Properties


def _held(metrics: Properties) -> str:
    count = int(metrics.get("backlog_count") or 0)
    return f"{count:,} message{'' if count == 1 else 's'}" if count else ""


QUEUE = RestSpec(
    collection="/accounts/{account_id}/queues",
    item="/accounts/{account_id}/queues/{queue_id}",
    id_field="queue_id",
    replace_on=frozenset({"accountId", "jurisdiction"}),
    sticky=frozenset({"settings"}),
    contents=told_at("/accounts/{account_id}/queues/{queue_id}/metrics", _held),
    find="/accounts/{account_id}/queues?name={queue_name}",
    unique="queue_name",
)


def _consumer_reply(reply: Properties, _inputs: Properties) -> Properties:
    """Rename a field: Cloudflare's requests have `script_name`, its answers `script`."""
    script = reply.get("script") or reply.get("script_name")
    return {**reply, "script_name": script} if script else reply


CONSUMER = RestSpec(
    collection="/accounts/{account_id}/queues/{queue_id}/consumers",
    item="/accounts/{account_id}/queues/{queue_id}/consumers/{consumer_id}",
    id_field="consumer_id",
    pulumi_id="missing ID",  # the Terraform bridge's own text; a program has to use consumer_id
    replace_on=frozenset({"accountId", "queueId"}),
    sticky=frozenset({"scriptName"}),  # a change of type still sends the old value
    reply=_consumer_reply,
    find="/accounts/{account_id}/queues/{queue_id}/consumers",
)

TYPES = {
    "cloudflare:index/queue:Queue": QUEUE,
    "cloudflare:index/queueConsumer:QueueConsumer": CONSUMER,
}
