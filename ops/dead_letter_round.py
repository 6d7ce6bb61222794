"""A round through a dead-letter queue: it pulls letters, and at its end puts back those that were not settled."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import suppress
from typing import Self, TypeAlias

from components.cloudflare_api import ApiError
from ops.dead_letter import DeadLetter
from ops.dead_letter_queue import MAX_BATCH, DeadLetterQueue, LeasedLetter

EMPTY_PULLS = 3
"""Cloudflare may return no letters although there are some; after so many empty pulls in a row the queue counts as
empty.
"""

EMPTY_PULL_SECONDS = 0.5


Choose: TypeAlias = Callable[[Sequence[DeadLetter]], Sequence[DeadLetter]]
"""Selects some of the given letters."""


class DeadLetterRound:
    """A round, used as a context manager. Within one round, no letter is returned twice.

    Every method raises a subclass of ApiError when Cloudflare refuses the request or does not answer.
    """

    def __init__(self, queue: DeadLetterQueue) -> None:
        self._queue = queue
        self._held: dict[str, LeasedLetter] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ApiError):  # they become visible again when their leases end
            self._queue.put_back(list(self._held.values()))

    def pull(self, limit: int = MAX_BATCH) -> list[LeasedLetter]:
        """Return at most `limit` (1 to 100) letters that this round has not returned yet; none if there are no more."""
        empty_pulls = 0
        while True:
            pulled = self._queue.pull(limit)
            unseen = [each for each in pulled if each.letter.letter_id not in self._held]
            # If its lease ended, a known letter is pulled again: keep the new lease.
            self._held |= {each.letter.letter_id: each for each in pulled}
            if unseen:
                return unseen
            if not pulled:
                empty_pulls += 1
                if empty_pulls == EMPTY_PULLS or self.others() == 0:
                    return []
                time.sleep(EMPTY_PULL_SECONDS)

    def others(self) -> int:
        """Return how many letters there are besides those that this round holds."""
        return max(0, self._queue.count() - len(self._held))

    def redrive(self, leased: Sequence[tuple[LeasedLetter, int]]) -> None:
        """Send the tasks of at most 100 letters through the main queue again, each in its new run."""
        self._queue.redrive(leased)
        self._forget([each for each, _ in leased])

    def acknowledge(self, leased: Sequence[LeasedLetter]) -> None:
        """Delete letters for good."""
        self._queue.acknowledge(leased)
        self._forget(leased)

    def find(self, name: str) -> DeadLetter | None:
        """Return the letter with this id, or the letter of the task with this id."""
        while batch := self.pull():
            for each in batch:
                if each.letter.is_called(name):
                    return each.letter
        return None

    def delete(self, choose: Choose) -> Iterator[DeadLetter]:
        """Delete the selected letters for good, and yield each of them.

        Each pull uses up one of a letter's few deliveries. So if Cloudflare shows all letters by a peek, letters after
        the last selected one are not pulled.
        """
        shown = self._queue.peek(MAX_BATCH)
        if self._queue.count() > len(shown):
            while batch := self.pull():
                yield from self._delete(batch, {each.letter_id for each in choose([each.letter for each in batch])})
            return
        wanted = {each.letter_id for each in choose(shown)}
        limit = max((index + 1 for index, each in enumerate(shown) if each.letter_id in wanted), default=0)
        while wanted and (batch := self.pull(limit)):
            for letter in self._delete(batch, wanted):
                wanted.discard(letter.letter_id)
                yield letter
            limit = MAX_BATCH

    def _delete(self, batch: Sequence[LeasedLetter], letter_ids: Collection[str]) -> list[DeadLetter]:
        meant = [each for each in batch if each.letter.letter_id in letter_ids]
        self.acknowledge(meant)
        return [each.letter for each in meant]

    def _forget(self, leased: Sequence[LeasedLetter]) -> None:
        for each in leased:
            del self._held[each.letter.letter_id]
