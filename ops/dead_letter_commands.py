"""The commands about dead letters: dlq list, show, redrive and purge."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from typing import Any

from ops.client import TaskRunnerClient
from ops.command import FAILURE, INTERRUPTED, SUCCESS, UsageError, add_command
from ops.console import Console, age, excerpt, table
from ops.dead_letter import DeadLetter
from ops.dead_letter_queue import MAX_BATCH, DeadLetterQueue
from ops.dead_letter_round import DeadLetterRound
from ops.deployed_stack import DeployedStack, find_deployed_stack, task_runner_token
from ops.errors import TaskNotFoundError, TaskRunnerError
from ops.json_object import to_json
from ops.letter_state import LetterState, known_letters
from ops.options import name, rate, whole_number
from ops.redrive import Redrive, RedriveCounts, Selection

MEANINGS = {
    LetterState.FAILED: "a redrive runs it again",
    LetterState.STALE: "it has ended otherwise or moved on since, there is nothing to redrive",
    LetterState.UNFINISHED: "it has not ended yet",
    LetterState.GONE: "there is nothing to redrive",
}
"""What the state of a letter says about its task."""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the command line."""
    text = "look at dead letters, put their tasks through the queue again, or delete them"
    dlq = commands.add_parser("dlq", help=text, description=text)
    letters = dlq.add_subparsers(required=True, metavar="COMMAND")
    listing = add_command(letters, common, "list", _list, "list dead letters, without pulling them")
    listing.add_argument(
        "--limit", type=whole_number(1, MAX_BATCH), default=MAX_BATCH, metavar="N", help="default: %(default)s"
    )
    show = add_command(letters, common, "show", _show, "show a dead letter, and what its task is about")
    show.add_argument("name", type=name, metavar="ID", help="of the letter, or of its task")
    _add_redrive(letters, common)
    purge = add_command(letters, common, "purge", _purge, "delete dead letters for good")
    which = purge.add_mutually_exclusive_group(required=True)
    which.add_argument("--malformed", action="store_true", help="those that name no task")
    which.add_argument(
        "--stale", action="store_true", help="those whose task has ended otherwise since, has moved on, or is gone"
    )
    which.add_argument("--task", type=name, nargs="+", dest="task_ids", metavar="ID", help="those of these tasks")
    which.add_argument("--all", action="store_true", help="all of them")
    purge.add_argument("--yes", "-y", action="store_true", help="do not ask")


def _add_redrive(letters: Any, common: argparse.ArgumentParser) -> None:
    redrive = add_command(letters, common, "redrive", _redrive, "put the tasks of dead letters through the queue again")
    redrive.add_argument("--limit", type=whole_number(1), metavar="N", help="at most so many (default: all there are)")
    redrive.add_argument("--rate", type=rate, metavar="N", help="at most so many a second (default: no limit)")
    redrive.add_argument("--task", type=name, nargs="+", dest="task_ids", metavar="ID", help="those of these tasks")


def _list(options: argparse.Namespace, console: Console) -> int:
    stack = _stack(options)
    with DeadLetterQueue.of_stack(stack) as queue:
        letters = queue.peek(options.limit)
        total = max(queue.count(), len(letters))
    states = _states(stack, options, letters, console)
    heading = ("LETTER", "TASK", "RUN", "AGE", "PULLED", "STATE", "")
    rows = [_row(letter, state) for letter, state in zip(letters, states, strict=True)]
    lines = table([heading, *rows]) if letters else ["no dead letters"]
    if total > len(letters):
        lines.append(f"{len(letters)} of about {total}")
    described = [_described(letter) | {"state": state} for letter, state in zip(letters, states, strict=True)]
    console.result({"deadLetters": described, "total": total}, lines)
    return SUCCESS


def _states(
    stack: DeployedStack, options: argparse.Namespace, letters: list[DeadLetter], console: Console
) -> list[LetterState | None]:
    """Return the letters' states. Return None if the task runner does not answer, because it may be what is broken."""
    try:
        with _client(stack, options.stack) as client:
            return [known.state for known in known_letters(client, letters)]
    except TaskRunnerError as error:
        console.note(f"what became of their tasks is not known: {error.message}")
        return [LetterState.MALFORMED if letter.task_run is None else None for letter in letters]


def _show(options: argparse.Namespace, console: Console) -> int:
    stack = _stack(options)
    with DeadLetterQueue.of_stack(stack) as queue:
        letter = _find(queue, options.name)
    if letter is None:
        console.error("dead_letter_not_found", f"no dead letter has this id or is of this task: {options.name}")
        return FAILURE
    facts = [
        ("letter", letter.letter_id),
        ("sent", f"{to_json(letter.sent_at)} ({age(letter.sent_at)} ago)"),
        ("pulled", f"{letter.attempts} times"),
        ("content type", letter.content_type),
        ("body", excerpt(letter.body, length=None)),
    ]
    status, state = None, LetterState.MALFORMED
    if letter.task_run:
        with _client(stack, options.stack) as client:
            status = _task_status(client, letter.task_run.task_id)
            [known] = known_letters(client, [letter])
        state = known.state
        facts.append(("task", f"{letter.task_run.task_id}, run {letter.task_run.run}"))
        facts.append(("status", status or "not there: it has expired, or never was"))
        facts.append(("state", f"{state}: {MEANINGS[state]}"))
    else:
        facts.append(("task", "none: the letter is malformed"))
    console.result({**_described(letter), "taskStatus": status, "state": state}, table(facts))
    return SUCCESS


