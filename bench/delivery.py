"""Checks that each task of a measurement was completed exactly once."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bench.patience import eventually
from bench.system import System

S = TypeVar("S", bound=System)

_LAST_SECONDS = 60


def delivered(system: S, measure: Callable[[S], dict[str, float]]) -> dict[str, float]:
    """Measure, wait for all tasks, and count them.

    Returns:
        The measurements, with `tasks`, the number of submitted tasks; how many were `completed`; and their `attempts`,
        if the system reports them.

    Raises:
        MeasuredSystemError: a task was lost.
    """
    completed_before, attempts_before = system.completed(), system.attempts()
    values = measure(system)
    expected = int(values["tasks"])
    eventually(
        lambda: system.completed() - completed_before >= expected or None,
        seconds=_LAST_SECONDS,
        expected=f"{expected} completed tasks of {system.name}",
    )
    counts = {"completed": float(system.completed() - completed_before)}
    attempts = system.attempts()
    if attempts is not None and attempts_before is not None:
        counts["attempts"] = float(attempts - attempts_before)
    return values | counts
