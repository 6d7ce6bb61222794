"""What the commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

from ops.client import TaskRunnerClient
from ops.console import Console
from ops.deployed_stack import TOKEN_VARIABLE, connect
from ops.errors import TaskNotFoundError, TaskRunnerError, UnauthorizedError

SUCCESS, FAILURE, USAGE, INTERRUPTED = 0, 1, 2, 130
"""Exit codes."""

Command = Callable[[argparse.Namespace, Console], int]
"""Runs a command with its options; returns the exit code."""


class UsageError(Exception):
    """The options contradict each other; the message is one line for the user."""


def add_command(
    commands: Any, common: argparse.ArgumentParser, name: str, run: Command, text: str
) -> argparse.ArgumentParser:
    """Add a command's parser."""
    parser: argparse.ArgumentParser = commands.add_parser(name, parents=[common], help=text, description=text)
    parser.set_defaults(run=run)
    return parser


def client_of(options: argparse.Namespace) -> TaskRunnerClient:
    """Return a client of the stack that the options name. Raises NotReadyError."""
    return connect(options.stack, options.state)


def explained(error: TaskRunnerError) -> str:
    """Return what went wrong and what the user can do about it."""
    match error:
        case UnauthorizedError():
            return f"{error.message}: set {TOKEN_VARIABLE} to one of the stack's api_tokens"
        case TaskNotFoundError() if "time to live" not in error.message:
            return f"{error.message}: there is no such task, or its time to live is over"
        case _:
            return error.message
