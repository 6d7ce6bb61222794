"""Values of command-line options."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable

_UNIT_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3_600, "d": 86_400}


def whole_number(least: int, most: int | None = None) -> Callable[[str], int]:
    """Make a reader of whole numbers in a range."""
    expected = f"a whole number from {least} to {most}" if most is not None else f"a whole number of at least {least}"

    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,18}", text) or int(text) < least or (most is not None and int(text) > most):
            raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
        return int(text)

    return read


def seconds(text: str) -> int:
    """Read a length of time: ``90``, ``90s``, ``15m``, ``2h`` or ``1d``."""
    match = re.fullmatch(r"(\d{1,12})([smhd]?)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"expected seconds, or a number with s, m, h or d, got {text!r}")
    return int(match[1]) * _UNIT_SECONDS[match[2]]


def rate(text: str) -> float:
    """Read a rate, greater than 0."""
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


def name(text: str) -> str:
    """Read a name; an empty one comes from a variable that is not set."""
    if not text:
        raise argparse.ArgumentTypeError("expected a name, got an empty one")
    return text
