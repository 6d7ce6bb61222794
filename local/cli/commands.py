"""`python -m local start|stop|status|env|logs|reset|serve`."""

import argparse
import shlex
import shutil
import sys
from pathlib import Path
from typing import Any

import httpx

from local.cli import adopt, instance, log_file
from local.cli.environment import FORMATS, variables
from local.cli.instance import DEFAULT_STATE_DIR, Instance, InstanceError
from local.core.registry import products
from local.runtime import node_parts

_NOT_RUNNING = 3  # exit code, as service managers have it
_CALL_SECONDS = 20
_HIGHEST_PORT = 65_535


def add_parsers(subparsers: Any) -> None:
    """Add the commands of the server to the command line."""
    start = _add(subparsers, "start", _start, "start the local Cloudflare in the background")
    serve = _add(subparsers, "serve", _serve, "run the local Cloudflare in the foreground")
    for parser in (start, serve):
        parser.add_argument("--port", type=_port, metavar="N", help="port of the API; 0 takes any free one")
    _add(subparsers, "stop", _stop, "stop it, and wait until all its processes are gone")
    _add(subparsers, "status", _status, "show its address, Workers, queues and databases")
    env = _add(subparsers, "env", _env, 'print the variables for wrangler, Terraform, Pulumi and the SDKs: eval "$(…)"')
    env.add_argument("--format", choices=FORMATS, default="shell", help="how to write them (default: %(default)s)")
    logs = _add(subparsers, "logs", _logs, "show what Workers and the data plane logged")
    logs.add_argument("worker", nargs="?", metavar="WORKER", help="show this Worker's lines only")
    logs.add_argument("--follow", "-f", action="store_true", help="go on with new lines until interrupted")
    logs.add_argument("--all", "-a", action="store_true", help="show the API's requests too")
    taken = _add(subparsers, "adopt", _adopt, "create a store with an id of your choice, as a configuration names it")
    adopt.add_options(taken)
    _add(subparsers, "reset", _reset, "stop it, and delete its state: Workers, queues, databases, deployed stacks")


def _add(subparsers: Any, name: str, run: Any, text: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = subparsers.add_parser(name, help=text, description=text)
    parser.add_argument(
        "--state",
        type=Path,
        default=DEFAULT_STATE_DIR,
        metavar="DIR",
        help=f"state folder (default {DEFAULT_STATE_DIR})",
    )
    parser.set_defaults(run=run)
    return parser


def _port(text: str) -> int:
    """Read a port. Raises argparse's error, which becomes one line after the usage."""
    if not text.isdecimal() or int(text) > _HIGHEST_PORT:
        raise argparse.ArgumentTypeError(f"expected a port from 0 to {_HIGHEST_PORT}, got {text!r}")
    return int(text)


def _start(arguments: argparse.Namespace) -> int:
    node_parts.ensure(_print)
    running, started = instance.start(arguments.state, arguments.port)
    if not started and arguments.port not in (None, 0, running.port):
        msg = f"already running, on port {running.port}: stop it first, then start it on port {arguments.port}"
        raise InstanceError(msg)
    _print(f"{'started' if started else 'already running'}: {running.base_url}")
    return 0


def _serve(arguments: argparse.Namespace) -> int:
    from local.api.server import serve

    node_parts.ensure(_print)
    serve(arguments.state, arguments.port)
    return 0


def _stop(arguments: argparse.Namespace) -> int:
    _print("stopped" if instance.stop(arguments.state) else "not running")
    return 0


def _reset(arguments: argparse.Namespace) -> int:
    state_dir: Path = arguments.state
    if not state_dir.exists():
        _print("nothing to reset")
        return 0
    if not instance.is_state_dir(state_dir):
        msg = f"{state_dir} is not a state folder of the local Cloudflare; nothing was deleted"
        raise InstanceError(msg)
    instance.stop(state_dir)
    shutil.rmtree(state_dir)
    _print(f"deleted {state_dir}")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    running = Instance.find(arguments.state)
    if running is None:
        _print(f"not running (state in {arguments.state})")
        return _NOT_RUNNING
    headers = {"Authorization": f"Bearer {running.api_token}"}
    account = f"{running.base_url}/accounts/{running.account_id}"
    with httpx.Client(headers=headers, timeout=_CALL_SECONDS, trust_env=False) as http:
        api = _Api(http, running.base_url, account)
        tables = [(table.title, table.rows(api)) for product in products() for table in product.status]
    _print(f"API       {running.base_url}")
    _print(f"account   {running.account_id}")
    _print(f"token     {running.api_token}")
    _print(f"state     {running.state_dir} (pid {running.pid})")
    for title, rows in tables:
        _table(title, rows)
    return 0


def _env(arguments: argparse.Namespace) -> int:
    running = Instance.find(arguments.state)
    if running is None:
        start = f"python -m local start --state {shlex.quote(str(arguments.state))}"
        msg = f"not running (state in {arguments.state}): start it with `{start}`"
        raise InstanceError(msg)
    _print(FORMATS[arguments.format](variables(running)))
    return 0


def _adopt(arguments: argparse.Namespace) -> int:
    running = Instance.find(arguments.state)
    if running is None:
        msg = f"not running (state in {arguments.state}): start it with `python -m local start`"
        raise InstanceError(msg)
    identity = adopt.adopt(running, arguments.kind, arguments.name, arguments.identity)
    _print(f"created {arguments.kind} {arguments.name}: {identity}")
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
            _print(log_file.render(entry))
    return 0


class _Api:
    """The account's part of the API, as `Listing` wants it."""

    def __init__(self, http: httpx.Client, base_url: str, account: str) -> None:
        self._http = http
        self._base_url = base_url
        self._account = account

    def all(self, path: str) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = []
        page = 1
        while True:
            body = self._get(f"{self._account}/{path}", {"page": page, "per_page": 100})
            items += body["result"]
            if page >= body["result_info"]["total_pages"]:
                return items
            page += 1

    def one(self, path: str) -> dict[str, Any]:
        return self._get(f"{self._account}/{path}", {})["result"]

    def outside(self, path: str) -> Any:
        return self._get(f"{self._base_url}/{path}", {})["result"]

    def _get(self, url: str, params: dict[str, int]) -> dict[str, Any]:
        return self._http.get(url, params=params).raise_for_status().json()


def _table(title: str, rows: list[tuple[str, ...]]) -> None:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))] if rows else []
    _print(f"{title}:" if rows else f"{title}: none")
    for row in rows:
        _print("  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
