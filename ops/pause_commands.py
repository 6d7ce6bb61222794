"""The commands pause, resume and pauses."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

from ops.command import SUCCESS, add_command, client_of
from ops.console import Console, table
from ops.options import name
from ops.pause import Pause


def add_parsers(commands: Any, common: argparse.ArgumentParser) -> None:
    """Add the commands to the command line."""
    add_command(commands, common, "pauses", _pauses, "list what is paused")
    for command, run, what in (
        ("pause", _pause, "let tasks wait; those that are running go on to their end"),
        ("resume", _resume, "let tasks go on that wait, the oldest first"),
    ):
        parser = add_command(commands, common, command, run, what)
        parser.add_argument("handler", nargs="?", type=name, metavar="HANDLER", help="of this handler (default: all)")


def _pauses(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        return _tell(client.pauses(), console)


def _pause(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        return _tell(client.pause(options.handler), console)


def _resume(options: argparse.Namespace, console: Console) -> int:
    with client_of(options) as client:
        return _tell(client.resume(options.handler), console)


def _tell(pauses: Sequence[Pause], console: Console) -> int:
    rows = [(each.handler or "all handlers", f"paused since {each.since:%Y-%m-%d %H:%M:%S} UTC") for each in pauses]
    console.result(pauses, table(rows) if rows else ["nothing is paused"])
    return SUCCESS
