"""Waits for conditions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from bench.errors import MeasuredSystemError

T = TypeVar("T")

_POLL_SECONDS = 0.02


def eventually(probe: Callable[[], T | None], *, seconds: float, expected: str) -> T:
    """Call a function until it returns an answer. Raises MeasuredSystemError if the time is up."""
    deadline = time.monotonic() + seconds
    while (answer := probe()) is None:
        if time.monotonic() > deadline:
            raise MeasuredSystemError(f"expected {expected} within {seconds:.0f} s")
        time.sleep(_POLL_SECONDS)
    return answer
