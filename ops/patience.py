"""Retries after transient errors, a few times in a row."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from ops.errors import TransientError

P = ParamSpec("P")
T = TypeVar("T")

ERRORS_IN_A_ROW = 5


class Patience:
    """How many more transient errors are tolerated."""

    def __init__(self) -> None:
        self._left = ERRORS_IN_A_ROW

    def bear(self, error: TransientError, seconds_left: float = math.inf) -> None:
        """Sleep until the next try. Raise the error if no tries or not enough time are left."""
        self._left -= 1
        if self._left < 0 or seconds_left <= error.retry_after_seconds:
            raise error
        time.sleep(error.retry_after_seconds)


def patiently(ask: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a function, and retry after transient errors. Raises the last error."""
    patience = Patience()
    while True:
        try:
            return ask(*args, **kwargs)
        except TransientError as error:
            patience.bear(error)
