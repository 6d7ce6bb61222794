"""Command line parsers with the options that all commands on a state folder share."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local.cli.instance import DEFAULT_STATE_DIR


def add_command(
    subparsers: Any, name: str, run: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    """Add a command with `--state`; `run` returns its exit code."""
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
