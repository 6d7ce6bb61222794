"""The command line of `python -m ops`: its commands, exit codes and error messages."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from components.cloudflare_api import ApiError
from local import DEFAULT_STATE_DIR
from ops import (
    action_commands,
    alert_commands,
    cost_commands,
    dead_letter_commands,
    deploy_commands,
    former_command,
    live_commands,
    pause_commands,
    schedule_commands,
    story_commands,
    task_commands,
)
from ops.command import FAILURE, INTERRUPTED, USAGE, UsageError, explained
from ops.console import Console
from ops.deployed_stack import TOKEN_VARIABLE, NotReadyError
from ops.errors import TaskRunnerError

DESCRIPTION = "Deploys a stack with its checks; submits, follows and manages its tasks, and its dead letters."
EPILOG = f"""\
The token for the task runner's API is {TOKEN_VARIABLE} of the environment, else the first of api_tokens in
Pulumi.<stack>.yaml when they are plain, else of those that `pulumi config get` knows.

exit codes: 0 done; 1 the request failed, or a task that was waited for did not complete; 2 wrong usage;
130 interrupted."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit code."""
    words = sys.argv[1:] if arguments is None else arguments
    console = Console(as_json="--json" in words)
    try:
        options = build_parser().parse_args(words)
        return options.run(options, console)
    except TaskRunnerError as error:
        console.error(error.code, explained(error), dict(error.details))
    except NotReadyError as error:
        console.error("not_ready", str(error))
    except ApiError as error:
        console.error("cloudflare_api", str(error))
    except UsageError as error:
        console.error("usage", str(error))
        return USAGE
    except KeyboardInterrupt:
        console.clear_progress()
        return INTERRUPTED
    except UnicodeEncodeError as error:
        console.error("usage", f"expected arguments in UTF-8, got {error.object!r:.60}")
        return USAGE
    except BrokenPipeError:
        _drop_output()
        return FAILURE
    return FAILURE


def _drop_output() -> None:
    """Discard what is still in stdout's buffer: otherwise the interpreter would report an error at its exit."""
    try:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OSError, ValueError):
        return  # stdout is not a file


def build_parser() -> argparse.ArgumentParser:
    """Make the parser. Parsing raises UsageError."""
    parser = _Parser(
        prog="python -m ops",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--stack", default="local", metavar="NAME", help="the stack (default: %(default)s)")
    common.add_argument(
        "--state",
        type=Path,
        default=DEFAULT_STATE_DIR,
        metavar="DIR",
        help="state folder of the local Cloudflare (default: %(default)s)",
    )
    common.add_argument("--json", action="store_true", help="print JSON only; errors too, on stderr")
    commands: Any = parser.add_subparsers(required=True, metavar="COMMAND")
    deploy_commands.add_parsers(commands, common)
    task_commands.add_parsers(commands, common)
    story_commands.add_parsers(commands, common)
    live_commands.add_parsers(commands, common)
    schedule_commands.add_parsers(commands, common)
    pause_commands.add_parsers(commands, common)
    alert_commands.add_parsers(commands, common)
    action_commands.add_parsers(commands, common)
    dead_letter_commands.add_parsers(commands, common)
    cost_commands.add_parsers(commands, common)
    former_command.add_parser(commands, common)
    return parser


class _Parser(argparse.ArgumentParser):
    """Raises errors instead of exiting, so that the caller reports them; parsers of subcommands have the same class."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{message} (see `{self.prog} --help`)")
