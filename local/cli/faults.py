"""`python -m local faults set|list|clear|kinds`."""

import argparse
import re
from typing import Any

from local.cli.api_client import ApiClient
from local.cli.instance import InstanceError
from local.cli.parsers import add_command
from local.cli.tables import print_table
from local.products.faults.rows import row

_PATH = "/local/faults"
_UNITS_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_RANGE = re.compile(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?")


def add_parser(subparsers: Any) -> None:
    """Add the command to the command line."""
    text = "have a bad day: make calls of Workers fail, see docs/bad-day.md"
    parser: argparse.ArgumentParser = subparsers.add_parser("faults", help=text, description=text)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    setting = add_command(commands, "set", _set, "make calls fail from now on")
    setting.add_argument("product", metavar="PRODUCT", help="d1, kv, queues, durable-objects, workflows or worker")
    setting.add_argument("--error", required=True, metavar="NAME", help="what goes wrong: `faults kinds` lists it all")
    setting.add_argument("--resource", metavar="NAME-OR-ID", help="of this database, queue, ... alone")
    setting.add_argument("--on", action="append", metavar="CALL", help="at this call alone, such as write or send")
    setting.add_argument("--rate", type=float, metavar="R", help="at this part of all calls, 0 to 1 (default 1)")
    setting.add_argument("--nth", type=int, metavar="N", help="at the Nth call alone")
    setting.add_argument("--per-second", type=int, metavar="N", help="above so many in a second (of a limit)")
    setting.add_argument("--latency-ms", type=_latency, metavar="MS[-MS]", help="wait so long, or a time in this range")
    setting.add_argument("--for", dest="for_seconds", type=_seconds, metavar="TIME", help="for this time: 60s, 5m")
    setting.add_argument("--seed", type=int, metavar="N", help="the same calls are hit each time with the same seed")
    add_command(commands, "list", _list, "show what is set, and how many calls failed")
    clearing = add_command(commands, "clear", _clear, "end faults: all, or those named")
    clearing.add_argument("ids", nargs="*", metavar="ID", help="of a fault, as `list` shows it")
    kinds = add_command(commands, "kinds", _kinds, "list what can go wrong")
    kinds.add_argument("product", nargs="?", metavar="PRODUCT", help="of this product alone")


def _set(arguments: argparse.Namespace) -> int:
    names = ("product", "error", "resource", "on", "rate", "nth", "per_second", "latency_ms", "for_seconds", "seed")
    given = {name: getattr(arguments, name) for name in names}
    body = {name: value for name, value in given.items() if value is not None}
    print_table([row(_call(arguments, "POST", _PATH, body))])
    return 0


def _list(arguments: argparse.Namespace) -> int:
    faults = _call(arguments, "GET", _PATH)
    print_table([row(fault) for fault in faults] or [("no faults",)])
    return 0


def _clear(arguments: argparse.Namespace) -> int:
    if arguments.ids:
        ended = [_call(arguments, "DELETE", f"{_PATH}/{fault_id}") for fault_id in arguments.ids]
    else:
        ended = _call(arguments, "DELETE", _PATH)
    print_table([("cleared", *row(fault)) for fault in ended] or [("no faults",)])
    return 0


def _kinds(arguments: argparse.Namespace) -> int:
    kinds = _call(arguments, "GET", f"{_PATH}/kinds")
    products = {kind["product"] for kind in kinds}
    if arguments.product not in (None, *products):
        msg = f"expected one of {', '.join(sorted(products))}, got {arguments.product}"
        raise InstanceError(msg)
    shown = [kind for kind in kinds if arguments.product in (None, kind["product"])]
    print_table([(kind["product"], kind["error"], kind["about"]) for kind in shown])
    return 0


def _call(arguments: argparse.Namespace, method: str, path: str, body: Any = None) -> Any:
    with ApiClient.of(arguments.state) as api:
        return api.call(method, path, body)


def _seconds(text: str) -> float:
    """Read a time. Raises argparse's error, which becomes one line after the usage."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected a time such as 500ms, 60s, 5m or 1h, got {text!r}")
    return float(match[1]) * _UNITS_SECONDS[match[2]]


def _latency(text: str) -> float | list[float]:
    """Read milliseconds, or a range of them. Raises argparse's error."""
    match = _RANGE.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError(f"expected milliseconds such as 200, or a range such as 50-200, got {text!r}")
    return float(match[1]) if match[2] is None else [float(match[1]), float(match[2])]
