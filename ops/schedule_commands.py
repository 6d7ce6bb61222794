"""The commands about schedules: schedules list, put, delete, pause and resume."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from ops.command import SUCCESS, add_command, client_of
from ops.console import Console, table
from ops.options import add_task_options, name, seconds, task_settings
from ops.schedule import NewSchedule, Schedule
from ops.task import NewTask


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the command line."""
    text = "look at what makes tasks at set times, make it, change it, pause it"
    parser = commands.add_parser("schedules", help=text, description=text)
    schedules = parser.add_subparsers(required=True, metavar="COMMAND")
    add_command(schedules, common, "list", _list, "list schedules")
    _add_put(schedules, common)
    for command, run, what in (
        ("delete", _delete, "delete a schedule; its tasks stay"),
        ("pause", _pause, "make no more tasks for now"),
        ("resume", _resume, "make tasks again, from the next tick on"),
    ):
        add_command(schedules, common, command, run, what).add_argument("name", type=name, metavar="NAME")


def _add_put(schedules: Any, common: argparse.ArgumentParser) -> None:
    put = add_command(schedules, common, "put", _put, "make a schedule, or change it")
    put.add_argument("name", type=name, metavar="NAME")
    when = put.add_mutually_exclusive_group(required=True)
    when.add_argument("--cron", metavar="FIELDS", help="minute hour day month weekday, such as '0 9 * * 1-5'")
    when.add_argument("--every", type=seconds, metavar="TIME", help="60, 15m, 2h")
    put.add_argument("--timezone", metavar="ZONE", help="of --cron, such as Europe/Berlin (default: UTC)")
    put.add_argument("--overlap", choices=("skip", "allow"), help="while the last task has not ended (default: skip)")
    put.add_argument("--missed", choices=("skip", "last", "all"), help="what of missed ticks is made up for")
    put.add_argument("--data", default="", metavar="TEXT", help="the payload")
    add_task_options(put)


def _list(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        schedules = client.schedules()
        refused = (
            client.refused_schedules() if any(each.owner == "stack" for each in schedules) or not schedules else {}
        )
    lines = [f"{name} of the stack is refused: {error}" for name, error in refused.items()]
    console.result(schedules, [*(_lines(schedules) or ["there are no schedules"]), *lines])
    return SUCCESS


def _put(options: argparse.Namespace, console: Console) -> int:
    task = NewTask(options.data.encode(), **task_settings(options))
    timing = {"cron": options.cron, "timezone": options.timezone, "every_seconds": options.every}
    schedule = NewSchedule(**timing, overlap=options.overlap, missed=options.missed, task=task)
    with client_of(options) as client:
        return _tell(client.put_schedule(options.name, schedule), console)


def _delete(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        schedule = client.delete_schedule(options.name)
    console.result(schedule, [f"{schedule.name} is deleted"])
    return SUCCESS


def _pause(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        return _tell(client.pause_schedule(options.name), console)


def _resume(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        return _tell(client.resume_schedule(options.name), console)


def _tell(schedule: Schedule, console: Console) -> int:
    console.result(schedule, _lines([schedule]))
    return SUCCESS


def _lines(schedules: Sequence[Schedule]) -> list[str]:
    return table([_row(schedule) for schedule in schedules]) if schedules else []


def _row(schedule: Schedule) -> tuple[str, ...]:
    zone = "" if schedule.timezone == "UTC" else f" {schedule.timezone}"
    when = f"every {schedule.every_seconds} s" if schedule.cron is None else f"{schedule.cron}{zone}"
    following = f"next {schedule.next_runs[0]:%Y-%m-%d %H:%M:%S} UTC" if schedule.next_runs else "no next tick"
    owner = "of the stack" if schedule.owner == "stack" else "of the API"
    last = f"last {schedule.last_runs[0].task_id}" if schedule.last_runs else "no run yet"
    return schedule.name, owner, when, schedule.handler, "paused" if schedule.paused else following, last
