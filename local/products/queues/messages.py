"""Queue messages: push, pull, peek, acknowledge.

Codes are documented at https://developers.cloudflare.com/queues/reference/error-codes/. Texts marked (quoted) are texts
of the real API that public code quotes.
"""

import base64
import json
from typing import Any

from local.api import json_text
from local.api.envelope import ApiError, Json, Reply
from local.api.fields import Fields, type_name
from local.api.routing import Call, Route
from local.products.queues import queues
from local.products.queues.consumers import MAX_BATCH_SIZE, MAX_VISIBILITY_TIMEOUT_MS

# https://developers.cloudflare.com/queues/platform/limits/; 1 KB is 1000 bytes
MAX_MESSAGE_BYTES = 128_000
MAX_BATCH_BYTES = 256_000
MAX_BATCH_MESSAGES = 100
MAX_DELAY_SECONDS = 86_400

_CONTENT_TYPES = ("json", "text")  # only Workers can send bytes and v8
_PULL_BATCH_SIZE = 5  # documented default


async def push_message(call: Call) -> Reply:
    """POST /queues/{queue_id}/messages."""
    queue_id = _queue_id(call)
    message = _message(call.fields(_invalid, queues.malformed), None)
    return _accepted(await call.cloud.data_plane.call("queues", queue_id, "push", {"messages": [message]}))


async def push_batch(call: Call) -> Reply:
    """POST /queues/{queue_id}/messages/batch: all or none; the batch's delay applies to messages without their own."""
    queue_id = _queue_id(call)
    body = call.fields(_invalid, queues.malformed)
    parts = body.objects("messages")
    if parts is None:
        raise body.wrong("messages", "Required")
    if not 0 < len(parts) <= MAX_BATCH_MESSAGES:
        raise ApiError(400, 10206, f"Batch count of {len(parts)} is out of bounds: 1 to {MAX_BATCH_MESSAGES} messages")
    delay = _delay(body, code=10202)
    messages = [_message(part, delay) for part in parts]
    size = sum(len(base64.b64decode(message["body_base64"])) for message in messages)
    if size > MAX_BATCH_BYTES:
        raise ApiError(413, 10205, f"Batch size of {size} bytes is out of bounds: at most {MAX_BATCH_BYTES} bytes")
    return _accepted(await call.cloud.data_plane.call("queues", queue_id, "push", {"messages": messages}))


async def pull_messages(call: Call) -> Reply:
    """POST /queues/{queue_id}/messages/pull: leases messages. 405 without an http_pull consumer (quoted)."""
    queue_id = _queue_id(call)
    consumer = call.cloud.db.execute(
        "SELECT settings FROM queue_consumers WHERE queue_id = ? AND type = 'http_pull'", (queue_id,)
    ).fetchone()
    if consumer is None:
        raise ApiError(405, 0, "messages cannot be pulled unless http_pull mode is enabled")
    settings = json.loads(consumer["settings"])
    body = _optional_fields(call)
    batch_size = body.integer("batch_size", 1, MAX_BATCH_SIZE) or settings["batch_size"]
    timeout = body.integer("visibility_timeout_ms", 0, MAX_VISIBILITY_TIMEOUT_MS)
    timeout = settings["visibility_timeout_ms"] if timeout is None else timeout
    wanted = {"batch_size": batch_size, "visibility_timeout_ms": timeout}
    pulled = await call.cloud.data_plane.call("queues", queue_id, "pull", wanted)
    metrics = await call.cloud.data_plane.call("queues", queue_id, "metrics")
    return Reply(
        {
            "message_backlog_count": pulled["message_backlog_count"],
            "messages": [_pulled(message) | {"lease_id": message["lease_id"]} for message in pulled["messages"]],
            "metadata": {"metrics": metrics},
        }
    )


async def peek_messages(call: Call) -> Reply:
    """POST /queues/{queue_id}/messages/peek: reads messages without leasing them."""
    queue_id = _queue_id(call)
    batch_size = _optional_fields(call).integer("batch_size", 1, MAX_BATCH_SIZE) or _PULL_BATCH_SIZE
    peeked = await call.cloud.data_plane.call("queues", queue_id, "peek", {"batch_size": batch_size})
    return Reply({"messages": [_pulled(message) | {"ref": message["id"]} for message in peeked["messages"]]})


