"""Puts the tasks of dead letters through the main queue again."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from enum import Enum, auto

from ops.client import TaskRunnerClient
from ops.dead_letter import DeadLetter
from ops.dead_letter_queue import MAX_BATCH, LeasedLetter
from ops.dead_letter_round import DeadLetterRound
from ops.errors import TaskNotFoundError
from ops.patience import patiently

STOP_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Selection:
    """Which letters are redriven, and how fast."""

    limit: int | None = None
    """At most so many; None: all."""
    rate_per_second: float | None = None
    """None: as fast as it goes."""
    task_ids: Collection[str] | None = None
    """Those of these tasks alone; None: all."""


@dataclass
class RedriveCounts:
    """What became of the letters of a round. All but those that were redriven stay in the dead-letter queue."""

    redriven: int = 0
    gone: int = 0
    """Their task is not there any more: redriven, they would only come back."""
    repeated: int = 0
    """Their task was redriven in this round already, and may have failed again."""
    malformed: list[DeadLetter] = field(default_factory=list[DeadLetter])
    """They name no task."""


class _Verdict(Enum):
    """What becomes of a letter."""

    REDRIVE = auto()
    ACKNOWLEDGE = auto()  # its run was redriven already: it came twice, or its lease ended too early
    KEEP = auto()


class Redrive:
    """One round of redriving.

    Args:
        letters: the round.
        client: knows which tasks are still there.
        is_stopped: asked between batches; when it says so, what is under way is finished, and nothing else begun.
        report: told how many have been redriven.
    """

    def __init__(
        self,
        letters: DeadLetterRound,
        client: TaskRunnerClient,
        selection: Selection,
        *,
        is_stopped: Callable[[], bool] = lambda: False,
        report: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._letters, self._client, self._selection = letters, client, selection
        self._is_stopped, self._report = is_stopped, report
        self._redriven_runs: dict[str, int] = {}
        self.counts = RedriveCounts()

    def run(self) -> RedriveCounts:
        """Redrive until no letter is left, the limit is reached, or it is stopped.

        Raises:
            ApiError: Cloudflare's API refuses a request; what was done is in `counts`.
            TaskRunnerError: the same of the task runner.
        """
        while not self._is_stopped() and not self._is_done():
            batch = self._letters.pull(self._batch_size())
            if not batch:
                break
            began = time.monotonic()
            verdicts = [(each, self._judge(each.letter)) for each in batch]
            self._letters.acknowledge([each for each, verdict in verdicts if verdict is _Verdict.ACKNOWLEDGE])
            chosen = [each for each, verdict in verdicts if verdict is _Verdict.REDRIVE]
            if chosen:
                self._redrive(chosen)
                self._pace(len(chosen), began)
        return self.counts

    def missing(self) -> list[str]:
        """Return those of the chosen tasks of which no letter was redriven."""
        return sorted(set(self._selection.task_ids or ()) - self._redriven_runs.keys())

    def _redrive(self, chosen: list[LeasedLetter]) -> None:
        self._letters.redrive(chosen)
        for each in chosen:
            if each.letter.task_run:
                self._redriven_runs[each.letter.task_run.task_id] = each.letter.task_run.run
        self.counts.redriven += len(chosen)
        self._report(self.counts.redriven)

    def _batch_size(self) -> int:
        rate = self._selection.rate_per_second
        at_once = MAX_BATCH if rate is None else max(1, min(MAX_BATCH, int(rate)))
        return min(at_once, self._left())

    def _is_done(self) -> bool:
        has_all = self._selection.task_ids is not None and not self.missing()
        return has_all or self._left() <= 0

    def _left(self) -> int:
        """Return how many may still be redriven."""
        return sys.maxsize if self._selection.limit is None else self._selection.limit - self.counts.redriven

    def _judge(self, letter: DeadLetter) -> _Verdict:
        task_run = letter.task_run
        if task_run is None:
            self.counts.malformed.append(letter)
            return _Verdict.KEEP
        if self._selection.task_ids is not None and task_run.task_id not in self._selection.task_ids:
            return _Verdict.KEEP
        redriven_run = self._redriven_runs.get(task_run.task_id)
        if task_run.run == redriven_run:
            return _Verdict.ACKNOWLEDGE
        if redriven_run is not None:
            self.counts.repeated += 1
            return _Verdict.KEEP
        if not self._is_there(task_run.task_id):
            self.counts.gone += 1
            return _Verdict.KEEP
        return _Verdict.REDRIVE

    def _is_there(self, task_id: str) -> bool:
        try:
            patiently(self._client.get, task_id)
        except TaskNotFoundError:
            return False
        return True

    def _pace(self, redriven: int, began: float) -> None:
        if self._selection.rate_per_second is None or self._is_done():
            return
        until = began + redriven / self._selection.rate_per_second
        while not self._is_stopped() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, STOP_POLL_SECONDS))
