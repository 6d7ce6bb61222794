"""The commands of the deployment: up, preview, refresh, destroy, output."""

import argparse
import contextlib
import gc
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from local.cli.instance import DEFAULT_STATE_DIR, Instance
from local.pulumi.errors import DeployError

if TYPE_CHECKING:
    from local.pulumi.deployment import Deployment, Outcome

# Importing the Pulumi SDK takes a second, and not every command needs it; so the rest is imported inside of the
# functions.

_DEFAULT_STACK = "local"

_COMMANDS = {
    "up": "deploy the program in this folder: create, update and delete until the stack is as it says",
    "preview": "show what `up` would do, and touch nothing",
    "refresh": "read every resource back, so that the next `up` repairs what was changed by hand",
    "destroy": "delete everything that the stack has made",
}

# The provider's SDK creates a million permanent objects. With the default threshold (700) of the garbage collector, its
# import takes a quarter more CPU time.
_GC_THRESHOLD = 100_000


def add_parsers(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:  # pyright: ignore[reportPrivateUsage]
    """Add the commands to `python -m local`; each sets `run`, which takes the arguments and returns the exit code."""
    for name, description in _COMMANDS.items():
        parser = subparsers.add_parser(name, help=description, description=description)
        _add_stack_options(parser)
        parser.add_argument("--json", action="store_true", help="print one JSON document at the end instead of lines")
        parser.add_argument(
            "--yes", "-y", action="store_true", help="accepted for the Pulumi CLI's sake; it allows no loss of data"
        )
        if name in ("up", "destroy"):
            parser.add_argument(
                "--delete-data",
                action="store_true",
                help="delete stores that hold data without asking",
            )
        parser.set_defaults(run=_deploy, command=name)
    _add_config_parser(subparsers)
    description = "print the stack's outputs"
    parser = subparsers.add_parser("output", help=description, description=description)
    _add_stack_options(parser)
    parser.add_argument("name", nargs="?", metavar="NAME", help="print only this output, as it is")
    parser.add_argument("--json", action="store_true", help="print a JSON object, as `pulumi stack output --json` does")
    parser.add_argument("--show-secrets", action="store_true", help="print secrets in plain")
    parser.set_defaults(run=_output)


def _add_config_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:  # pyright: ignore[reportPrivateUsage]
    description = "change the stack's configuration, Pulumi.<stack>.yaml"
    commands = subparsers.add_parser("config", help=description, description=description).add_subparsers(
        required=True, metavar="COMMAND"
    )
    setter = commands.add_parser("set", help="set a value", description="set a value")
    setter.add_argument("key", metavar="KEY", help="a key of this project, or NAMESPACE:KEY")
    setter.add_argument("value", metavar="VALUE")
    setter.add_argument("--stack", default=_DEFAULT_STACK, help="the stack (default: %(default)s)")
    setter.set_defaults(run=_set_config)


def _set_config(arguments: argparse.Namespace) -> int:
    from local.pulumi.stack_config import set_value

    try:
        set_value(Path(), arguments.stack, arguments.key, arguments.value)
    except DeployError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    return 0


def _add_stack_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--stack", default=_DEFAULT_STACK, help="the stack (default: %(default)s)")
    parser.add_argument(
        "--state", type=Path, default=DEFAULT_STATE_DIR, metavar="DIR", help="state folder (default: %(default)s)"
    )


def _deploy(arguments: argparse.Namespace) -> int:
    began = time.monotonic()
    gc.set_threshold(_GC_THRESHOLD)
    try:
        if arguments.json:
            return _deploy_json(arguments)
        return _deploy_console(arguments, began)
    except DeployError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1


def _deploy_console(arguments: argparse.Namespace, began: float) -> int:
    from local.pulumi.display import ConsoleDisplay, output_lines, summary

    display = ConsoleDisplay()
    with _deployment(arguments, display) as deployment, display.watching():
        outcome = _command(deployment, arguments.command)()
    foretold, complete = arguments.command == "preview", not (outcome.errors or outcome.interrupted)
    if arguments.command in {"up", "preview"} and complete:
        for line in output_lines(outcome.outputs):
            display.write(line)
    heading = "Resources" if complete else "Failed, before that"
    display.write(f"{heading}: {summary(outcome.tally, foretold=foretold, complete=complete)}")
    if complete:
        display.write(f"Duration: {time.monotonic() - began:.1f} s")
    return _report(outcome)


def _deploy_json(arguments: argparse.Namespace) -> int:
    from local.pulumi.display import JsonDisplay
    from local.pulumi.wire import hide

    display = JsonDisplay()
    # The program's output is not part of the document.
    with contextlib.redirect_stdout(sys.stderr), _deployment(arguments, display) as deployment:
        outcome = _command(deployment, arguments.command)()
    document = {
        "stack": arguments.stack,
        "steps": display.steps,
        "summary": {action.value: count for action, count in outcome.tally.items() if count},
        "outputs": hide(outcome.outputs),
        "errors": outcome.errors,
    }
    sys.stdout.write(json.dumps(document, indent=2) + "\n")
    return _report(outcome)


def _report(outcome: "Outcome") -> int:
    """Write the errors; return the exit code."""
    if outcome.trace:
        sys.stderr.write(outcome.trace)
    for error in outcome.errors:
        sys.stderr.write(f"error: {error}\n")
    if outcome.interrupted:
        sys.stderr.write("error: interrupted; what was done is kept, and the same command goes on from here\n")
    return 1 if outcome.errors or outcome.interrupted else 0


def _deployment(arguments: argparse.Namespace, display: Any) -> "Deployment":
    from local.pulumi.deployment import Deployment
    from local.pulumi.target import Target

    instance = Instance.find(arguments.state)
    if instance is None:
        option = "" if arguments.state == DEFAULT_STATE_DIR else f" --state {arguments.state}"
        raise DeployError(f"no local Cloudflare is running: start it with `python -m local start{option}`")
    target = Target(instance.base_url, instance.api_token)
    return Deployment(
        Path(), arguments.stack, arguments.state.resolve(), target, display, lambda lost: _confirmed(arguments, lost)
    )


def _confirmed(arguments: argparse.Namespace, lost: list[str]) -> bool:
    """Show in red which data would be lost, and ask. Without a terminal `destroy` goes on: its name says it."""
    if arguments.delete_data:
        return True
    red, plain = ("\x1b[31m", "\x1b[0m") if sys.stderr.isatty() and "NO_COLOR" not in os.environ else ("", "")
    for store in lost:
        sys.stderr.write(f"{red}warning: this deletes data: {store}{plain}\n")
    if arguments.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
        if arguments.command == "destroy":
            return True
        sys.stderr.write("nobody can be asked here: run this in a terminal, or with --delete-data\n")
        return False
    sys.stderr.write(f"Type the stack's name ({arguments.stack}) to delete it: ")
    sys.stderr.flush()
    return sys.stdin.readline().strip() == arguments.stack


def _command(deployment: "Deployment", name: str) -> "Callable[[], Outcome]":
    commands = {
        "up": deployment.up,
        "preview": deployment.preview,
        "refresh": deployment.refresh,
        "destroy": deployment.destroy,
    }
    return commands[name]


def _output(arguments: argparse.Namespace) -> int:
    from local.pulumi.outputs import stack_outputs
    from local.pulumi.stack_config import project_name
    from local.pulumi.wire import hide, reveal

    try:
        outputs = stack_outputs(arguments.state, arguments.stack, project_name(Path()))
        shown = reveal(outputs) if arguments.show_secrets else hide(outputs)
        if arguments.name is not None and arguments.name not in shown:
            raise DeployError(
                f"stack {arguments.stack} has no output {arguments.name}; it has {', '.join(sorted(shown))}"
            )
    except DeployError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    chosen: Any = shown if arguments.name is None else shown[arguments.name]
    if arguments.json:
        sys.stdout.write(json.dumps(chosen, indent=2) + "\n")
    elif arguments.name is not None:
        sys.stdout.write((chosen if isinstance(chosen, str) else json.dumps(chosen)) + "\n")
    else:
        width = max(map(len, shown), default=0)
        for name, value in sorted(shown.items()):
            sys.stdout.write(f"{name:<{width}}  {value if isinstance(value, str) else json.dumps(value)}\n")
    return 0