async def acknowledge(call: Call) -> Reply:
    """POST /queues/{queue_id}/messages/ack: ends leases; each message is acknowledged or retried."""
    queue_id = _queue_id(call)
    body = call.fields(_invalid, queues.malformed)
    acks = [{"lease_id": part.required_text("lease_id")} for part in body.objects("acks") or []]
    retries: list[dict[str, Any]] = []
    for part in body.objects("retries") or []:
        delay = _delay(part, code=10203)
        retries.append(
            {"lease_id": part.required_text("lease_id")} | ({} if delay is None else {"delay_seconds": delay})
        )
    settled = await call.cloud.data_plane.call("queues", queue_id, "acknowledge", {"acks": acks, "retries": retries})
    return Reply(
        {"ackCount": settled["ack_count"], "retryCount": settled["retry_count"], "warnings": settled["warnings"]}
    )


def _queue_id(call: Call) -> str:
    """Find the queue; these routes answer 10104 (documented) where the others answer 11000."""
    try:
        return queues.find(call.cloud.db, call.path["queue_id"])["id"]
    except ApiError as error:
        raise ApiError(404, 10104, "Queue does not exist") from error


def _message(part: Fields, batch_delay: int | None) -> dict[str, Any]:
    delay = _delay(part, code=10203)
    if "body" not in part.values:
        raise part.wrong("body", "Required")
    content_type = part.text("content_type") or "json"
    if content_type not in _CONTENT_TYPES:
        message = f"Invalid message metadata: content_type must be 'json' or 'text', received '{content_type}'"
        raise ApiError(400, 10203, message)
    body = _encoded(part, content_type)
    if len(body) > MAX_MESSAGE_BYTES:
        message = f"Message size of {len(body)} bytes is out of bounds: at most {MAX_MESSAGE_BYTES} bytes"
        raise ApiError(413, 10204, message)
    return {
        "body_base64": base64.b64encode(body).decode(),
        "content_type": content_type,
        "delay_seconds": batch_delay if delay is None else delay,
    }


def _encoded(part: Fields, content_type: str) -> bytes:
    """Encode a body. A string not declared as text is refused (quoted: Expected object, received string).

    We assume the same rule for null, numbers and booleans; arrays are accepted, because they are objects in JavaScript.
    """
    value = part.values["body"]
    if content_type == "text":
        if not isinstance(value, str):
            raise part.wrong("body", f"Expected string, received {type_name(value)}")
        return value.encode()
    if not isinstance(value, dict | list):
        raise part.wrong("body", f"Expected object, received {type_name(value)}")
    return json_text.compact(value)


def _delay(part: Fields, *, code: int) -> int | None:
    try:
        return part.integer("delay_seconds", 0, MAX_DELAY_SECONDS)
    except ApiError as error:
        message = f"Invalid delay: delay_seconds must be a whole number from 0 to {MAX_DELAY_SECONDS}"
        raise ApiError(400, code, message) from error


def _pulled(message: dict[str, Any]) -> dict[str, Json]:
    """Return a message. json and bytes are in base64, text is unchanged (docs: queues/configuration/pull-consumers)."""
    body = message["body_base64"]
    if message["content_type"] == "text":
        body = base64.b64decode(body).decode(errors="replace")
    return {
        "id": message["id"],
        "body": body,
        "attempts": message["attempts"],
        "timestamp_ms": message["timestamp_ms"],
        "metadata": {"CF-Content-Type": message["content_type"]},
    }


def _accepted(metrics: dict[str, Any]) -> Reply:
    return Reply({"metadata": {"metrics": metrics}})


def _optional_fields(call: Call) -> Fields:
    return call.fields(_invalid, queues.malformed) if call.body else Fields({}, _invalid)


def _invalid(path: str, problem: str) -> ApiError:
    """Return the error for an invalid body: 10207 (quoted: Expected object, received string at "body")."""
    return ApiError(400, 10207, f'{problem} at "{path}"' if path else problem)


ROUTES = (
    Route("POST", "/accounts/{account_id}/queues/{queue_id}/messages", push_message),
    Route("POST", "/accounts/{account_id}/queues/{queue_id}/messages/batch", push_batch),
    Route("POST", "/accounts/{account_id}/queues/{queue_id}/messages/pull", pull_messages),
    Route("POST", "/accounts/{account_id}/queues/{queue_id}/messages/peek", peek_messages),
    Route("POST", "/accounts/{account_id}/queues/{queue_id}/messages/ack", acknowledge),
)
