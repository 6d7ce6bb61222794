"""The current listeners of tails: each has a queue of events."""

import asyncio
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

_LONGEST_QUEUE = 1000  # of events; Cloudflare also drops events for a client that is too slow

Event = dict[str, Any]
Queue = asyncio.Queue[Event]


class TailSubscribers:
    """The open connections, by the id of their tail."""

    def __init__(self) -> None:
        self._by_tail: dict[str, list[Queue]] = {}

    @contextmanager
    def subscribe(self, tail_id: str) -> Generator[Queue]:
        """Put the events of a tail into a new queue, as long as the context lasts."""
        queue = Queue(_LONGEST_QUEUE)
        self._by_tail.setdefault(tail_id, []).append(queue)
        try:
            yield queue
        finally:
            self._by_tail[tail_id].remove(queue)
            if not self._by_tail[tail_id]:
                del self._by_tail[tail_id]

    def has(self, tail_id: str) -> bool:
        """Tell whether anybody listens to a tail."""
        return tail_id in self._by_tail

    def publish(self, tail_id: str, event: Event) -> None:
        """Send an event to all listeners of a tail."""
        for queue in self._by_tail.get(tail_id, []):
            if not queue.full():
                queue.put_nowait(event)