def _find(queue: DeadLetterQueue, name: str) -> DeadLetter | None:
    """Find a letter. Only if Cloudflare does not show it otherwise, pull letters and put them back."""
    shown = queue.peek(MAX_BATCH)
    found = next((letter for letter in shown if letter.is_called(name)), None)
    if found or queue.count() <= len(shown):
        return found
    with DeadLetterRound(queue) as letters:
        return letters.find(name)


def _task_status(client: TaskRunnerClient, task_id: str) -> str | None:
    try:
        return client.get(task_id).status
    except TaskNotFoundError:
        return None


def _redrive(options: argparse.Namespace, console: Console) -> int:
    stack = _stack(options)
    with (
        DeadLetterQueue.of_stack(stack) as queue,
        _client(stack, options.stack) as client,
        _stop_on_interrupt(console) as is_stopped,
        DeadLetterRound(queue) as letters,
    ):
        there = queue.count()
        redrive = Redrive(
            letters,
            client,
            Selection(options.limit, options.rate, options.task_ids),
            is_stopped=is_stopped,
            report=lambda redriven: console.progress(f"redriven {redriven} of about {there}"),
        )
        try:
            redrive.run()
        finally:  # report what was done, whatever error comes
            _report(redrive.counts, console, interrupted=is_stopped())
        if is_stopped():
            return INTERRUPTED
    if redrive.missing():
        console.error("dead_letter_not_found", f"no dead letter was redriven of {', '.join(redrive.missing())}")
        return FAILURE
    return SUCCESS


def _report(counts: RedriveCounts, console: Console, *, interrupted: bool) -> None:
    result = to_json(counts) | {"malformed": [_described(letter) for letter in counts.malformed]}
    console.result({**result, "interrupted": interrupted}, _summary(counts, interrupted=interrupted))


def _summary(counts: RedriveCounts, *, interrupted: bool) -> list[str]:
    lines = [f"redriven {counts.redriven}" + (", then interrupted" if interrupted else "")]
    if counts.stale:
        what = "their tasks have ended otherwise or moved on"
        lines.append(f"skipped {counts.stale} stale: {what}, `dlq purge --stale` deletes them")
    if counts.unfinished:
        lines.append(f"skipped {counts.unfinished}: their tasks have not ended yet, try again in a minute")
    if counts.gone:
        lines.append(f"skipped {counts.gone}: their tasks are not there any more")
    if counts.repeated:
        lines.append(
            f"skipped {counts.repeated}: their tasks were redriven already just now, and may have failed again"
        )
    if counts.malformed:
        lines.append(f"skipped {len(counts.malformed)}: they name no task, `dlq purge --malformed` deletes them")
        lines += [f"  {line}" for line in table([(each.letter_id, excerpt(each.body)) for each in counts.malformed])]
    return lines


def _purge(options: argparse.Namespace, console: Console) -> int:
    stack = _stack(options)
    with DeadLetterQueue.of_stack(stack) as queue:
        if not _is_confirmed(options, f"{_meant(options)} of {stack['dlq_name']}"):
            console.note("nothing was deleted")
            return FAILURE
        if options.all:
            purged = queue.count()
            queue.delete_all()
        else:
            with DeadLetterRound(queue) as letters, _client(stack, options.stack) as client:
                purged = sum(1 for _ in letters.delete(lambda shown: _chosen(shown, options, client)))
    console.result({"purged": purged}, [f"deleted {purged} dead letter{'' if purged == 1 else 's'}"])
    return SUCCESS


def _meant(options: argparse.Namespace) -> str:
    if options.all:
        return "all dead letters"
    if options.malformed:
        return "all malformed dead letters"
    return "all stale dead letters" if options.stale else f"the dead letters of {', '.join(options.task_ids)}"


def _chosen(
    letters: Sequence[DeadLetter], options: argparse.Namespace, client: TaskRunnerClient
) -> Sequence[DeadLetter]:
    if options.malformed:
        return [letter for letter in letters if letter.task_run is None]
    if options.stale:
        return [known.letter for known in known_letters(client, letters) if known.is_useless]
    return [letter for letter in letters if letter.task_run and letter.task_run.task_id in options.task_ids]


def _is_confirmed(options: argparse.Namespace, what: str) -> bool:
    """Ask whether to delete. Raises UsageError if there is no terminal to ask on."""
    if options.yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError(f"this deletes {what} for good: say so with --yes")
    sys.stderr.write(f"Delete {what} for good? [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


@contextmanager
def _stop_on_interrupt(console: Console) -> Generator[Any]:
    """Let the first Ctrl-C stop the command after its current batch, and the second one at once."""
    stopped = False

    def stop(_signal: int, _frame: object) -> None:
        nonlocal stopped
        if stopped:
            raise KeyboardInterrupt
        stopped = True
        console.note("finishing the letters in hand; once more to stop at once")

    former = signal.signal(signal.SIGINT, stop)
    try:
        yield lambda: stopped
    finally:
        signal.signal(signal.SIGINT, former)


def _stack(options: argparse.Namespace) -> DeployedStack:
    return find_deployed_stack(options.stack, options.state)


def _client(stack: DeployedStack, name: str) -> TaskRunnerClient:
    return TaskRunnerClient(stack.url, task_runner_token(name))


def _described(letter: DeadLetter) -> dict[str, Any]:
    task_run = letter.task_run
    return {
        **to_json(letter),
        "taskId": task_run and task_run.task_id,
        "run": task_run and task_run.run,
        "malformed": task_run is None,
    }


def _row(letter: DeadLetter, state: LetterState | None) -> tuple[str, ...]:
    task_run = letter.task_run
    names = (task_run.task_id, str(task_run.run), "") if task_run else ("", "", excerpt(letter.body))
    return (letter.letter_id, *names[:2], age(letter.sent_at), str(letter.attempts), state or "unknown", names[2])
