"""Command-line options: readers of their values, and options that several commands share."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

from ops.command import UsageError
from ops.task import Priority

_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """Return a reader of whole numbers in a range."""
    expected = f"a whole number from {least} to {most}" if most is not None else f"a whole number of at least {least}"

    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,18}", text) or int(text) < least or (most is not None and int(text) > most):
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
        return int(text)

    return read


def seconds(text: str) -> int:
    """Read a duration in seconds: ``90``, ``90s``, ``15m``, ``2h`` or ``1d``."""
    match = re.fullmatch(r"(\d{1,12})([smhd]?)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"expected seconds, or a number with s, m, h or d, got {text!r}")
    return int(match[1]) * _UNIT_SECONDS[match[2]]


def moment(text: str) -> datetime:
    """Read a time: how long ago it was (``15m``, ``2d``), or ISO 8601. Without an offset it is a local time."""
    try:
        if re.fullmatch(r"\d+[smhd]", text):
            return datetime.now(UTC) - timedelta(seconds=seconds(text))
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, argparse.ArgumentTypeError) as error:
        expected = "how long ago, as 15m, or a time, as 2026-11-30T09:00:00Z"
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}") from error


def rate(text: str) -> float:
    """Read a rate greater than 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not (value > 0 and math.isfinite(value)):
        raise argparse.ArgumentTypeError(f"expected a number greater than 0, got {text!r}")
    return value


def parameter(text: str) -> tuple[str, str]:
    """Read ``key=value``."""
    key, separator, value = text.partition("=")
    if not key or not separator:
        raise argparse.ArgumentTypeError(f"expected KEY=VALUE, got {text!r}")
    return key, value


def tag(text: str) -> tuple[str, str]:
    """Read ``key:value``."""
    key, separator, value = text.partition(":")
    if not key or not separator:
        raise argparse.ArgumentTypeError(f"expected KEY:VALUE, got {text!r}")
    return key, value


def name(text: str) -> str:
    """Read a name. It must not be empty: an empty one comes from a shell variable that is not set."""
    if not text:
        raise argparse.ArgumentTypeError("expected a name, got an empty one")
    return text


def add_tag_option(parser: argparse.ArgumentParser, text: str) -> None:
    """Add ``--tag``, which may be repeated."""
    parser.add_argument(
        "--tag",
        type=tag,
        action="append",
        default=[],
        dest="tags",
        metavar="KEY:VALUE",
        help=f"{text}; may be given several times",
    )


def tags_of(options: argparse.Namespace) -> dict[str, str]:
    """Return the given tags. Raises UsageError if a key is given twice."""
    keys = [key for key, _ in options.tags]
    twice = next((key for key in keys if keys.count(key) > 1), None)
    if twice is not None:
        raise UsageError(f"expected each key of --tag once, got {twice} again")
    return dict(options.tags)


def add_task_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a new task; `task_settings` reads them."""
    parser.add_argument("--handler", type=name, metavar="NAME", help="what does the work (default: default)")
    parser.add_argument(
        "--param",
        type=parameter,
        action="append",
        default=[],
        dest="parameters",
        metavar="KEY=VALUE",
        help="a parameter of the handler's; may be given several times",
    )
    parser.add_argument("--delay", type=seconds, metavar="TIME", help="wait before the first attempt: 90, 15m, 2h")
    parser.add_argument("--ttl", type=seconds, metavar="TIME", help="how long the task is kept")
    parser.add_argument("--max-retries", type=whole_number(0, 100), metavar="N", help="retries after the first attempt")
    parser.add_argument("--callback-url", metavar="URL", help="where it is told that the task has ended")
    parser.add_argument("--group", type=name, metavar="KEY", help="its group, whose limits hold for it")
    add_tag_option(parser, "what it is found by")
    parser.add_argument(
        "--priority", choices=get_args(Priority), help="which queue carries it, in a stack with priorities"
    )
    parser.add_argument("--on", metavar="ENDS", help="which ends are told: completed,failed,cancelled (default: all)")


def task_settings(options: argparse.Namespace) -> dict[str, Any]:
    """Return the fields of a `NewTask` from the options, without payload and idempotency key."""
    return {
        "handler": options.handler,
        "parameters": dict(options.parameters),
        "delay_seconds": options.delay,
        "ttl_seconds": options.ttl,
        "max_retries": options.max_retries,
        "callback_url": options.callback_url,
        "group": options.group,
        "tags": tags_of(options),
        "priority": options.priority,
        "on": options.on and options.on.split(","),
    }
