"""`python -m ops top` shows the statistics and the newest tasks, live; `python -m ops tail` prints each change."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from typing import Any

from ops.client import MAX_PAGE_TASKS, TaskRunnerClient
from ops.command import SUCCESS, add_command, client_of
from ops.console import Console
from ops.json_object import to_json
from ops.options import name, whole_number
from ops.patience import patiently
from ops.task import Status, TaskSummary
from ops.task_commands import figures_of, moment_of, rows_of

TOP_TASKS = 10
TOP_SECONDS = 5
"""How often `top` asks: an answer of `GET /stats` stays the same for five seconds."""

TAIL_SECONDS = 2
REMEMBERED_TASKS = 1_000

CLEAR = "\x1b[H\x1b[2J"
"""Terminal codes: move to the first line and clear the screen."""


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the command line."""
    top = add_command(commands, common, "top", _top, "show the numbers and the newest tasks again and again")
    _add_every(top, TOP_SECONDS)
    tail = add_command(commands, common, "tail", _tail, f"print what changes of the newest {MAX_PAGE_TASKS} tasks")
    _add_every(tail, TAIL_SECONDS)
    tail.add_argument("--status", choices=[status.value for status in Status], help="those in this state")
    tail.add_argument("--handler", type=name, metavar="NAME", help="those of this handler")


def _add_every(parser: argparse.ArgumentParser, seconds: int) -> None:
    parser.add_argument(
        "--every", type=whole_number(1, 3_600), default=seconds, metavar="S", help="default: %(default)s"
    )
    parser.add_argument("--once", action="store_true", help="look once, and end")


def _top(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        for _ in _looks(options):
            stats, page = patiently(_look, client)
            lines = [*figures_of(stats), "", *rows_of(page)]
            is_screen = sys.stdout.isatty() and not options.once
            # Without a terminal, each screen is printed below the one before.
            separated = [CLEAR + lines[0], *lines[1:]] if is_screen else [*lines, *([] if options.once else [""])]
            console.result({"stats": to_json(stats), "tasks": to_json(page)}, separated)
    return SUCCESS


def _look(client: TaskRunnerClient) -> tuple[Any, list[TaskSummary]]:
    return client.stats(), list(client.page(limit=TOP_TASKS).tasks)


def _tail(options: argparse.Namespace, console: Console) -> int:
    """Print the changes of the newest tasks. The first look is the basis of comparison; a single look is printed."""
    seen: dict[str, TaskSummary] = {}
    with client_of(options) as client:
        for number in _looks(options):
            tasks = patiently(_newest, client, options)
            changed = [task for task in tasks if _version(seen.get(task.task_id)) != _version(task)]
            if number > 0 and len(tasks) == MAX_PAGE_TASKS and all(task.task_id not in seen for task in tasks):
                console.note(f"more than {MAX_PAGE_TASKS} tasks came since the last look; some are not shown")
            for task in reversed(changed if number > 0 or options.once else []):
                console.result(task, [moment_of(task)])
            seen = dict(list({**seen, **{task.task_id: task for task in reversed(tasks)}}.items())[-REMEMBERED_TASKS:])
    return SUCCESS


def _newest(client: TaskRunnerClient, options: argparse.Namespace) -> tuple[TaskSummary, ...]:
    return client.page(status=options.status, handler=options.handler, limit=MAX_PAGE_TASKS).tasks


def _version(task: TaskSummary | None) -> tuple[object, ...] | None:
    return task and (task.status, task.run, task.attempts, task.crashes, task.progress)


def _looks(options: argparse.Namespace) -> Iterator[int]:
    """Yield the number of each look, from 0 on, and sleep between them."""
    number = 0
    while True:
        yield number
        if options.once:
            return
        time.sleep(options.every)
        number += 1
