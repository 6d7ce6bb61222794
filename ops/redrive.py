"""Redrives dead letters: sends their tasks through the main queue again."""

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
from ops.letter_state import KnownLetter, LetterState, known_letters

STOP_POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Selection:
    """Which letters to redrive, and how fast."""

    limit: int | None = None
    """The largest number of letters; None: all."""
    rate_per_second: float | None = None
    """Letters a second; None: as fast as possible."""
    task_ids: Collection[str] | None = None
    """Redrive only the letters of these tasks; None: all."""


@dataclass
class RedriveCounts:
    """The outcome of a round, in numbers of letters. Those that were not redriven stay in the dead-letter queue."""

    redriven: int = 0
    stale: int = 0
    """Their task has ended in another way since, or has begun a later run: a redrive would run nothing."""
    unfinished: int = 0
    """Their task is still unfinished, or the store does not show its end yet."""
    gone: int = 0
    """Their task has expired: after a redrive they would become dead letters again."""
    repeated: int = 0
    """Their task was already redriven in this round, and may have failed again."""
    malformed: list[DeadLetter] = field(default_factory=list[DeadLetter])
    """They name no task."""


class _Verdict(Enum):
    """What to do with a letter."""

    REDRIVE = auto()
    ACKNOWLEDGE = auto()  # its task was redriven by another letter of that run, or its lease ended too early
    KEEP = auto()


class Redrive:
    """One round of redriving. Each failed task runs once, however many letters it has.

    Args:
        letters: the round through the dead-letter queue.
        client: the client that tells the state of the tasks.
        is_stopped: called between batches. When it returns True, the current batch is finished and no other begun.
        report: called with the number of letters redriven so far.
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
        self._chosen: dict[str, KnownLetter] = {}
        """The letter of each task that was redriven, or is about to be."""
        self.counts = RedriveCounts()

    def run(self) -> RedriveCounts:
        """Redrive until no letter is left, the limit is reached, or `is_stopped` returns True.

        Raises:
            ApiError: Cloudflare's API refuses a request; `counts` has what was done before.
            TaskRunnerError: the task runner refuses a request; `counts` has what was done before.
        """
        while not self._is_stopped() and not self._is_done():
            batch = self._letters.pull(self._batch_size())
            if not batch:
                break
            began = time.monotonic()
            meant = [each for each in batch if self._is_meant(each.letter)]
            known = known_letters(self._client, [each.letter for each in meant])
            verdicts = [(leased, each, self._judge(each)) for leased, each in zip(meant, known, strict=True)]
            chosen = [(leased, each.next_run) for leased, each, verdict in verdicts if verdict is _Verdict.REDRIVE]
            self._redrive([(leased, run) for leased, run in chosen if run is not None])
            self._letters.acknowledge([leased for leased, _, verdict in verdicts if verdict is _Verdict.ACKNOWLEDGE])
            self._pace(len(chosen), began)
        return self.counts

    def missing(self) -> list[str]:
        """Return those of the selected tasks that had no letter to redrive."""
        return sorted(set(self._selection.task_ids or ()) - self._chosen.keys())

    def _redrive(self, chosen: list[tuple[LeasedLetter, int]]) -> None:
        if not chosen:
            return
        self._letters.redrive(chosen)
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
        """Return how many letters may still be redriven."""
        return sys.maxsize if self._selection.limit is None else self._selection.limit - self.counts.redriven

    def _is_meant(self, letter: DeadLetter) -> bool:
        """Tell whether a letter is selected. Letters without a task are always reported."""
        chosen = self._selection.task_ids
        return chosen is None or letter.task_run is None or letter.task_run.task_id in chosen

    def _judge(self, known: KnownLetter) -> _Verdict:
        task_run = known.letter.task_run
        if task_run is None:
            self.counts.malformed.append(known.letter)
            return _Verdict.KEEP
        other = self._chosen.get(task_run.task_id)
        if other:
            return self._judge_another(known, other)
        match known.state:
            case LetterState.FAILED:
                self._chosen[task_run.task_id] = known
                return _Verdict.REDRIVE
            case LetterState.GONE:
                self.counts.gone += 1
            case LetterState.STALE:
                self.counts.stale += 1
            case _:
                self.counts.unfinished += 1
        return _Verdict.KEEP

    def _judge_another(self, known: KnownLetter, chosen: KnownLetter) -> _Verdict:
        """Decide what to do with another letter of a task that is redriven in this round."""
        if known.letter.task_run == chosen.letter.task_run or known.next_run == chosen.next_run:
            return _Verdict.ACKNOWLEDGE
        if known.state is LetterState.STALE:
            self.counts.stale += 1
        else:
            self.counts.repeated += 1
        return _Verdict.KEEP

    def _pace(self, redriven: int, began: float) -> None:
        if self._selection.rate_per_second is None or redriven == 0 or self._is_done():
            return
        until = began + redriven / self._selection.rate_per_second
        while not self._is_stopped() and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, STOP_POLL_SECONDS))
