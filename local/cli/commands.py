"""`python -m local start|stop|status|env|logs|reset|serve`."""

import argparse
import shlex
import shutil
from pathlib import Path
from typing import Any

from local.cli import adopt, instance, log_file
from local.cli.api_client import ApiClient
from local.cli.environment import FORMATS, variables
from local.cli.instance import Instance, InstanceError
from local.cli.parsers import add_command
from local.cli.tables import print_line, print_table
from local.core.product import StatusTable
from local.core.registry import products
from local.runtime import node_parts

_NOT_RUNNING = 3  # exit code, the same as that of service managers
_HIGHEST_PORT = 65_535
_STATUS_SECONDS = 5  # for each question of the status, so that a part that does not answer does not delay the others


def add_parsers(subparsers: Any) -> None:
    """Add the commands to the command line."""
    start = add_command(subparsers, "start", _start, "start the local Cloudflare in the background")
    serve = add_command(subparsers, "serve", _serve, "run the local Cloudflare in the foreground")
    for parser in (start, serve):
        parser.add_argument("--port", type=_port, metavar="N", help="port of the API; 0 takes any free one")
        parser.add_argument(
            "--no-browser-checks",
            action="store_false",
            dest="checks_browsers",
            help="let Workers answer to unknown names (Host), and to writes by pages of other sites",
        )
    add_command(subparsers, "stop", _stop, "stop it, and wait until all its processes are gone")
    add_command(subparsers, "status", _status, "show its address, Workers, queues and databases")
    env = add_command(
        subparsers, "env", _env, 'print the variables for wrangler, Terraform, Pulumi and the SDKs: eval "$(…)"'
    )
    env.add_argument("--format", choices=FORMATS, default="shell", help="how to write them (default: %(default)s)")
    logs = add_command(subparsers, "logs", _logs, "show what Workers and the data plane logged")
    logs.add_argument("worker", nargs="?", metavar="WORKER", help="show this Worker's lines only")
    logs.add_argument("--follow", "-f", action="store_true", help="go on with new lines until interrupted")
    logs.add_argument("--all", "-a", action="store_true", help="show the API's requests too")
    taken = add_command(
        subparsers, "adopt", _adopt, "create a store with an id of your choice, as a configuration names it"
    )
    adopt.add_options(taken)
    add_command(
        subparsers, "reset", _reset, "stop it, and delete its state: Workers, queues, databases, deployed stacks"
    )


def _port(text: str) -> int:
    """Read a port. Raises argparse's error, which becomes one line after the usage."""
    if not text.isdecimal() or int(text) > _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to {_HIGHEST_PORT}, got {text!r}")
    return int(text)


def _start(arguments: argparse.Namespace) -> int:
    node_parts.ensure(print_line)
    running, started = instance.start(arguments.state, arguments.port, checks_browsers=arguments.checks_browsers)
    if not started and arguments.port not in (None, 0, running.port):
        msg = f"already running, on port {running.port}: stop it first, then start it on port {arguments.port}"
        raise InstanceError(msg)
    if running.checks_browsers and not arguments.checks_browsers:
        msg = "already running, with checks of browsers: stop it first, then start it with --no-browser-checks"
        raise InstanceError(msg)
    print_line(f"{'started' if started else 'already running'}: {running.base_url}")
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    from local.api.server import serve

    node_parts.ensure(print_line)
    serve(arguments.state, arguments.port, checks_browsers=arguments.checks_browsers)
    return 0


def _stop(arguments: argparse.Namespace) -> int:
    print_line("stopped" if instance.stop(arguments.state) else "not running")
    return 0


def _reset(arguments: argparse.Namespace) -> int:
    state_dir: Path = arguments.state
    if not state_dir.exists():
        print_line("nothing to reset")
        return 0
    if not instance.is_state_dir(state_dir):
        msg = f"{state_dir} is not a state folder of the local Cloudflare; nothing was deleted"
        raise InstanceError(msg)
    instance.stop(state_dir)
    shutil.rmtree(state_dir)
    print_line(f"deleted {state_dir}")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    running = Instance.find(arguments.state)
    if running is None:
        print_line(f"not running (state in {arguments.state})")
        return _NOT_RUNNING
    print_line(f"API       {running.base_url}")
    print_line(f"account   {running.account_id}")
    print_line(f"token     {running.api_token}")
    print_line(f"state     {running.state_dir} (pid {running.pid})")
    with ApiClient(running, seconds=_STATUS_SECONDS) as api:
        told = [_print_status(api, table) for product in products() for table in product.status]
    return 0 if all(told) else 1


def _print_status(api: ApiClient, table: StatusTable) -> bool:
    """Print a part of the status. Return False if the instance did not answer, for instance when a Worker is busy."""
    try:
        rows = table.rows(api)
    except InstanceError as error:
        print_line(f"{table.title}: unknown: {error}")
        return False
    print_line(f"{table.title}:" if rows else f"{table.title}: none")
    print_table(rows, indent="  ")
    return True


def _env(arguments: argparse.Namespace) -> int:
    running = Instance.find(arguments.state)
    if running is None:
        start = f"python -m local start --state {shlex.quote(str(arguments.state))}"
        msg = f"not running (state in {arguments.state}): start it with `{start}`"
        raise InstanceError(msg)
    print_line(FORMATS[arguments.format](variables(running)))
    return 0


def _adopt(arguments: argparse.Namespace) -> int:
    with ApiClient.of(arguments.state) as api:
        identity = adopt.adopt(api, arguments.kind, arguments.name, arguments.identity)
    print_line(f"created {arguments.kind} {arguments.name}: {identity}")
    return 0


def _logs(arguments: argparse.Namespace) -> int:
    path = log_file.log_path(arguments.state)
    if not path.exists():
        msg = f"no log in {arguments.state}: it was never started"
        raise InstanceError(msg)
    for entry in log_file.read(path, follow=arguments.follow):
        if arguments.worker is not None:
            shown = entry.get("worker") == arguments.worker
        else:
            shown = arguments.all or entry["source"] != "api" or entry["level"] == "info"
        if shown:
            print_line(log_file.render(entry))
    return 0
