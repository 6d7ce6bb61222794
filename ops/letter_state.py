"""The state of a dead letter: whether its task still waits for a redrive."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import StrEnum

from ops.client import TaskRunnerClient
from ops.dead_letter import DeadLetter
from ops.errors import TaskNotFoundError
from ops.patience import patiently
from ops.task import Status, Task

LOOKUPS_AT_ONCE = 8
"""We chose this number: a hundred letters are looked up in a second or two, with little load on the API."""


class LetterState(StrEnum):
    """What became of a letter's task."""

    FAILED = "failed"
    """The task failed in the letter's run: a redrive runs it again."""
    STALE = "stale"
    """The task has ended in another way since, or has begun a later run: there is nothing to redrive."""
    UNFINISHED = "unfinished"
    """The task is still unfinished in that run, or the store does not show its end yet."""
    GONE = "gone"
    """The task is not stored any more: it has expired."""
    MALFORMED = "malformed"
    """The letter names no task."""


@dataclass(frozen=True)
class KnownLetter:
    """A letter and its state. `next_run` is the run that a redrive begins; None if there is nothing to redrive."""

    letter: DeadLetter
    state: LetterState
    next_run: int | None = None

    @property
    def is_useless(self) -> bool:
        """Whether a redrive of it can never do anything, although it names a task."""
        return self.state in {LetterState.STALE, LetterState.GONE}


def known_letters(client: TaskRunnerClient, letters: Sequence[DeadLetter]) -> list[KnownLetter]:
    """Look up the tasks of letters.

    Returns:
        One for each letter, in their order.

    Raises:
        TaskRunnerError: the task runner does not answer.
    """
    ids = list({letter.task_run.task_id: None for letter in letters if letter.task_run})

    def find(task_id: str) -> Task | None:
        try:
            return patiently(client.get, task_id)
        except TaskNotFoundError:
            return None

    with ThreadPoolExecutor(LOOKUPS_AT_ONCE) as pool:
        tasks = dict(zip(ids, pool.map(find, ids), strict=True))
    return [_known(letter, tasks) for letter in letters]


def _known(letter: DeadLetter, tasks: dict[str, Task | None]) -> KnownLetter:
    task_run = letter.task_run
    if task_run is None:
        return KnownLetter(letter, LetterState.MALFORMED)
    task = tasks[task_run.task_id]
    if task is None:
        return KnownLetter(letter, LetterState.GONE)
    # The message of a redrive names a run that has not begun, if it was never delivered.
    is_of_this_run = task_run.run == task.run or (letter.is_redrive and task_run.run == task.run + 1)
    if task.status is Status.FAILED and is_of_this_run:
        return KnownLetter(letter, LetterState.FAILED, task.run + 1)
    has_ended_otherwise = task.status in {Status.COMPLETED, Status.CANCELLED}
    if task.run > task_run.run or (has_ended_otherwise and is_of_this_run):
        return KnownLetter(letter, LetterState.STALE)
    return KnownLetter(letter, LetterState.UNFINISHED)
