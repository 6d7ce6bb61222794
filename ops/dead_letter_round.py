"""A round through a dead-letter queue: letters are pulled, and those that are not settled are put back in the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Self

from components.cloudflare_api import ApiError
from ops.dead_letter import DeadLetter
from ops.dead_letter_queue import MAX_BATCH, DeadLetterQueue, LeasedLetter

EMPTY_PULLS = 3
"""Cloudflare may answer a pull with nothing while there are letters; so often in a row it is believed."""

EMPTY_PULL_SECONDS = 0.5


class DeadLetterRound:
    """Use it as a context. Within one, no letter comes twice.

    Every method raises ApiError, of the kind that fits.
    """

    def __init__(self, queue: DeadLetterQueue) -> None:
        self._queue = queue
        self._held: dict[str, LeasedLetter] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(ApiError):  # they come back by themselves, when their leases end
            self._queue.put_back(list(self._held.values()))

    def pull(self, limit: int = MAX_BATCH) -> list[LeasedLetter]:
        """Return at most `limit` (1 to 100) letters that were not seen in this round; none when there are no more."""
        empty_pulls = 0
        while True:
            pulled = self._queue.pull(limit)
            unseen = [each for each in pulled if each.letter.letter_id not in self._held]
            # One that was seen is here again because its lease has ended: this is the new one.
            self._held |= {each.letter.letter_id: each for each in pulled}
            if unseen:
                return unseen
            if not pulled:
                empty_pulls += 1
                if empty_pulls == EMPTY_PULLS or self.others() == 0:
                    return []
                time.sleep(EMPTY_PULL_SECONDS)

    def others(self) -> int:
        """Return how many letters there are beside those that this round holds."""
        return max(0, self._queue.count() - len(self._held))

    def redrive(self, leased: Sequence[LeasedLetter]) -> None:
        """Send the tasks of at most 100 letters through the main queue again."""
        self._queue.redrive(leased)
        self._forget(leased)

    def acknowledge(self, leased: Sequence[LeasedLetter]) -> None:
        """Delete letters for good."""
        self._queue.acknowledge(leased)
        self._forget(leased)

    def find(self, name: str) -> DeadLetter | None:
        """Return the letter with this id, or of the task with this id."""
        while batch := self.pull():
            for each in batch:
                if each.letter.is_called(name):
                    return each.letter
        return None

    def delete(self, is_meant: Callable[[DeadLetter], bool]) -> Iterator[DeadLetter]:
        """Delete the letters that are meant, for good; give each of them."""
        while batch := self.pull():
            meant = [each for each in batch if is_meant(each.letter)]
            self.acknowledge(meant)
            yield from (each.letter for each in meant)

    def _forget(self, leased: Sequence[LeasedLetter]) -> None:
        for each in leased:
            del self._held[each.letter.letter_id]
