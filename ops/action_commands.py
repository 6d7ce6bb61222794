"""The commands about actions on many tasks: actions cancel, retry, delete, list, show and stop."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ops.action import Action, Filter
from ops.command import SUCCESS, UsageError, add_command, client_of
from ops.console import Console, table
from ops.options import add_tag_option, name, tags_of
from ops.task import Status

STATUSES = {
    "cancel": (Status.PENDING, Status.PROCESSING),
    "retry": (Status.FAILED, Status.CANCELLED),
    "delete": (Status.COMPLETED, Status.FAILED, Status.CANCELLED),
}
POLL_SECONDS = 1.0


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the command line."""
    text = "cancel, retry or delete all tasks that a filter names"
    parser = commands.add_parser("actions", help=text, description=text)
    actions = parser.add_subparsers(required=True, metavar="COMMAND")
    for command, what in (
        ("cancel", "cancel tasks that have not ended"),
        ("retry", "run tasks again that have failed or were cancelled"),
        ("delete", "delete tasks for good that have ended"),
    ):
        start = add_command(actions, common, command, _start, what)
        start.set_defaults(action=command)
        start.add_argument("--status", choices=[each.value for each in STATUSES[command]], help="those in this state")
        start.add_argument("--handler", type=name, metavar="NAME", help="those of this handler")
        add_tag_option(start, "those with this tag")
        start.add_argument("--created-after", type=_time, metavar="TIME", help="ISO 8601: 2026-11-30T09:00:00Z")
        start.add_argument("--created-before", type=_time, metavar="TIME", help="default: now")
        start.add_argument("--task", action="append", type=name, dest="ids", metavar="ID", help="one of these")
        start.add_argument("--dry-run", action="store_true", help="count them alone")
        start.add_argument("--no-wait", action="store_true", help="do not wait for its end")
    add_command(actions, common, "list", _list, "list the last actions")
    add_command(actions, common, "show", _show, "tell how far one is").add_argument("id", type=name, metavar="ID")
    stop = add_command(actions, common, "stop", _stop, "stop one; what it has done stays done")
    stop.add_argument("id", type=name, metavar="ID")


def _time(text: str) -> datetime:
    try:
        time_of = datetime.fromisoformat(text)
    except ValueError:
        time_of = None
    if time_of is None or time_of.tzinfo is None:
        raise argparse.ArgumentTypeError(f"expected a time with its offset such as 2026-11-30T09:00:00Z, got {text!r}")
    return time_of


def _start(options: argparse.Namespace, console: Console) -> int:
    wanted = Filter(
        status=options.status,
        handler=options.handler,
        tags=tags_of(options) or None,
        created_after=options.created_after,
        created_before=options.created_before,
        ids=options.ids,
    )
    if not wanted.body():
        raise UsageError(
            "expected some of --status, --handler, --tag, --created-after, --created-before, --task: it would be all"
        )
    with client_of(options) as client:
        action = client.start_action(options.action, wanted, dry_run=options.dry_run)
        while action.state == "running" and not options.no_wait:
            time.sleep(POLL_SECONDS)
            action = client.action(action.id)
            console.progress(_line(action))
        console.clear_progress()
    return _tell(action, console)


def _list(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        actions = client.actions()
    console.result(actions, _lines(actions) or ["there were no actions"])
    return SUCCESS


def _show(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        return _tell(client.action(options.id), console)


def _stop(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        return _tell(client.stop_action(options.id), console)


def _tell(action: Action, console: Console) -> int:
    console.result(action, [_line(action)])
    return SUCCESS


def _line(action: Action) -> str:
    return "  ".join(_row(action))


def _lines(actions: Sequence[Action]) -> list[str]:
    return table([_row(each) for each in actions]) if actions else []


def _row(action: Action) -> tuple[str, ...]:
    what = f"{action.action} (dry run)" if action.dry_run else action.action
    skipped = f", {action.skipped} have moved on" if action.skipped else ""
    return action.id, what, action.state, f"{action.matched} matched, {action.done} done{skipped}"
