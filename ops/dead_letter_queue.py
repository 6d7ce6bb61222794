"""A stack's dead-letter queue, and the main queue from which its letters came, through Cloudflare's SDK."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, cast
from urllib.parse import urlsplit

import cloudflare

from components.cloudflare_api import LOOPBACK_HOSTS, ApiError, RefusedTokenError, UnreachableError
from ops.dead_letter import OWN_PRIORITIES, TASK_CONTENT_TYPE, DeadLetter
from ops.deployed_stack import DeployedStack, NotReadyError

MAX_BATCH = 100
"""The most messages in one peek, pull, push or acknowledgement
(https://developers.cloudflare.com/queues/platform/limits/)."""

LEASE_MS = 5 * 60_000
"""How long a pulled letter is hidden from other consumers: long enough to push it and acknowledge it, with the SDK's
retries.
"""

REQUEST_SECONDS = 60


@dataclass(frozen=True)
class LeasedLetter:
    """A pulled letter with its lease: nobody else can pull it before the lease ends."""

    letter: DeadLetter
    lease_id: str


class DeadLetterQueue:
    """The dead-letter queue of a stack.

    Every method raises a subclass of ApiError when Cloudflare refuses the request or does not answer.
    """

    def __init__(
        self,
        base_url: str,
        api_token: str,
        *,
        account_id: str,
        queue_id: str,
        dlq_id: str,
        priority_queue_ids: Mapping[str, str] | None = None,
    ) -> None:
        self._base_url = base_url
        self._sdk = cloudflare.Cloudflare(
            base_url=base_url,
            api_token=api_token,
            timeout=REQUEST_SECONDS,
            http_client=cloudflare.DefaultHttpxClient(
                trust_env=urlsplit(base_url).hostname not in LOOPBACK_HOSTS  # no proxy reaches the loopback address
            ),
        )
        # If the environment has these, the SDK would use them instead of the token.
        self._sdk.api_email = self._sdk.api_key = self._sdk.user_service_key = None
        self._account_id, self._queue_id, self._dlq_id = account_id, queue_id, dlq_id
        self._priority_queue_ids = priority_queue_ids or {}

    @classmethod
    def of_stack(cls, stack: DeployedStack) -> DeadLetterQueue:
        """Return a stack's dead-letter queue. Raises NotReadyError if its engine has no queues."""
        if not stack.outputs.get("dlq_id"):
            raise NotReadyError(
                f"engine {stack['engine']} has no dead-letter queue; its tasks that failed: "
                "`python -m ops list --status failed`, to run them again: `python -m ops retry --status failed`"
            )
        ids = {key: stack[key] for key in ("account_id", "queue_id", "dlq_id")}
        own = {priority: stack.outputs.get(f"{priority}_queue_ids") for priority in OWN_PRIORITIES}
        first = {priority: queue_ids[0] for priority, queue_ids in own.items() if queue_ids}
        return cls(stack.base_url, stack.api_token, **ids, priority_queue_ids=first)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._sdk.close()

    def count(self) -> int:
        """Return the number of letters, pulled ones included; it may be a moment old."""
        with self._errors():
            metrics = self._sdk.queues.get_metrics(self._dlq_id, account_id=self._account_id)
        return int(metrics.backlog_count) if metrics else 0

    def peek(self, limit: int) -> list[DeadLetter]:
        """Return at most `limit` (1 to 100) letters, without pulling them."""
        with self._errors():
            reply = self._sdk.queues.messages.peek(self._dlq_id, account_id=self._account_id, batch_size=limit)
        return [DeadLetter.of_message(message) for message in (reply and reply.messages) or []]

    def pull(self, limit: int) -> list[LeasedLetter]:
        """Lease at most `limit` (1 to 100) letters. This counts as a delivery, and deliveries are limited."""
        with self._errors():
            reply = self._sdk.queues.messages.pull(
                self._dlq_id, account_id=self._account_id, batch_size=limit, visibility_timeout_ms=LEASE_MS
            )
        messages = (reply and reply.messages) or []
        return [LeasedLetter(DeadLetter.of_message(message), message.lease_id or "") for message in messages]

    def acknowledge(self, leased: Sequence[LeasedLetter]) -> None:
        """Delete pulled letters for good."""
        for batch in _batches(leased):
            self._settle(acks=batch)

    def put_back(self, leased: Sequence[LeasedLetter]) -> None:
        """End the leases, so that others can pull these letters again.

        Cloudflare would drop a letter that has used up its deliveries. A copy, with all its deliveries to come,
        replaces it.
        """
        spent = [each for each in leased if each.letter.attempts >= self._max_retries and _can_be_pushed(each.letter)]
        for each in spent:
            self._push(self._dlq_id, [_copy(each.letter)])
            self._settle(acks=[each])
        for batch in _batches([each for each in leased if each not in spent]):
            self._settle(retries=batch)

    def redrive(self, leased: Sequence[tuple[LeasedLetter, int]]) -> None:
        """Send the tasks of at most 100 letters through the queue of their priority again, each in its new run.

        The letters are acknowledged afterwards.

        If this is interrupted, each letter is still in a queue; with the acknowledgement first it could be lost.
        """
        by_queue = defaultdict[str, list[dict[str, Any]]](list)
        for each, run in leased:
            queue_id = self._priority_queue_ids.get(each.letter.priority or "", self._queue_id)
            # The delay is given even if it is 0, so that the queue's default delay does not apply.
            message = {"body": each.letter.redrive_message(run), "content_type": TASK_CONTENT_TYPE, "delay_seconds": 0}
            by_queue[queue_id].append(message)
        for queue_id, messages in by_queue.items():
            self._push(queue_id, messages)
        self._settle(acks=[each for each, _ in leased])

    def delete_all(self) -> None:
        """Delete every letter for good."""
        with self._errors():
            self._sdk.queues.purge.start(self._dlq_id, account_id=self._account_id, delete_messages_permanently=True)

    @cached_property
    def _max_retries(self) -> int:
        with self._errors():
            consumers = list(self._sdk.queues.consumers.list(self._dlq_id, account_id=self._account_id))
        settings = [consumer.settings for consumer in consumers if consumer.settings]
        return int(min((each.max_retries or 0 for each in settings), default=0))

    def _push(self, queue_id: str, messages: list[dict[str, Any]]) -> None:
        with self._errors():
            self._sdk.queues.messages.bulk_push(queue_id, account_id=self._account_id, messages=cast("Any", messages))

    def _settle(self, *, acks: Sequence[LeasedLetter] = (), retries: Sequence[LeasedLetter] = ()) -> None:
        with self._errors():
            self._sdk.queues.messages.ack(
                self._dlq_id,
                account_id=self._account_id,
                acks=[{"lease_id": each.lease_id} for each in acks],
                retries=[{"lease_id": each.lease_id} for each in retries],
            )

    @contextmanager
    def _errors(self) -> Generator[None]:
        try:
            yield
        except (cloudflare.AuthenticationError, cloudflare.PermissionDeniedError) as error:
            raise RefusedTokenError(
                f"{self._base_url} refuses the API token (CLOUDFLARE_API_TOKEN): {error.message}"
            ) from error
        except cloudflare.APIStatusError as error:
            raise ApiError(f"{self._base_url} refuses the request: {error.message}") from error
        except cloudflare.APIError as error:
            raise UnreachableError(f"{self._base_url} cannot be reached: {error.message}") from error


def _batches(leased: Sequence[LeasedLetter]) -> Iterator[Sequence[LeasedLetter]]:
    for start in range(0, len(leased), MAX_BATCH):
        yield leased[start : start + MAX_BATCH]


def _can_be_pushed(letter: DeadLetter) -> bool:
    """Tell whether the REST API accepts such a message; only Workers can send bytes and v8."""
    return letter.content_type == "text" or (letter.content_type == "json" and letter.body[:1] in {"{", "["})


def _copy(letter: DeadLetter) -> dict[str, Any]:
    body = letter.body if letter.content_type == "text" else json.loads(letter.body)
    return {"body": body, "content_type": letter.content_type}
