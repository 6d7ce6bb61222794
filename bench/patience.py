"""Waits for conditions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from bench.errors import MeasuredSystemError

T = TypeVar("T")

_POLL_SECONDS = 0.02
_POLL_SHARE = 0.01
"""Of the time so far: a look takes time of what is measured, and is late by a hundredth at most."""


def eventually(probe: Callable[[], T | None], *, seconds: float, expected: str) -> T:
    """Call a function until it returns an answer. Raises MeasuredSystemError if the time is up."""
    began = time.monotonic()
    while (answer := probe()) is None:
        waited = time.monotonic() - began
        if waited > seconds:
            raise MeasuredSystemError(f"expected {expected} within {seconds:.0f} s")
        time.sleep(max(_POLL_SECONDS, waited * _POLL_SHARE))
    return answer
