"""Counts what became of the tasks of a measurement: each is to be completed once."""

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
        What was measured, whose `tasks` are those submitted; how many were `completed`, and their `attempts` where the
        system tells.

    Raises:
        MeasuredSystemError: one is lost.
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
